//! The files of a configuration: the main one, what it includes, and their sections put together.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::path::{Path, PathBuf};

use super::env::Lookup;
use super::mistake::{FileId, Place, Report, os_error};
use super::notes::Notes;
use super::setting::Section;
use super::settings::{homes, settings};
use super::suggest::closest;
use super::tree::{self, Entry, Node, Table, Value};

/// How deep files may include files.
const DEEPEST: usize = 10;

/// All sections of all files, not yet understood.
pub(super) struct Raw {
    pub(super) main: FileId,
    /// `[pgusher]`, `[http]`, `[otlp]`, `[tls.client]`, `[tls.server]`, `[defaults]`.
    pub(super) sections: BTreeMap<Section, Table>,
    pub(super) databases: BTreeMap<String, Table>,
    pub(super) users: BTreeMap<String, Table>,
    pub(super) peers: BTreeMap<String, Table>,
    pub(super) classes: BTreeMap<String, Table>,
    /// Every file that was opened.
    pub(super) files: Vec<PathBuf>,
    /// What the operator should know of settings that are accepted.
    pub(super) notes: Notes,
}

impl Raw {
    /// Nothing yet of what this file says.
    pub(super) fn new(main: FileId) -> Self {
        Raw {
            main,
            sections: BTreeMap::new(),
            databases: BTreeMap::new(),
            users: BTreeMap::new(),
            peers: BTreeMap::new(),
            classes: BTreeMap::new(),
            files: Vec::new(),
            notes: Notes::default(),
        }
    }
}

/// Reads the main file and everything it includes.
pub(super) fn gather(path: &Path, env: &Lookup<'_>, report: &mut Report) -> Raw {
    let main = report.open(path);
    let raw = Raw::new(main);
    let mut gatherer = Gatherer { env, report, raw, seen: BTreeMap::new(), open: Vec::new() };
    gatherer.file(path, main, None);
    gatherer.raw
}

/// A file's real path and its text.
pub(super) fn read_text(
    path: &Path,
    id: FileId,
    included: Option<Place>,
    report: &mut Report,
) -> Option<(PathBuf, String)> {
    // A file that cannot be opened is missed where it is named.
    let blame = included.unwrap_or(Place::whole(id));
    let read = path.canonicalize().and_then(|real| Ok((real, std::fs::read(path)?)));
    let (real, bytes) = match read {
        Ok(read) => read,
        Err(why) => {
            let why = os_error(&why);
            let message = match included {
                Some(_) => format!("cannot read {}: {why}", path.display()),
                None => format!("cannot read the file: {why}"),
            };
            report.add_missing(blame, message);
            return None;
        }
    };
    match String::from_utf8(bytes) {
        Ok(text) => Some((real, text)),
        Err(why) => {
            not_utf8(id, &why, report);
            None
        }
    }
}

fn not_utf8(file: FileId, why: &std::string::FromUtf8Error, report: &mut Report) {
    let good = why.as_bytes().get(..why.utf8_error().valid_up_to()).unwrap_or_default();
    let text = String::from_utf8_lossy(good);
    let line = text.matches('\n').count() + 1;
    let column = text.chars().rev().take_while(|c| *c != '\n').count() + 1;
    let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let at = Place { file, line: narrow(line), column: narrow(column) };
    report.add_missing(at, "the file is not UTF-8".into());
}

struct Gatherer<'a> {
    env: &'a Lookup<'a>,
    report: &'a mut Report,
    raw: Raw,
    /// Files read so far, with the place that included them.
    seen: BTreeMap<PathBuf, Option<Place>>,
    /// The way from the main file to the one being read.
    open: Vec<PathBuf>,
}

