//! Where the value of a setting comes from, for those who look for the line to change.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::files::Raw;
use super::mistake::{Place, Report};
use super::setting::{Section, Setting};
use super::show::ShownSetting;
use super::table_otlp::{OTLP, OTLP_SHOWN};
use super::table_pool::DEFAULTS;
use super::table_process::{HTTP, HTTP_SHOWN, PROCESS};
use super::table_tls::{TLS_CLIENT, TLS_CLIENT_SHOWN, TLS_SERVER, TLS_SERVER_SHOWN};
use super::tree::Table;

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Whence {
    /// Nobody has said anything.
    #[default]
    Default,
    /// A file says so.
    File {
        /// The file, as it was named on the command line or by an `include`.
        file: PathBuf,
        /// The line, counted from 1.
        line: u32,
    },
    /// Somebody has said SET at the console.
    Console,
    /// Whoever started pgusher has said so.
    CommandLine,
}

impl fmt::Display for Whence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Whence::Default => f.write_str("default"),
            Whence::File { file, line } => write!(f, "{}:{line}", file.display()),
            Whence::Console => f.write_str("SET at the console"),
            Whence::CommandLine => f.write_str("command line"),
        }
    }
}

/// Where a `pool.toml` and its includes write settings, by the names of SHOW CONFIG.
pub(super) type Written = BTreeMap<&'static str, Whence>;

/// What is written in the sections that SHOW CONFIG lists.
pub(super) fn written(raw: &Raw, report: &Report) -> Written {
    let mut finder = Finder { raw, report, found: Written::new() };
    finder.own_names(Section::Process, PROCESS);
    finder.names(Section::Http, HTTP, &HTTP_SHOWN);
    finder.names(Section::Otlp, OTLP, &OTLP_SHOWN);
    finder.names(Section::TlsClient, TLS_CLIENT, &TLS_CLIENT_SHOWN);
    finder.names(Section::TlsServer, TLS_SERVER, &TLS_SERVER_SHOWN);
    finder.own_names(Section::Defaults, DEFAULTS);
    finder.found
}

struct Finder<'a> {
    raw: &'a Raw,
    report: &'a Report,
    found: Written,
}

impl Finder<'_> {
    fn own_names<T>(&mut self, section: Section, known: &[Setting<T>]) {
        let names: Vec<_> = known.iter().map(|setting| setting.key).collect();
        self.names(section, known, &names);
    }

    fn names<T>(&mut self, section: Section, known: &[Setting<T>], shown: &[&'static str]) {
        let Some(table) = self.raw.sections.get(&section) else { return };
        for (setting, shown) in known.iter().zip(shown) {
            let Some(at) = place(table, setting) else { continue };
            self.found.insert(shown, self.report.whence(at));
        }
    }
}

/// Where a section sets something, under whichever of its names.
fn place<T>(table: &Table, setting: &Setting<T>) -> Option<Place> {
    let mut names = std::iter::once(setting.key).chain(setting.alias);
    names.find_map(|name| table.entries.get(name)).map(|entry| entry.at)
}

/// Adds to rows where their values come from.
pub(super) fn tell(rows: &mut [ShownSetting], whence: impl Fn(&str) -> Whence) {
    for row in rows {
        row.whence = whence(row.key);
    }
}
