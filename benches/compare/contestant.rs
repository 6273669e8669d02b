//! Those who take part, running.

use crate::binary::binary;
use crate::pure::options::Kind;
use crate::stage::Stage;
use pgusher_testkit::{Daemon, Pgusher, processes, self_signed};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use tempfile::TempDir;

/// How long anybody may take to start.
const PATIENCE: Duration = Duration::from_secs(20);

/// Debian keeps servers where only root's search path looks.
const MORE_FOLDERS: [&str; 3] = ["/usr/sbin", "/usr/local/sbin", "/sbin"];

/// What clients have to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Door {
    /// Nothing.
    Trust,
    /// Their password, by SCRAM; the pooler knows the verifier.
    Scram,
    /// The same over TLS.
    TlsScram,
}

impl Door {
    /// All doors.
    pub(crate) const ALL: [Door; 3] = [Door::Trust, Door::Scram, Door::TlsScram];

    fn auth_type(self) -> &'static str {
        match self {
            Door::Trust => "trust",
            Door::Scram | Door::TlsScram => "scram-sha-256",
        }
    }

    /// libpq's `sslmode` for it.
    pub(crate) fn sslmode(self) -> &'static str {
        if self == Door::TlsScram { "require" } else { "disable" }
    }
}

impl std::fmt::Display for Door {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tls = if *self == Door::TlsScram { "TLS, " } else { "" };
        write!(out, "{tls}{}", self.auth_type())
    }
}

/// One who takes part, running for as long as this lives.
#[derive(Debug)]
pub(crate) struct Contestant {
    kind: Kind,
    door: Door,
    port: u16,
    body: Body,
}

#[derive(Debug)]
enum Body {
    /// A program of somebody else, with the folder of its configuration.
    Daemon {
        daemon: Daemon,
        _folder: TempDir,
    },
    Pgusher(Pgusher),
    /// The server itself.
    Nobody,
}

impl Contestant {
    /// Starts it in front of the stage's server.
    pub(crate) fn start(kind: Kind, stage: &Stage) -> Self {
        Self::start_behind(kind, stage, Door::Trust)
    }

    /// [`Contestant::start`] for clients that have to show something.
    pub(crate) fn start_behind(kind: Kind, stage: &Stage, door: Door) -> Self {
        let (port, body) = match kind {
            Kind::Pgbouncer => start_pgbouncer(stage, door),
            Kind::Haproxy => start_haproxy(stage),
            Kind::Direct => (stage.port(), Body::Nobody),
            _ => start_pgusher(stage, kind.workers().unwrap_or("1"), door),
        };
        Contestant { kind, door, port, body }
    }

    /// Who it is.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// What its clients have to show.
    pub(crate) fn door(&self) -> Door {
        self.door
    }

    /// Where clients connect, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its process; `None` for the server itself.
    pub(crate) fn pid(&self) -> Option<u32> {
        match &self.body {
            Body::Daemon { daemon, .. } => Some(daemon.pid()),
            Body::Pgusher(pgusher) => Some(pgusher.pid()),
            Body::Nobody => None,
        }
    }

    /// Processor seconds it has used so far; `None` for the server itself.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        processes::cpu_seconds(self.pid()?)
    }

    /// Its memory in KiB; `None` for the server itself.
    pub(crate) fn rss_kib(&self) -> Option<u64> {
        processes::rss_kib(self.pid()?)
    }

    /// What it has said, for a failure's report.
    pub(crate) fn log(&self) -> String {
        match &self.body {
            Body::Daemon { daemon, .. } => daemon.log(),
            Body::Pgusher(pgusher) => pgusher.log(),
            Body::Nobody => String::new(),
        }
    }
}

/// Whether the program of a contestant is there, with what to do when it is not.
pub(crate) fn installed(kind: Kind) -> Result<(), String> {
    let name = match kind {
        Kind::Pgbouncer => "pgbouncer",
        Kind::Haproxy => "haproxy",
        _ => return Ok(()),
    };
    find(name).map(|_| ()).ok_or_else(|| {
        format!("{name} is not installed: run `.ci/setup bench`, or leave it out of --contestants")
    })
}

