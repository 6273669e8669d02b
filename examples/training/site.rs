//! A private PostgreSQL, a pgusher that trusts everybody and one that wants passwords.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use pgusher_testkit::{Cluster, Pgusher, Signal, TRUSTING, self_signed};

/// pgbench's scale: half a million accounts.
const SCALE: u32 = 5;

/// The database of all exercises.
const DATABASE: &str = "training";

/// The user of all exercises; the server trusts it, one pgusher does not.
const USER: &str = "trainee";
const PASSWORD: &str = "trained";

/// How long a pgusher may take to end in order: it writes its counts down then.
const PARTING: Duration = Duration::from_secs(60);

/// Which pgusher a client goes to, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// No password.
    Trust,
    /// SCRAM-SHA-256.
    Scram,
    /// The same over TLS.
    TlsScram,
}

/// The servers.
#[derive(Debug)]
pub(crate) struct Site {
    cluster: Cluster,
    trusting: Pgusher,
    guarded: Pgusher,
}

impl Site {
    /// Starts all of them and fills the tables.
    pub(crate) fn open(binary: &Path) -> Self {
        let cluster = Cluster::builder().setting("autovacuum", "off").build();
        cluster.psql(&format!("create role {USER} login password '{PASSWORD}'"));
        cluster.psql(&format!("create database {DATABASE} owner {USER}"));
        cluster.fill(DATABASE, USER, SCALE);
        cluster
            .psql_as(DATABASE, USER, "", "create unlogged table heap (like pgbench_accounts)")
            .expect("make a table for bulk data");
        let trusting = Pgusher::start(binary, &format!("{TRUSTING}{}", rest(&cluster)));
        let verifier = format!("select rolpassword from pg_authid where rolname = '{USER}'");
        let tls = self_signed("localhost", &[]);
        let guarded = format!(
            "{}auth_file = \"users\"\n{}\
             [tls.client]\nsslmode = \"allow\"\ncert_file = \"tls.crt\"\nkey_file = \"tls.key\"\n",
            TRUSTING.replace("\"trust\"", "\"scram-sha-256\""),
            rest(&cluster),
        );
        let guarded = Pgusher::builder(binary, &guarded)
            .file("users", &format!("\"{USER}\" \"{}\"\n", cluster.psql(&verifier)))
            .file("tls.crt", &tls.certificate)
            .file("tls.key", &tls.key)
            .start();
        Site { cluster, trusting, guarded }
    }

    /// One of PostgreSQL's programs, as a client of pgusher; the database is still to be named.
    pub(crate) fn client(&self, program: &str, door: Door) -> Command {
        let pgusher = if door == Door::Trust { &self.trusting } else { &self.guarded };
        let mut command = Command::new(self.cluster.bin(program));
        command
            .args(["-h", "127.0.0.1", "-U", USER, "-p", &pgusher.port().to_string()])
            .env("PGPASSWORD", PASSWORD)
            .env("PGSSLMODE", if door == Door::TlsScram { "require" } else { "disable" })
            .env("PGDATABASE", DATABASE);
        command
    }

    /// Where clients may put files.
    pub(crate) fn folder(&self) -> PathBuf {
        self.trusting.dir().to_owned()
    }

    /// Reads the metrics, as a scrape does.
    pub(crate) fn scrape(&self) -> Result<(), String> {
        self.trusting.try_http_get("/metrics").map(drop)
    }

    /// Ends every pgusher in order.
    pub(crate) fn close(self) -> Result<(), String> {
        for mut pgusher in [self.trusting, self.guarded] {
            pgusher.signal(Signal::TERM);
            let status = pgusher.wait_exit(PARTING);
            if !status.success() {
                return Err(format!("pgusher ended with {status}:\n{}", pgusher.log()));
            }
        }
        Ok(())
    }
}

/// What both configurations end with.
fn rest(cluster: &Cluster) -> String {
    format!(
        "admin_users = [\"{USER}\"]\nworker_threads = 1\nlog_connections = false\nlog_disconnections = false\n\
         log_pooler_errors = false\n\
         [http]\nlisten = \"127.0.0.1:{{http_port}}\"\n\
         [defaults]\ndefault_pool_size = 20\nquery_wait_timeout = \"60s\"\n\
         [databases.{DATABASE}]\nhost = \"{}\"\nport = {}\n",
        cluster.host(),
        cluster.port(),
    )
}
