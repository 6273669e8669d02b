//! Lines for syslog, which writes dates and names of its own.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use crate::config::{Facility, Process};

/// Where syslog listens.
pub(super) const SOCKET: &str = "/dev/log";

/// The way to syslog.
#[derive(Debug)]
pub(super) struct Syslog {
    socket: UnixDatagram,
    ident: String,
    facility: Facility,
}

impl Syslog {
    /// As the settings say; `None`: not at all.
    pub(super) fn open(process: &Process, path: &Path) -> io::Result<Option<Self>> {
        if !process.syslog {
            return Ok(None);
        }
        let socket = UnixDatagram::unbound()?;
        socket.connect(path)?;
        socket.set_nonblocking(true)?;
        let (ident, facility) = (process.syslog_ident.clone(), process.syslog_facility);
        Ok(Some(Syslog { socket, ident, facility }))
    }

    /// Sends a line of the log. A syslog that does not keep up loses it.
    pub(super) fn send(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let (severity, text) = read(line.trim_end());
        let priority = self.facility as u8 * 8 + severity;
        let (ident, pid) = (&self.ident, std::process::id());
        let _ = self.socket.send(format!("<{priority}>{ident}[{pid}]: {text}").as_bytes());
    }
}

/// Syslog's number for the line's level, and what is behind it.
fn read(line: &str) -> (u8, &str) {
    const LEVELS: [(&str, u8); 9] = [
        ("FATAL", 2),
        ("ERROR", 3),
        ("WARNING", 4),
        ("WARN", 4),
        ("LOG", 6),
        ("INFO", 6),
        ("DEBUG", 7),
        ("NOISE", 7),
        ("TRACE", 7),
    ];
    // A date, a time, a zone and a process may stand before the level.
    let mut rest = line;
    for _ in 0..5 {
        let (word, after) = rest.trim_start().split_once(' ').unwrap_or((rest, ""));
        if let Some((_, severity)) = LEVELS.iter().find(|(level, _)| *level == word) {
            return (*severity, after.trim_start());
        }
        rest = after;
    }
    (6, line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_dates() {
        let text = "2026-07-14 09:30:00.123 UTC [42] WARNING C-7: a/b@10.0.0.1:5 pooler error: x";
        assert_eq!(read(text), (4, "C-7: a/b@10.0.0.1:5 pooler error: x"));
        assert_eq!(read("2026-07-14T09:30:00Z  INFO pgusher: up"), (6, "pgusher: up"));
        assert_eq!(read("no level in this line of text"), (6, "no level in this line of text"));
    }

    #[test]
    fn syslog_hears_who_speaks_and_how_loud() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let ear = UnixDatagram::bind(&path).unwrap();
        let process = Process {
            syslog: true,
            syslog_ident: "pooler".into(),
            syslog_facility: Facility::Local3,
            ..Process::default()
        };
        let syslog = Syslog::open(&process, &path).unwrap().unwrap();
        syslog.send(b"2026-07-14 09:30:00.123 UTC [42] ERROR it broke\n");
        let mut bytes = [0; 100];
        let count = ear.recv(&mut bytes).unwrap();
        let pid = std::process::id();
        let expected = format!("<155>pooler[{pid}]: it broke");
        assert_eq!(String::from_utf8_lossy(&bytes[..count]), expected);
        assert!(Syslog::open(&Process::default(), &path).unwrap().is_none());
    }
}
