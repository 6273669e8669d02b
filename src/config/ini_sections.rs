//! The sections of a `pgbouncer.ini`, put together from the file and what it includes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::files::read_text;
use super::ini_table::{PARAMETERS, Parameter};
use super::ini_text::{self, Item, Pair};
use super::mistake::{FileId, Place, Report};
use super::suggest::closest;

/// How deep files may include files.
const DEEPEST: usize = 10;

/// What the files say. No `Debug`: there may be passwords.
#[derive(Clone, PartialEq)]
pub(super) struct Sections {
    pub(super) main: FileId,
    /// `[pgbouncer]`; of a key that stands twice the last value.
    pub(super) parameters: BTreeMap<String, Pair>,
    /// Lines of `[databases]`, by name.
    pub(super) databases: BTreeMap<String, Pair>,
    /// Lines of `[users]`, by name.
    pub(super) users: BTreeMap<String, Pair>,
    /// Lines of `[peers]`, by number.
    pub(super) peers: BTreeMap<String, Pair>,
    /// Every file that was opened.
    pub(super) files: Vec<PathBuf>,
}

/// Reads a file and what it includes.
pub(super) fn gather(path: &Path, report: &mut Report) -> Sections {
    let main = report.open(path);
    let sections = Sections {
        main,
        parameters: BTreeMap::new(),
        databases: BTreeMap::new(),
        users: BTreeMap::new(),
        peers: BTreeMap::new(),
        files: Vec::new(),
    };
    let mut gatherer = Gatherer { report, sections, section: None, has_main: false, depth: 0 };
    gatherer.file(path, main, None);
    if !gatherer.has_main && !gatherer.report.is_incomplete() {
        let start = Place { file: main, line: 1, column: 1 };
        gatherer.report.add(start, "there is no section [pgbouncer]", None);
    }
    gatherer.sections
}

/// A section that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Header {
    Pgbouncer,
    Databases,
    Users,
    Peers,
    /// Already reported; its keys are not.
    Unknown,
}

struct Gatherer<'a> {
    report: &'a mut Report,
    sections: Sections,
    /// The section that is being read; it goes on through the files.
    section: Option<Header>,
    has_main: bool,
    depth: usize,
}

impl Gatherer<'_> {
    fn file(&mut self, path: &Path, id: FileId, included: Option<Place>) {
        let Some((_, text)) = read_text(path, id, included, self.report) else { return };
        self.sections.files.push(path.to_owned());
        for item in ini_text::items(&text, id, self.report) {
            match item {
                Item::Section { at, name } => self.header(at, &name),
                Item::Pair(pair) => self.pair(pair),
                Item::Include { at, path } => self.include(at, Path::new(&path)),
            }
        }
    }

    /// Relative to the working directory, as in PgBouncer.
    fn include(&mut self, at: Place, path: &Path) {
        if self.depth == DEEPEST {
            let message = format!("{} is included more than {DEEPEST} files deep", path.display());
            return self.report.add(at, message, None);
        }
        self.depth += 1;
        let id = self.report.open(path);
        self.file(path, id, Some(at));
        self.depth -= 1;
    }

    fn header(&mut self, at: Place, name: &str) {
        self.section = Some(match name {
            "pgbouncer" => {
                self.restart_parameters();
                Header::Pgbouncer
            }
            "databases" => Header::Databases,
            "users" => Header::Users,
            "peers" => Header::Peers,
            _ => {
                let known = ["pgbouncer", "databases", "users", "peers"];
                let help = closest(name, known.into_iter());
                let help = help.map(|name| format!("did you mean [{name}]?"));
                self.report.add(at, format!("unknown section [{name}]"), help);
                Header::Unknown
            }
        });
    }

    /// A second `[pgbouncer]` puts what has a default back to it.
    fn restart_parameters(&mut self) {
        self.has_main = true;
        let stays = |parameter: &&Parameter| parameter.default.is_none();
        let kept: Vec<_> = PARAMETERS.iter().filter(stays).map(|found| found.name).collect();
        self.sections.parameters.retain(|key, _| kept.contains(&key.as_str()));
    }

    fn pair(&mut self, pair: Pair) {
        let lines = match self.section {
            Some(Header::Pgbouncer) => return self.parameter(pair),
            Some(Header::Databases) => &mut self.sections.databases,
            Some(Header::Users) => &mut self.sections.users,
            Some(Header::Peers) => &mut self.sections.peers,
            Some(Header::Unknown) => return,
            None => {
                let message = format!("`{}` stands outside of a section", pair.key);
                return self.report.add(pair.at, message, None);
            }
        };
        lines.insert(pair.key.clone(), pair);
    }

    fn parameter(&mut self, pair: Pair) {
        if PARAMETERS.iter().any(|known| known.name == pair.key) {
            self.sections.parameters.insert(pair.key.clone(), pair);
            return;
        }
        let help = closest(&pair.key, PARAMETERS.iter().map(|known| known.name));
        let help = help.map(|name| format!("did you mean `{name}`?"));
        self.report.add(pair.at, format!("unknown parameter: {}", pair.key), help);
    }
}
