//! Where lines go: standard error, a file, or both.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing_subscriber::fmt::MakeWriter;

use super::syslog::{self, Syslog};
use crate::config::Process;

/// A share of the log's end.
#[derive(Clone, Debug)]
pub(super) struct Destination(Arc<Mutex<Ends>>);

#[derive(Debug)]
struct Ends {
    file: Option<File>,
    /// Standard error hears it, too, when there is a file.
    both: bool,
    quiet: bool,
    syslog: Option<Syslog>,
    /// The last lines, the youngest at the back, and how many there were before them.
    tail: VecDeque<String>,
    forgotten: u64,
}

/// So many lines are kept to be looked at, and so much of each.
const KEPT: usize = 200;
const LONGEST: usize = 2_000;

impl Ends {
    fn keep(&mut self, bytes: &[u8]) {
        let bytes = bytes.get(..LONGEST).unwrap_or(bytes);
        self.tail.push_back(without_colours(String::from_utf8_lossy(bytes).trim_end()));
        if self.tail.len() > KEPT {
            self.tail.pop_front();
            self.forgotten += 1;
        }
    }
}

/// A line without the sequences that a terminal takes for colours.
fn without_colours(line: &str) -> String {
    let mut parts = line.split("\x1b[");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    text
}

impl Destination {
    pub(super) fn open(file: Option<&Path>, both: bool, quiet: bool) -> io::Result<Self> {
        let file = file.map(append).transpose()?;
        Ok(Destination(Arc::new(Mutex::new(Ends {
            file,
            both,
            quiet,
            syslog: None,
            tail: VecDeque::new(),
            forgotten: 0,
        }))))
    }

    /// Begins or ends to tell syslog.
    pub(super) fn set_syslog(&self, process: &Process) -> io::Result<()> {
        let opened = Syslog::open(process, Path::new(syslog::SOCKET));
        let mut ends = self.0.lock();
        ends.syslog = None;
        ends.syslog = opened?;
        Ok(())
    }

    /// The lines kept of those after so many, and how many there have been.
    pub(super) fn tail(&self, after: u64) -> (Vec<String>, u64) {
        let ends = self.0.lock();
        let skipped = usize::try_from(after.saturating_sub(ends.forgotten)).unwrap_or(usize::MAX);
        let lines = ends.tail.iter().skip(skipped).cloned().collect();
        (lines, ends.forgotten + ends.tail.len() as u64)
    }

    /// Opens another file, or the same one anew.
    pub(super) fn set_file(&self, file: Option<&Path>) -> io::Result<()> {
        let file = file.map(append).transpose()?;
        self.0.lock().file = file;
        Ok(())
    }
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

impl MakeWriter<'_> for Destination {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line(self.clone())
    }
}

/// One line on its way. It is written at once, so that lines of several threads do not mix.
#[derive(Debug)]
pub(super) struct Line(Destination);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut ends = self.0.0.lock();
        ends.keep(bytes);
        if let Some(syslog) = &ends.syslog {
            syslog.send(bytes);
        }
        let both = ends.both;
        if let Some(file) = &mut ends.file {
            file.write_all(bytes)?;
            if !both {
                return Ok(bytes.len());
            }
        }
        if !ends.quiet {
            io::stderr().write_all(bytes)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_kept_and_no_more() {
        let destination = Destination::open(None, false, true).unwrap();
        for number in 0..KEPT + 5 {
            let line = format!("line {number}\n");
            destination.make_writer().write_all(line.as_bytes()).unwrap();
        }
        let (lines, seen) = destination.tail(0);
        assert_eq!((lines.len(), seen), (KEPT, KEPT as u64 + 5));
        assert_eq!(lines.first().map(String::as_str), Some("line 5"));
        assert_eq!(destination.tail(seen - 1).0, [format!("line {}", KEPT + 4)]);
        assert!(destination.tail(seen).0.is_empty());
        assert_eq!(without_colours("\x1b[2m12:00\x1b[0m \x1b[32mINFO\x1b[0m hm"), "12:00 INFO hm");
    }

    #[test]
    fn a_file_that_was_moved_away_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("a.log"), folder.path().join("a.log.1"));
        let destination = Destination::open(Some(&path), false, true).unwrap();
        destination.make_writer().write_all(b"one\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        destination.make_writer().write_all(b"two\n").unwrap();
        destination.set_file(Some(&path)).unwrap();
        destination.make_writer().write_all(b"three\n").unwrap();
        assert_eq!(std::fs::read_to_string(&moved).unwrap(), "one\ntwo\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\n");
        assert!(destination.set_file(Some(Path::new("/nowhere/at/all"))).is_err());
        destination.make_writer().write_all(b"four\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "three\nfour\n");
    }
}
