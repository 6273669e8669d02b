//! A private, real PostgreSQL.

use crate::cluster_builder::ClusterBuilder;
use crate::pg_tools::PgTools;
use crate::wait::wait_for_blocking;
use crate::watchdog::Watchdog;
use rustix::process::{Pid, Signal, kill_process};
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// How long the server may take to start or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// Stops the server of folder `$1` and removes the folder. The id in the file counts only while that process stands in
/// the data folder, as every postmaster does: ids are used again.
const CLEANUP: &str = r#"
pid=$(head -n 1 "$1/data/postmaster.pid")
ours() { [ -n "$pid" ] && [ "$(readlink "/proc/$pid/cwd")" = "$1/data" ]; }
ours "$1" && kill -QUIT "$pid"
tries=0
while ours "$1" && [ $tries -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
ours "$1" && kill -KILL "$pid"
rm -rf "$1"
"#;

static SHARED: OnceLock<Cluster> = OnceLock::new();

/// How a server is stopped, in `pg_ctl`'s words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Ends all sessions, then shuts down in order (SIGINT).
    Fast,
    /// Drops everything at once, as in a crash (SIGQUIT).
    Immediate,
}

/// A private, real PostgreSQL in a temporary folder: gone when dropped, and when the test process ends in any way.
#[derive(Debug)]
pub struct Cluster {
    tools: PgTools,
    folder: TempDir,
    port: u16,
    server: Mutex<Option<Child>>,
    watchdog: Watchdog,
}

impl Cluster {
    /// Starts describing a cluster.
    pub fn builder() -> ClusterBuilder {
        ClusterBuilder::new()
    }

