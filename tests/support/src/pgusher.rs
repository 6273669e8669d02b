//! The binary under test, running.

use crate::http;
use crate::output::Output;
use crate::pgusher_builder::{PgusherBuilder, Site};
use crate::wait::wait_for_blocking;
use crate::watchdog::Watchdog;
use rustix::process::{Pid, Signal, kill_process};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::time::Duration;

/// A running pgusher: killed when dropped, and when the test process ends in any way.
#[derive(Debug)]
pub struct Pgusher {
    child: Child,
    site: Site,
    output: Output,
    watchdog: Watchdog,
}

impl Pgusher {
    /// Starts describing a start; see [`PgusherBuilder`] for the placeholders in `config`.
    pub fn builder(binary: impl AsRef<Path>, config: &str) -> PgusherBuilder {
        PgusherBuilder::new(binary.as_ref(), config)
    }

    /// Starts `binary` with nothing but a configuration; integration tests give `env!("CARGO_BIN_EXE_pgusher")`.
    pub fn start(binary: impl AsRef<Path>, config: &str) -> Self {
        Self::builder(binary, config).start()
    }

    pub(crate) fn new(child: Child, output: Output, site: Site) -> Self {
        let folder = site.folder.path().to_str().expect("a temporary folder with a UTF-8 name");
        // This process reaps the child and disarms the watchdog right after: the id is the child's while it can matter.
        let watchdog =
            Watchdog::start("kill -KILL \"$1\"; rm -rf \"$2\"", &[&child.id().to_string(), folder]);
        Pgusher { child, site, output, watchdog }
    }

    /// Waits until the port accepts; false when the process ended or the time passed first.
    pub(crate) fn wait_accepting(&mut self, timeout: Duration) -> bool {
        let port = self.port();
        let mut exited = false;
        let came = wait_for_blocking(timeout, || {
            exited = self.child.try_wait().expect("look at pgusher").is_some();
            exited || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
        });
        // The port of a stranger may have answered while our own process was failing to take it.
        came && !exited && self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    pub(crate) fn kill_and_log(&mut self) -> String {
        self.kill();
        self.output.finish();
        self.log()
    }

    /// The port it listens on, on 127.0.0.1: `{port}` in its configuration.
    pub fn port(&self) -> u16 {
        self.site.port
    }

    /// The port for its HTTP pages: `{http_port}` in its configuration.
    pub fn http_port(&self) -> u16 {
        self.site.http_port
    }

    /// The folder of its configuration: `{dir}` in its configuration.
    pub fn dir(&self) -> &Path {
        self.site.folder.path()
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection URL; an empty password is none.
    pub fn url(&self, database: &str, user: &str, password: &str) -> String {
        let colon = if password.is_empty() { "" } else { ":" };
        format!("postgres://{user}{colon}{password}@127.0.0.1:{}/{database}", self.port())
    }

    /// All it has said so far, on stdout and stderr.
    pub fn log(&self) -> String {
        self.output.text()
    }

    /// Waits, blocking, until its log holds `part`; panics with the log when it does not come.
    pub fn wait_log(&self, part: &str, timeout: Duration) {
        assert!(self.output.wait(part, timeout), "{part:?} not in pgusher's log:\n{}", self.log());
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("signal pgusher");
    }

    /// Its exit status, if it has ended.
    pub fn try_exit(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("look at pgusher")
    }

    /// Waits, blocking, for it to end by itself; panics with its log when it does not.
    pub fn wait_exit(&mut self, timeout: Duration) -> ExitStatus {
        let ended = wait_for_blocking(timeout, || {
            self.child.try_wait().is_ok_and(|status| status.is_some())
        });
        assert!(ended, "pgusher still runs after {timeout:?}:\n{}", self.log());
        self.output.finish();
        self.child.wait().expect("wait for pgusher")
    }

    /// Puts a new configuration in place of the old one, placeholders filled in; nobody is told.
    pub fn rewrite_config(&self, text: &str) {
        let name = self
            .site
            .config
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a configuration has a name");
        self.site.write(name, text);
    }

    /// Puts a new text in place of a file of its folder.
    pub fn rewrite_file(&self, name: &str, text: &str) {
        self.site.write(name, text);
    }

    /// Asks its HTTP port for a page; panics when there is no answer.
    pub fn http_get(&self, path: &str) -> (u16, String) {
        http::get(self.http_port(), path)
            .unwrap_or_else(|error| panic!("{error}\nits log:\n{}", self.log()))
    }

    /// [`Pgusher::http_get`] that gives the reason when there is no answer.
    pub fn try_http_get(&self, path: &str) -> Result<(u16, String), String> {
        http::get(self.http_port(), path)
    }

    /// Ends it at once (SIGKILL).
    pub fn kill(&mut self) {
        // Killing a child that was reaped already is an error that says so.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Pgusher {
    fn drop(&mut self) {
        self.kill();
        self.watchdog.disarm();
    }
}
