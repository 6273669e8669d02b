//! What happens before there are threads: another user, the background, the file with the process's number.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User, daemon, getpid, initgroups, setgid, setuid};

use crate::config::Process;

/// How the process is to be started, from the command line.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// In the background.
    pub daemon: bool,
    /// Nothing is logged to standard error.
    pub quiet: bool,
    /// Take the place of the process that runs; its clients stay with it until they leave.
    pub reboot: bool,
    /// The user to become; wins over the configuration's.
    pub user: Option<String>,
    /// How often more is to be logged.
    pub verbosity: u8,
}

impl Launch {
    /// Becomes the process that serves. Only the thread that calls may exist.
    ///
    /// # Errors
    /// The user, the background or the file cannot be had.
    pub(super) fn prepare(&self, settings: &Process) -> Result<Claim, String> {
        if let Some(user) = self.user.as_deref().or(settings.user.as_deref()) {
            become_user(user).map_err(|why| format!("cannot become user {user:?}: {why}"))?;
        }
        let pidfile = settings.pidfile.as_deref();
        let predecessor = if self.reboot { predecessor(settings)? } else { None };
        if predecessor.is_none() {
            pidfile.map_or(Ok(()), check_stale)?;
        }
        if self.daemon {
            if pidfile.is_none() {
                return Err("daemon needs pidfile configured".to_owned());
            }
            daemon(true, false).map_err(|error| format!("cannot go to the background: {error}"))?;
        }
        match predecessor {
            Some(predecessor) => Ok(Claim::Succeeds(predecessor)),
            None => Ok(Claim::Alone(pidfile.map(PidFile::write).transpose()?)),
        }
    }
}

/// Whether there is a process to be relieved.
#[derive(Debug)]
pub(super) enum Claim {
    /// There is none; the file with this process's number, if there is to be one.
    Alone(Option<PidFile>),
    /// There is.
    Succeeds(Predecessor),
}

impl Claim {
    /// True when somebody else still listens where this process is to.
    pub(super) fn succeeds(&self) -> bool {
        matches!(self, Claim::Succeeds(_))
    }

    /// This process listens now: the one before it need not any more.
    pub(super) fn settle(self) -> Result<Option<PidFile>, String> {
        match self {
            Claim::Alone(file) => Ok(file),
            Claim::Succeeds(predecessor) => predecessor.relieve().map(Some),
        }
    }
}

/// The process whose place this one takes.
#[derive(Debug)]
pub(super) struct Predecessor {
    pid: Pid,
    pidfile: PathBuf,
}

impl Predecessor {
    /// It lets nobody in any more, and ends when its last client has left.
    fn relieve(self) -> Result<PidFile, String> {
        tracing::info!(pid = self.pid.as_raw(), "relieving the process that ran before");
        kill(self.pid, Signal::SIGTERM).map_err(|error| {
            format!("cannot relieve the process that ran before: {}", error.desc())
        })?;
        PidFile::replace(&self.pidfile)
    }
}

/// What `-R` takes over from; nothing if no pooler runs.
fn predecessor(settings: &Process) -> Result<Option<Predecessor>, String> {
    let pidfile = settings.pidfile.as_deref().ok_or("-R needs pidfile configured")?;
    let Some(pid) = fs::read_to_string(pidfile).ok().as_deref().and_then(number) else {
        return Ok(None);
    };
    // Numbers are used again: only a pooler is sent away.
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    if !["pgusher", "pgbouncer"].contains(&name.trim()) {
        return Ok(None);
    }
    if !settings.so_reuseport {
        return Err("-R needs so_reuseport = 1: sockets are not handed over, both processes listen until the new one \
                    is ready"
            .to_owned());
    }
    Ok(Some(Predecessor { pid, pidfile: pidfile.to_owned() }))
}

fn number(text: &str) -> Option<Pid> {
    text.trim().parse().ok().filter(|pid| *pid > 0).map(Pid::from_raw)
}

fn become_user(name: &str) -> Result<(), String> {
    let text = |error: Errno| error.desc().to_owned();
    let user = User::from_name(name).map_err(text)?.ok_or("there is no such user")?;
    if user.uid == Uid::effective() {
        return Ok(());
    }
    if !Uid::effective().is_root() {
        return Err("only root may become somebody else".to_owned());
    }
    let name = std::ffi::CString::new(name).map_err(|error| error.to_string())?;
    initgroups(&name, user.gid).map_err(text)?;
    setgid(user.gid).map_err(text)?;
    setuid(user.uid).map_err(text)
}

/// Removes the file of a process that is gone. One that runs, or cannot be told, keeps its file.
fn check_stale(path: &Path) -> Result<(), String> {
    let name = path.display();
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(format!("could not open pidfile '{name}': {error}")),
    };
    let is_gone = number(&text).is_some_and(|pid| kill(pid, None) == Err(Errno::ESRCH));
    if !is_gone {
        return Err(format!("pidfile '{name}' exists, another instance running?"));
    }
    fs::remove_file(path).map_err(|error| format!("could not remove stale pidfile: {error}"))
}

/// The file with the process's number; it goes with the process.
#[derive(Debug)]
pub(super) struct PidFile(PathBuf);

impl PidFile {
    fn write(path: &Path) -> Result<Self, String> {
        let write = || {
            let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
            writeln!(file, "{}", getpid())
        };
        write().map_err(|error: std::io::Error| {
            format!("could not write pidfile '{}': {error}", path.display())
        })?;
        Ok(PidFile(path.to_owned()))
    }

    /// In the place of another process's.
    fn replace(path: &Path) -> Result<Self, String> {
        let write = || {
            let fresh = path.with_extension("new");
            fs::write(&fresh, format!("{}\n", getpid()))?;
            fs::rename(fresh, path)
        };
        let fail = |error: std::io::Error| {
            format!("could not write pidfile '{}': {error}", path.display())
        };
        write().map(|()| PidFile(path.to_owned())).map_err(fail)
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // A process that has taken this one's place has its own number there. Somebody who removed it before has done
        // the same.
        let owner = fs::read_to_string(&self.0).ok().as_deref().and_then(number);
        if owner == Some(getpid()) {
            let _ = fs::remove_file(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pidfile_is_there_while_its_process_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pid");
        check_stale(&path).unwrap();
        let file = PidFile::write(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), format!("{}\n", std::process::id()));
        assert!(check_stale(&path).unwrap_err().contains("another instance running?"));
        drop(file);
        assert!(!path.exists());
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        fs::write(&path, child.id().to_string()).unwrap();
        check_stale(&path).unwrap();
        assert!(!path.exists(), "its process is gone");
        let file = PidFile::write(&path).unwrap();
        fs::write(&path, "1\n").unwrap();
        drop(file);
        assert!(path.exists(), "it is a successor's");
        fs::write(&path, "x").unwrap();
        assert!(check_stale(&path).is_err(), "whose it is cannot be told");
    }

    #[test]
    fn nobody_becomes_a_user_that_is_not_there() {
        assert_eq!(become_user("no such user").unwrap_err(), "there is no such user");
        let own = User::from_uid(Uid::effective()).unwrap().unwrap();
        become_user(&own.name).unwrap();
    }
}