    /// A cluster with the defaults and 300 connections, one per test process, made at first use.
    ///
    /// Tests that run in parallel share it: each makes its own database, and none stops it.
    pub fn shared() -> &'static Cluster {
        SHARED.get_or_init(|| Cluster::builder().max_connections(300).build())
    }

    pub(crate) fn new(tools: PgTools, folder: TempDir) -> Self {
        let path = folder.path().to_str().expect("a temporary folder with a UTF-8 name");
        let watchdog = Watchdog::start(CLEANUP, &[path]);
        Cluster { tools, folder, port: 0, server: Mutex::new(None), watchdog }
    }

    /// Starts on a port nobody used before; false when somebody else took that port meanwhile.
    pub(crate) fn start_on(&mut self, port: u16) -> bool {
        self.port = port;
        let _ = std::fs::remove_file(self.log_path());
        if self.try_start() {
            // With two addresses the server contents itself with one of them.
            if !self.log().contains("could not bind") {
                return true;
            }
            self.stop_with(StopMode::Immediate);
        }
        let log = self.log();
        assert!(log.contains("could not bind"), "PostgreSQL does not start:\n{log}");
        false
    }

    /// The TCP port, the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address it listens on.
    pub fn host(&self) -> &'static str {
        "127.0.0.1"
    }

    /// The folder with the unix socket `.s.PGSQL.<port>`.
    pub fn socket_dir(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    /// The data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The superuser's name.
    pub fn superuser(&self) -> &'static str {
        "postgres"
    }

    /// A connection URL without a password.
    pub fn url(&self, database: &str, user: &str) -> String {
        format!("postgres://{user}@{}:{}/{database}", self.host(), self.port)
    }

    /// A connection URL with a password.
    pub fn url_with_password(&self, database: &str, user: &str, password: &str) -> String {
        format!("postgres://{user}:{password}@{}:{}/{database}", self.host(), self.port)
    }

    /// The path of one of PostgreSQL's programs, such as `pgbench`.
    pub fn bin(&self, name: &str) -> PathBuf {
        self.tools.bin(name)
    }

    /// Runs SQL as the superuser in database `postgres`; gives the rows, fields parted by `|`.
    pub fn psql(&self, sql: &str) -> String {
        self.psql_in("postgres", sql)
    }

    /// [`Cluster::psql`] in another database.
    pub fn psql_in(&self, database: &str, sql: &str) -> String {
        self.try_psql(database, sql)
            .unwrap_or_else(|error| panic!("psql in {database}: {error}\nfor: {sql}"))
    }

    /// [`Cluster::psql_in`] that gives psql's words when it fails.
    pub fn try_psql(&self, database: &str, sql: &str) -> Result<String, String> {
        let mut command = self.psql_command(&self.socket_dir(), database, self.superuser());
        feed(&mut command, sql)
    }

    /// Runs SQL over TCP as any user; an empty password is none.
    pub fn psql_as(
        &self,
        database: &str,
        user: &str,
        password: &str,
        sql: &str,
    ) -> Result<String, String> {
        let mut command = self.psql_command(Path::new(self.host()), database, user);
        feed(command.env("PGPASSWORD", password), sql)
    }

    /// Makes a database.
    pub fn create_database(&self, name: &str) {
        self.psql(&format!("create database \"{name}\""));
    }

    /// Fills pgbench's tables in a database, as this user: 100,000 accounts for each unit of `scale`.
    pub fn fill(&self, database: &str, user: &str, scale: u32) {
        let made = Command::new(self.bin("pgbench"))
            .args(["-i", "-q", "-s", &scale.to_string(), "-h", self.host(), "-U", user])
            .args(["-p", &self.port.to_string(), database])
            .output()
            .expect("run pgbench");
        let words = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "pgbench -i in {database}: {words}");
    }

    /// Makes a database, and the section of a `pool.toml` by which pgusher serves it as `name`, with one user for all;
    /// `settings` are further lines of the section.
    pub fn pooled(&self, name: &str, database: &str, settings: &str) -> String {
        self.create_database(database);
        format!(
            "[databases.{name}]\nhost = \"{host}\"\nport = {port}\ndbname = \"{database}\"\n\
             user = \"{user}\"\n{settings}\n",
            host = self.host(),
            port = self.port(),
            user = self.superuser(),
        )
    }

    /// Ends one backend as an administrator would (57P01); false when there is none of that id.
    pub fn kill_backend(&self, pid: u32) -> bool {
        self.psql(&format!("select pg_terminate_backend({pid})")) == "t"
    }

    /// What the server has written to its log.
    pub fn log(&self) -> String {
        let bytes = std::fs::read(self.log_path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Sends the postmaster a signal: `Signal::HUP` reloads its files, `Signal::STOP` freezes its accepting.
    pub fn signal(&self, signal: Signal) {
        let server = self.server();
        let server = server.as_ref().expect("the cluster is stopped");
        kill_process(Pid::from_child(server), signal).expect("signal the postmaster");
    }

    /// Starts it again after [`Cluster::stop`], on the same port.
    pub fn start(&self) {
        assert!(self.try_start(), "PostgreSQL does not start:\n{}", self.log());
    }

    /// Stops it in order.
    pub fn stop(&self) {
        self.stop_with(StopMode::Fast);
    }

    /// Stops it; does nothing when it is stopped.
    pub fn stop_with(&self, mode: StopMode) {
        let mut server = self.server();
        if let Some(mut child) = server.take() {
            end(&mut child, mode);
        }
    }

    /// Stops and starts it.
    pub fn restart(&self, mode: StopMode) {
        self.stop_with(mode);
        self.start();
    }

    fn try_start(&self) -> bool {
        let mut server = self.server();
        assert!(server.is_none(), "the cluster runs already");
        let mut child = self.spawn();
        let mut exited = false;
        let came = wait_for_blocking(PATIENCE, || {
            exited = child.try_wait().expect("look at the postmaster").is_some();
            exited || self.says_ready(child.id())
        });
        if !came {
            end(&mut child, StopMode::Immediate);
        }
        let ready = came && !exited;
        if ready {
            *server = Some(child);
        }
        ready
    }

    fn spawn(&self) -> Child {
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log_path())
            .expect("open the server's log");
        self.tools
            .server_command("postgres", self.folder.path())
            .arg("-D")
            .arg(self.data_dir())
            .arg("-k")
            .arg(self.socket_dir())
            .args(["-p", &self.port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            // A Ctrl-C in the terminal is for the tests; the watchdog then ends the server.
            .process_group(0)
            .spawn()
            .expect("start postgres")
    }

    /// The postmaster writes its id and its state into its lock file; one of an earlier life may lie there.
    fn says_ready(&self, pid: u32) -> bool {
        let text =
            std::fs::read_to_string(self.data_dir().join("postmaster.pid")).unwrap_or_default();
        let mut lines = text.lines();
        let own = lines.next() == Some(pid.to_string().as_str());
        own && lines.nth(6).is_some_and(|state| state.trim() == "ready")
    }

    fn psql_command(&self, host: &Path, database: &str, user: &str) -> Command {
        let mut command = Command::new(self.bin("psql"));
        command
            .args([
                "-X",
                "-A",
                "-t",
                "-q",
                "-w",
                "-v",
                "ON_ERROR_STOP=1",
                "-U",
                user,
                "-d",
                database,
                "-h",
            ])
            .arg(host)
            .args(["-p", &self.port.to_string()]);
        command
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    fn server(&self) -> MutexGuard<'_, Option<Child>> {
        // A test that panicked while it held the lock must not keep the others from stopping the server.
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop_with(StopMode::Immediate);
        let removed = std::fs::remove_dir_all(self.folder.path());
        if removed.is_ok() {
            self.watchdog.disarm();
        }
    }
}

fn end(child: &mut Child, mode: StopMode) {
    let signal = match mode {
        StopMode::Fast => Signal::INT,
        StopMode::Immediate => Signal::QUIT,
    };
    // It may have ended by itself: then waiting reaps it.
    let _ = kill_process(Pid::from_child(child), signal);
    let gone =
        wait_for_blocking(PATIENCE, || child.try_wait().is_ok_and(|status| status.is_some()));
    if !gone {
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn feed(command: &mut Command, sql: &str) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("start psql: {error}"))?;
    if let Some(mut input) = child.stdin.take() {
        // psql that could not connect does not read; its own words say why.
        let _ = input.write_all(sql.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| format!("wait for psql: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
    } else {
        Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned())
    }
}
