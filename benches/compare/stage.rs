//! The PostgreSQL that everybody is measured over.

use pgusher_testkit::{Cluster, free_port};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::process::Command;

/// pgbench's scale: a million accounts, all of them in memory.
const SCALE: u32 = 10;

/// The database of all measurements.
pub(crate) const DATABASE: &str = "bench";

/// The user of all measurements.
pub(crate) const USER: &str = "postgres";

/// The user's password, for poolers that ask; the server itself trusts everybody.
pub(crate) const PASSWORD: &str = "measured";

/// A private PostgreSQL with pgbench's tables.
#[derive(Debug)]
pub(crate) struct Stage {
    cluster: Cluster,
}

impl Stage {
    /// Starts the server and fills its tables.
    pub(crate) fn build() -> Self {
        let cluster = Cluster::builder()
            .max_connections(1100)
            .setting("shared_buffers", "512MB")
            .setting("max_wal_size", "4GB")
            .setting("autovacuum", "off")
            .build();
        cluster.create_database(DATABASE);
        cluster.fill(DATABASE, USER, SCALE);
        cluster.psql(&format!("alter role {USER} password '{PASSWORD}'"));
        cluster.psql_in(DATABASE, "create unlogged table bulk_in (line text)");
        Stage { cluster }
    }

    /// The server's port.
    pub(crate) fn port(&self) -> u16 {
        self.cluster.port()
    }

    /// Its version, as one word.
    pub(crate) fn version(&self) -> String {
        self.cluster.psql("select split_part(current_setting('server_version'), ' ', 1)")
    }

    /// A pgbench that connects to a port of 127.0.0.1.
    pub(crate) fn pgbench(&self, port: u16) -> Command {
        let mut command = Command::new(self.cluster.bin("pgbench"));
        command.args(["-h", "127.0.0.1", "-U", USER, "-p", &port.to_string()]);
        command.env("PGPASSWORD", PASSWORD);
        command
    }

    /// The user with its SCRAM verifier, as PgBouncer's `auth_file` has it.
    pub(crate) fn userlist(&self) -> String {
        let sql = format!("select rolpassword from pg_authid where rolname = '{USER}'");
        format!("\"{USER}\" \"{}\"\n", self.cluster.psql(&sql))
    }

    /// A port nobody listens on.
    pub(crate) fn free_port(&self) -> u16 {
        free_port()
    }
}

/// Lets this process and its children open as many files as the system allows; gives their number.
pub(crate) fn raise_file_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // The old limit may do: whoever needs more looks at the answer.
    let _ = setrlimit(Resource::Nofile, raised);
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
