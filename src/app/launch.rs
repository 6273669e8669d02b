//! What happens before there are threads: another user, the background, the file with the process's number.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::{Pid, Uid, User, daemon, getpid, initgroups, setgid, setuid};

use crate::config::Process;

/// How the process is to be started, from the command line.
#[derive(Clone, Debug, Default)]
pub struct Launch {
    /// In the background.
    pub daemon: bool,
    /// Nothing is logged to standard error.
    pub quiet: bool,
    /// Take over from a running process.
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
    pub(super) fn prepare(&self, settings: &Process) -> Result<Option<PidFile>, String> {
        if let Some(user) = self.user.as_deref().or(settings.user.as_deref()) {
            become_user(user).map_err(|why| format!("cannot become user {user:?}: {why}"))?;
        }
        let pidfile = settings.pidfile.as_deref();
        pidfile.map_or(Ok(()), check_stale)?;
        if self.daemon {
            if pidfile.is_none() {
                return Err("daemon needs pidfile configured".to_owned());
            }
            daemon(true, false).map_err(|error| format!("cannot go to the background: {error}"))?;
        }
        pidfile.map(PidFile::write).transpose()
    }
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
    let pid = text.trim().parse::<i32>().ok().filter(|pid| *pid > 0);
    let is_gone = pid.is_some_and(|pid| kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH));
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
}

impl Drop for PidFile {
    fn drop(&mut self) {
        // Somebody who removed it before has done the same.
        let _ = fs::remove_file(&self.0);
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