/// What a contestant calls itself, for the report's heading.
pub(crate) fn version(kind: Kind) -> String {
    let (program, flag) = match kind {
        Kind::Pgbouncer => (find("pgbouncer"), "--version"),
        Kind::Haproxy => (find("haproxy"), "-v"),
        Kind::Direct => return "no proxy".to_owned(),
        _ => {
            let workers = kind.workers().unwrap_or_default();
            return format!("pgusher {} (worker_threads = {workers})", env!("CARGO_PKG_VERSION"));
        }
    };
    let said = program.and_then(|program| Command::new(program).arg(flag).output().ok());
    let text = said.map(|said| String::from_utf8_lossy(&said.stdout).into_owned());
    let line = text.as_deref().and_then(|text| text.lines().next()).unwrap_or_default();
    line.split(" 20").next().unwrap_or(line).to_owned()
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(MORE_FOLDERS.iter().map(PathBuf::from))
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

fn start_pgbouncer(stage: &Stage, door: Door) -> (u16, Body) {
    let (port, server) = (stage.free_port(), stage.port());
    let folder = make_folder();
    let users = folder.path().join("userlist.txt");
    write(&users, &stage.userlist());
    let config = folder.path().join("pgbouncer.ini");
    let text = format!(
        "[databases]\n* = host=127.0.0.1 port={server}\n\
         [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
         auth_type = {auth_type}\nauth_file = {users}\npool_mode = transaction\ndefault_pool_size = 20\n\
         max_client_conn = 12000\nlisten_backlog = 1024\nlog_connections = 0\nlog_disconnections = 0\n",
        users = users.display(),
        auth_type = door.auth_type(),
    );
    let mut text = text;
    if door == Door::TlsScram {
        let (certificate, key) = self_signed("localhost", &[]).write(folder.path(), "tls");
        text += &format!(
            "client_tls_sslmode = require\nclient_tls_cert_file = {}\nclient_tls_key_file = {}\n",
            certificate.display(),
            key.display(),
        );
    }
    write(&config, &text);
    let mut command = Command::new(find("pgbouncer").expect("pgbouncer is installed"));
    if rustix::process::geteuid().is_root() {
        // It refuses to run as root, and changes its user itself.
        command.args(["-u", if user_exists("postgres") { "postgres" } else { "nobody" }]);
    }
    start_daemon(command.arg(&config), port, folder)
}

fn start_haproxy(stage: &Stage) -> (u16, Body) {
    let (port, server) = (stage.free_port(), stage.port());
    let folder = make_folder();
    let config = folder.path().join("haproxy.cfg");
    let text = format!(
        "global\n  nbthread 1\n  maxconn 4000\n\
         defaults\n  mode tcp\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n\
         listen postgres\n  bind 127.0.0.1:{port}\n  server postgres 127.0.0.1:{server}\n",
    );
    write(&config, &text);
    let mut command = Command::new(find("haproxy").expect("haproxy is installed"));
    start_daemon(command.arg("-db").arg("-f").arg(&config), port, folder)
}

fn start_daemon(command: &mut Command, port: u16, folder: TempDir) -> (u16, Body) {
    let mut daemon = Daemon::start(command);
    daemon.wait_accepting(port, PATIENCE);
    (port, Body::Daemon { daemon, _folder: folder })
}

/// `workers` is what `worker_threads` is set to.
fn start_pgusher(stage: &Stage, workers: &str, door: Door) -> (u16, Body) {
    let config = format!(
        "[pgusher]\nlisten_addr = \"127.0.0.1\"\nlisten_port = {{port}}\nauth_type = \"{auth_type}\"\nauth_file = \"users\"\n\
         max_client_conn = 12000\nworker_threads = {workers}\nlog_connections = false\nlog_disconnections = false\n\
         [defaults]\ndefault_pool_size = 20\nquery_wait_timeout = \"60s\"\n\
         [databases.\"*\"]\nhost = \"127.0.0.1\"\nport = {server}\n",
        server = stage.port(),
        auth_type = door.auth_type(),
    );
    let folder = make_folder();
    let tls = match door {
        Door::TlsScram => {
            let (certificate, key) = self_signed("localhost", &[]).write(folder.path(), "tls");
            let (certificate, key) = (certificate.display(), key.display());
            format!(
                "[tls.client]\nsslmode = \"require\"\ncert_file = \"{certificate}\"\nkey_file = \"{key}\"\n"
            )
        }
        Door::Trust | Door::Scram => String::new(),
    };
    let builder = Pgusher::builder(binary(), &(config + &tls));
    let pgusher = builder.file("users", &stage.userlist()).start();
    // What it read of the folder it keeps.
    (pgusher.port(), Body::Pgusher(pgusher))
}

fn user_exists(name: &str) -> bool {
    Command::new("id").arg(name).output().is_ok_and(|output| output.status.success())
}

/// A folder whose files every user may read: PgBouncer reads its own again after it has changed its user.
fn make_folder() -> TempDir {
    let folder =
        tempfile::Builder::new().prefix("pgc-").tempdir().expect("make a temporary folder");
    set_mode(folder.path(), 0o755);
    folder
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("write {}: {error}", path.display()));
    set_mode(path, 0o644);
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
        .unwrap_or_else(|error| panic!("chmod {}: {error}", path.display()));
}