impl Gatherer<'_> {
    fn file(&mut self, path: &Path, id: FileId, included: Option<Place>) {
        let blame = included.unwrap_or(Place::whole(id));
        let Some((real, text)) = read_text(path, id, included, self.report) else { return };
        if self.is_again(path, &real, blame) {
            return;
        }
        self.raw.files.push(path.to_owned());
        self.seen.insert(real.clone(), included);
        let mut root = tree::parse(&text, id, self.env, self.report);
        let includes = root.entries.remove("include");
        for (key, entry) in root.entries {
            self.top_level(&key, entry);
        }
        if let Some(includes) = includes {
            self.open.push(real);
            self.includes(&includes.node, path);
            self.open.pop();
        }
    }

    /// Whether the file was read before: then that is the mistake.
    fn is_again(&mut self, path: &Path, real: &Path, at: Place) -> bool {
        let Some(before) = self.seen.get(real) else { return false };
        let name = path.display();
        let message = if self.open.iter().any(|open| open == real) || before.is_none() {
            format!("{name} includes itself")
        } else {
            let first = before.map(|place| self.report.show(place)).unwrap_or_default();
            format!("{name} is included twice; first at {first}")
        };
        self.report.add(at, message, None);
        true
    }

    fn includes(&mut self, node: &Node, from: &Path) {
        let items = match &node.value {
            Value::List(items) => items.iter().collect(),
            _ => vec![node],
        };
        for item in items {
            match &item.value {
                Value::Text { text, .. } if self.open.len() > DEEPEST => {
                    let message = format!("\"{text}\" is included more than {DEEPEST} files deep");
                    self.report.add(item.at, message, None);
                }
                Value::Text { text, .. } => self.include(text, item.at, from),
                Value::Broken => {}
                other => {
                    let message = format!(
                        "`include`: expected a file or a pattern in quotes, found {}",
                        other.describe()
                    );
                    self.report.add(item.at, message, None);
                }
            }
        }
    }

    fn include(&mut self, pattern: &str, at: Place, from: &Path) {
        let folder = from.parent().unwrap_or(Path::new(""));
        if !pattern.contains(['*', '?', '[']) {
            return self.included(&folder.join(pattern), at);
        }
        // Only what is written in the file is a pattern, not the folder the file lies in.
        let escaped = PathBuf::from(glob::Pattern::escape(&folder.to_string_lossy()));
        let paths = match glob::glob(&escaped.join(pattern).to_string_lossy()) {
            Ok(paths) => paths,
            Err(why) => {
                let message = format!("`include`: \"{pattern}\" is not a pattern: {}", why.msg);
                return self.report.add(at, message, None);
            }
        };
        for path in paths {
            match path {
                Ok(path) => self.included(&path, at),
                Err(why) => {
                    let message =
                        format!("cannot read {}: {}", why.path().display(), os_error(why.error()));
                    self.report.add(at, message, None);
                }
            }
        }
    }

    fn included(&mut self, path: &Path, at: Place) {
        let id = self.report.open(path);
        self.file(path, id, Some(at));
    }

    fn top_level(&mut self, key: &str, entry: Entry) {
        let section = match key {
            "pgusher" => Section::Process,
            "http" => Section::Http,
            "otlp" => Section::Otlp,
            "defaults" => Section::Defaults,
            "tls" => return self.tls(entry),
            "databases" => return self.named(entry, Section::Database),
            "users" => return self.named(entry, Section::User),
            "peers" => return self.named(entry, Section::Peer),
            "classes" => return self.named(entry, Section::Class),
            _ => return self.unknown(key, &entry),
        };
        self.section(key, section, entry);
    }

    fn section(&mut self, key: &str, section: Section, entry: Entry) {
        let at = entry.at;
        match entry.node.value {
            Value::Table(table) => self.merge(section, table),
            Value::Broken => {}
            other => {
                let message = format!("`{key}` is a section, found {}", other.describe());
                self.report.add(at, message, Some(format!("write {}", section.header())));
            }
        }
    }

    /// `[tls]`: a table of two sections.
    fn tls(&mut self, entry: Entry) {
        const HELP: &str = "write [tls.client] or [tls.server]";
        let Value::Table(table) = entry.node.value else {
            let message = format!("`tls` is two sections, found {}", entry.node.value.describe());
            return self.report.add(entry.at, message, Some(HELP.into()));
        };
        for (key, entry) in table.entries {
            match (key.as_str(), &entry.node.value) {
                ("client", _) => self.section("tls.client", Section::TlsClient, entry),
                ("server", _) => self.section("tls.server", Section::TlsServer, entry),
                (_, Value::Table(_)) => {
                    let message = format!("unknown section [tls.{key}]");
                    self.report.add(entry.at, message, Some(HELP.into()));
                }
                _ => {
                    let message = format!("`{key}` stands in [tls]");
                    self.report.add(entry.at, message, Some(HELP.into()));
                }
            }
        }
    }

    /// Adds keys to a section that another file may have begun.
    fn merge(&mut self, section: Section, table: Table) {
        let whole = self.raw.sections.entry(section).or_insert_with(|| Table::empty(table.at));
        for (key, entry) in table.entries {
            match whole.entries.entry(key) {
                Slot::Vacant(slot) => {
                    slot.insert(entry);
                }
                Slot::Occupied(slot) => {
                    let first = self.report.show(slot.get().at);
                    let message = format!(
                        "duplicate key `{}` in {}; first at {first}",
                        slot.key(),
                        section.header()
                    );
                    self.report.add(entry.at, message, None);
                }
            }
        }
    }

    /// `[databases]`, `[users]`, `[peers]` or `[classes]`: a table of tables.
    fn named(&mut self, entry: Entry, section: Section) {
        let header = section.header();
        let Value::Table(table) = entry.node.value else {
            let message = format!("expected {header}, found {}", entry.node.value.describe());
            return self.report.add(entry.at, message, None);
        };
        let (noun, sections) = match section {
            Section::Database => ("database", &mut self.raw.databases),
            Section::Peer => ("peer", &mut self.raw.peers),
            Section::Class => ("class", &mut self.raw.classes),
            _ => ("user", &mut self.raw.users),
        };
        for (name, entry) in table.entries {
            let Value::Table(table) = entry.node.value else {
                let message = format!(
                    "`{name}` needs a section of its own, found {}",
                    entry.node.value.describe()
                );
                self.report.add(
                    entry.at,
                    message,
                    Some(format!("write {header} with the {noun}'s name")),
                );
                continue;
            };
            match sections.entry(name) {
                Slot::Vacant(slot) => {
                    slot.insert(table);
                }
                Slot::Occupied(slot) => {
                    let first = self.report.show(slot.get().at);
                    let message = format!("duplicate {noun} `{}`; first at {first}", slot.key());
                    self.report.add(entry.at, message, None);
                }
            }
        }
    }

    fn unknown(&mut self, key: &str, entry: &Entry) {
        let (message, help) = match &entry.node.value {
            Value::Table(_) | Value::List(_) => {
                let close = closest(key, Section::ALL.into_iter().map(Section::name));
                (
                    format!("unknown section [{key}]"),
                    close.map(|name| format!("did you mean [{name}]?")),
                )
            }
            _ => {
                let home = homes(key);
                let close =
                    closest(key, settings().into_iter().map(|info| info.key).chain(["include"]));
                let help = home.or(close.map(|name| format!("did you mean `{name}`?")));
                (format!("unknown key `{key}` outside of a section"), help)
            }
        };
        self.report.add(entry.at, message, help);
    }
}
