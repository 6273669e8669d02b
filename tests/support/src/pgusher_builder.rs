//! How a [`Pgusher`] shall be started.

use crate::output::Output;
use crate::pgusher::Pgusher;
use crate::ports::{ATTEMPTS, free_port};
use crate::wait::wait_for_blocking;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;
use tempfile::TempDir;

/// The head of most configurations: the port of the kit, on which everybody is let in. More of `[pgusher]` may follow.
pub const TRUSTING: &str =
    "[pgusher]\nlisten_addr = \"127.0.0.1\"\nlisten_port = {port}\nauth_type = \"trust\"\n";

/// The binary under test, its configuration and its files.
///
/// In the configuration and in every file, `{port}`, `{http_port}` and `{dir}` stand for the ports the kit picked and
/// for the private folder that holds all the files.
#[derive(Debug, Clone)]
pub struct PgusherBuilder {
    binary: PathBuf,
    config: String,
    config_name: String,
    files: Vec<(String, String)>,
    env: Vec<(String, String)>,
    args: Vec<String>,
    startup_timeout: Duration,
    port: Option<u16>,
}

/// How a run ended that was not meant to last.
#[derive(Debug)]
pub struct Exited {
    /// The exit status.
    pub status: ExitStatus,
    /// Everything it said.
    pub log: String,
}

/// Folder and ports of one start.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) folder: TempDir,
    pub(crate) config: PathBuf,
    pub(crate) port: u16,
    pub(crate) http_port: u16,
}

impl PgusherBuilder {
    pub(crate) fn new(binary: &Path, config: &str) -> Self {
        PgusherBuilder {
            binary: binary.to_owned(),
            config: config.to_owned(),
            config_name: "pgusher.toml".to_owned(),
            files: Vec::new(),
            env: Vec::new(),
            args: Vec::new(),
            startup_timeout: Duration::from_secs(20),
            port: None,
        }
    }

    /// The configuration's file name, `pgusher.toml` unless told.
    #[must_use]
    pub fn config_name(mut self, name: &str) -> Self {
        self.config_name = name.to_owned();
        self
    }

    /// A file next to the configuration, such as `userlist.txt`.
    #[must_use]
    pub fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// An environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The port that `{port}` stands for; a free one unless told.
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = Some(port);
        self
    }

    /// A command line argument, before the configuration's path.
    #[must_use]
    pub fn arg(mut self, arg: &str) -> Self {
        self.args.push(arg.to_owned());
        self
    }

    /// How long it may take until its port accepts; 20 s unless told.
    #[must_use]
    pub fn startup_timeout(mut self, timeout: Duration) -> Self {
        self.startup_timeout = timeout;
        self
    }

    /// Starts it and waits until its port accepts; panics with its words when it does not come up.
    pub fn start(&self) -> Pgusher {
        let mut words = String::new();
        for _ in 0..ATTEMPTS {
            let site = self.make_site();
            let (child, output) = self.spawn(&site);
            let mut pgusher = Pgusher::new(child, output, site);
            if pgusher.wait_accepting(self.startup_timeout) {
                return pgusher;
            }
            words = pgusher.kill_and_log();
            if !words.to_ascii_lowercase().contains("address already in use") {
                break;
            }
        }
        panic!("pgusher does not accept on its port; it said:\n{words}");
    }

    /// Runs it to its end, for starts that must fail or commands that end by themselves.
    pub fn run_to_exit(&self, timeout: Duration) -> Exited {
        let site = self.make_site();
        let (mut child, mut output) = self.spawn(&site);
        let ended =
            wait_for_blocking(timeout, || child.try_wait().is_ok_and(|status| status.is_some()));
        if !ended {
            let _ = child.kill();
        }
        let status = child.wait().expect("wait for pgusher");
        output.finish();
        let log = output.text();
        assert!(ended, "pgusher still ran after {timeout:?}; it said:\n{log}");
        Exited { status, log }
    }

    fn spawn(&self, site: &Site) -> (Child, Output) {
        let mut child = Command::new(&self.binary)
            .args(&self.args)
            .arg(&site.config)
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C in the terminal is for the tests; the watchdog then ends this one.
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", self.binary.display()));
        let mut output = Output::default();
        output.collect(child.stdout.take().expect("stdout is piped"));
        output.collect(child.stderr.take().expect("stderr is piped"));
        (child, output)
    }

    fn make_site(&self) -> Site {
        let folder =
            tempfile::Builder::new().prefix("pgu-").tempdir().expect("make a temporary folder");
        let config = folder.path().join(&self.config_name);
        let site = Site {
            folder,
            config,
            port: self.port.unwrap_or_else(free_port),
            http_port: free_port(),
        };
        site.write(&self.config_name, &self.config);
        for (name, text) in &self.files {
            site.write(name, text);
        }
        site
    }
}

impl Site {
    /// Writes a file with the placeholders filled in. A rename puts it there whole: a reload never sees half of it.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).expect("make a folder for a file");
        }
        let fresh = self.folder.path().join(".new");
        std::fs::write(&fresh, self.fill(text)).expect("write a file");
        std::fs::rename(&fresh, &path).expect("put a file in its place");
    }

    fn fill(&self, text: &str) -> String {
        text.replace("{port}", &self.port.to_string())
            .replace("{http_port}", &self.http_port.to_string())
            .replace("{dir}", &self.folder.path().to_string_lossy())
    }
}
