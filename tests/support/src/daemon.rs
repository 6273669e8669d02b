//! Any other program that a test or a bench needs beside it.

use crate::output::Output;
use crate::wait::wait_for_blocking;
use crate::watchdog::Watchdog;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A program in the background: killed when dropped, and when the test process ends in any way.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    output: Output,
    watchdog: Watchdog,
}

impl Daemon {
    /// Starts a program, its input and outputs taken over; panics when it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C in the terminal is for the tests; the watchdog then ends this one.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("start {name}: {error}"));
        let mut output = Output::default();
        output.collect(child.stdout.take().expect("stdout is piped"));
        output.collect(child.stderr.take().expect("stderr is piped"));
        // This process reaps the child and disarms the watchdog right after: the id is the child's while it can matter.
        let watchdog = Watchdog::start("kill -KILL \"$1\"", &[&child.id().to_string()]);
        Daemon { child, output, watchdog }
    }

    /// Waits until a port of 127.0.0.1 accepts; panics with the program's words when it does not.
    pub fn wait_accepting(&mut self, port: u16, timeout: Duration) {
        let mut exited = false;
        let came = wait_for_blocking(timeout, || {
            exited = !self.is_running();
            exited || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        assert!(came && !exited, "nobody accepts on port {port}; it said:\n{}", self.log());
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("look at a child").is_none()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All it has said so far, on stdout and stderr.
    pub fn log(&self) -> String {
        self.output.text()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Killing a child that was reaped already is an error that says so.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.watchdog.disarm();
    }
}

#[cfg(test)]
mod tests {
    use super::Daemon;
    use crate::processes::is_alive;
    use crate::wait::wait_for_blocking;
    use std::process::Command;
    use std::time::Duration;

    #[test]
    fn is_gone_when_dropped() {
        let mut daemon =
            Daemon::start(Command::new("sh").args(["-c", "echo here; exec sleep 600"]));
        assert!(wait_for_blocking(Duration::from_secs(10), || daemon.log() == "here\n"));
        assert!(daemon.is_running());
        let pid = daemon.pid();
        drop(daemon);
        assert!(!is_alive(pid));
    }
}
