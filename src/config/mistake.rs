//! What is wrong with a configuration, and where: collected, sorted and shown all at once.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::whence::Whence;

/// One mistake in a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file, as it was named on the command line or by an `include`.
    pub file: PathBuf,
    /// Line, counted from 1; 0 when the file as a whole is meant (it cannot be read).
    pub line: u32,
    /// Column in characters, counted from 1.
    pub column: u32,
    /// What is wrong.
    pub message: String,
    /// What to write instead, when that can be said.
    pub help: Option<String>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:{}:", self.line, self.column)?;
        }
        write!(f, " {}", self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// Every mistake of a configuration, in the order of files and lines. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes {
    found: Vec<Mistake>,
    only_of_tls: bool,
}

impl Mistakes {
    /// The mistakes, first file first, top to bottom.
    pub fn as_slice(&self) -> &[Mistake] {
        &self.found
    }

    /// True when nothing is wrong but that files of TLS cannot be read.
    pub fn are_only_of_tls(&self) -> bool {
        self.only_of_tls
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, mistake) in self.found.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            mistake.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// An error of the system in its own words, without Rust's `(os error 2)`.
pub(super) fn os_error(why: &io::Error) -> String {
    let text = why.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// A file of the configuration, by the order of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileId(usize);

/// A place in a file. Sorts as a reader meets it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) file: FileId,
    pub(super) line: u32,
    pub(super) column: u32,
}

impl Place {
    /// The file as a whole.
    pub(super) fn whole(file: FileId) -> Self {
        Place { file, line: 0, column: 0 }
    }
}

/// The mistakes found so far, and the names of the files they are in.
#[derive(Default)]
pub(super) struct Report {
    files: Vec<PathBuf>,
    found: Vec<(Place, String, Option<String>)>,
    /// Lines the TOML parser could not read. What it guessed there is not worth a second mistake.
    unreadable: BTreeSet<(FileId, u32)>,
    /// Where files of TLS are named that cannot be read.
    about_tls: BTreeSet<Place>,
    /// Some text was not read: what the rest lacks may stand there.
    incomplete: bool,
}

impl Report {
    /// Registers a file.
    pub(super) fn open(&mut self, path: &Path) -> FileId {
        self.files.push(path.to_owned());
        FileId(self.files.len() - 1)
    }

    /// Notes a mistake.
    pub(super) fn add(&mut self, at: Place, message: impl Into<String>, help: Option<String>) {
        let known = self.unreadable.contains(&(at.file, at.line));
        if !known {
            self.found.push((at, message.into(), help));
        }
    }

    /// Notes that a file of TLS cannot be read.
    pub(super) fn add_tls(&mut self, at: Place, message: String) {
        self.add(at, message, None);
        self.about_tls.insert(at);
    }

    /// Notes a mistake of TOML itself; later mistakes on the same line are its consequences.
    pub(super) fn add_syntax(&mut self, at: Place, message: String) {
        self.add_missing(at, message);
        self.unreadable.insert((at.file, at.line));
    }

    /// Notes that text is missing: a file that cannot be read.
    pub(super) fn add_missing(&mut self, at: Place, message: String) {
        self.add(at, message, None);
        self.incomplete = true;
    }

    /// Whether keys may be missing that were written.
    pub(super) fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// The folder relative paths in `file` start from.
    pub(super) fn folder(&self, file: FileId) -> &Path {
        self.files.get(file.0).and_then(|path| path.parent()).unwrap_or(Path::new(""))
    }

    /// `file:line:column`, to name a second place in a mistake.
    pub(super) fn show(&self, at: Place) -> String {
        let name = self.files.get(at.file.0).map(|path| path.display().to_string());
        format!("{}:{}:{}", name.unwrap_or_default(), at.line, at.column)
    }

    /// A place as the origin of a setting.
    pub(super) fn whence(&self, at: Place) -> Whence {
        let file = self.files.get(at.file.0).cloned().unwrap_or_default();
        Whence::File { file, line: at.line }
    }

    /// All mistakes in order, or nothing.
    pub(super) fn finish(self) -> Result<(), Mistakes> {
        let Report { files, mut found, about_tls, .. } = self;
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|(at, ..)| *at);
        found.dedup();
        let named = |(at, message, help): (Place, String, Option<String>)| Mistake {
            file: files.get(at.file.0).cloned().unwrap_or_default(),
            line: at.line,
            column: at.column,
            message,
            help,
        };
        let only_of_tls = found.iter().all(|(at, ..)| about_tls.contains(at));
        Err(Mistakes { found: found.into_iter().map(named).collect(), only_of_tls })
    }
}
