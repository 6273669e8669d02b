//! Where the value of a setting comes from, for those who look for the line to change.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use super::files::Raw;
use super::mistake::{Place, Report};
use super::setting::{Section, Setting};
use super::show::ShownSetting;
use super::table_otlp::OTLP;
use super::table_pool::DEFAULTS;
use super::table_process::{HTTP, PROCESS};
use super::table_tls::{TLS_CLIENT, TLS_SERVER};
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
    finder.section(Section::Process, PROCESS);
    finder.section(Section::Http, HTTP);
    finder.section(Section::Otlp, OTLP);
    finder.section(Section::TlsClient, TLS_CLIENT);
    finder.section(Section::TlsServer, TLS_SERVER);
    finder.section(Section::Defaults, DEFAULTS);
    finder.found
}

struct Finder<'a> {
    raw: &'a Raw,
    report: &'a Report,
    found: Written,
}

impl Finder<'_> {
    fn section<T>(&mut self, section: Section, known: &[Setting<T>]) {
        let Some(table) = self.raw.sections.get(&section) else { return };
        for setting in known {
            if let Some(at) = place(table, setting) {
                self.found.insert(setting.shown, self.report.whence(at));
            }
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
