//! A tiny shell that tidies up after a test process, however that process ends.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};

/// Runs a shell clean-up once this process is gone, a SIGKILL included.
///
/// The shell reads a pipe whose only writing end is here: the kernel closes it when the process ends. Chosen over the
/// parent-death signal, which fires when the *thread* that started the child ends, as each test's thread does.
#[derive(Debug)]
pub(crate) struct Watchdog {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Watchdog {
    /// Starts a watchdog; `cleanup` is shell text that finds `args` as `$1`, `$2`...
    pub(crate) fn start(cleanup: &str, args: &[&str]) -> Self {
        let script =
            format!("trap '' INT HUP; read -r order; [ \"$order\" = disarm ] && exit 0\n{cleanup}");
        let mut shell = Command::new("sh")
            .args(["-c", &script, "watchdog"])
            .args(args)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("start sh as a watchdog");
        let pipe = shell.stdin.take();
        Watchdog { shell, pipe }
    }

    /// Sends the shell away: there is nothing left to tidy up.
    pub(crate) fn disarm(&mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            // A shell that is gone already needs no order.
            let _ = pipe.write_all(b"disarm\n");
            drop(pipe);
            let _ = self.shell.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Watchdog;
    use crate::wait::wait_for_blocking;
    use std::time::Duration;

    #[test]
    fn runs_the_cleanup_when_the_pipe_closes() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let mut dog = Watchdog::start("echo done > \"$1\"", &[mark.to_str().unwrap()]);
        drop(dog.pipe.take());
        assert!(wait_for_blocking(Duration::from_secs(10), || mark.exists()));
        dog.shell.wait().unwrap();
    }

    #[test]
    fn does_nothing_once_disarmed() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("mark");
        let mut dog = Watchdog::start("echo done > \"$1\"", &[mark.to_str().unwrap()]);
        dog.disarm();
        assert!(dog.shell.try_wait().unwrap().is_some(), "disarm reaps the shell");
        assert!(!mark.exists());
    }
}
