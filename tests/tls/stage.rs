//! What most tests stand on: a PostgreSQL with TLS, a pgusher with TLS, and psql.

use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use pgusher_testkit::{Authority, Cluster, ClusterBuilder, Pair, Pgusher, PgusherBuilder};

/// Longer than anything that works can take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_pgusher");

/// A PostgreSQL with TLS and a certificate for `localhost`, and `alice` whose password is `secret`.
///
/// `alice` needs TLS and SCRAM, `plain` must do without TLS, `certified` needs a certificate; everybody else is trusted.
pub(crate) fn cluster() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| {
        let cluster = with_tls(Cluster::builder(), &Authority::shared().issue("localhost")).build();
        cluster.psql(
            "create role alice login password 'secret'; create role plain login; create role certified login",
        );
        cluster
    })
}

/// A PostgreSQL to be, with TLS.
pub(crate) fn with_tls(builder: ClusterBuilder, pair: &Pair) -> ClusterBuilder {
    builder
        .setting("ssl", "on")
        .setting("ssl_ca_file", "root.crt")
        .file("server.crt", &pair.certificate)
        .file("server.key", &pair.key)
        .file("root.crt", &Authority::shared().certificate())
        .hba("hostssl all alice all scram-sha-256\nhost all alice all reject")
        .hba("hostnossl all plain all trust\nhost all plain all reject")
        .hba("hostssl all certified all cert\nhost all certified all reject")
}

/// pgusher's own certificate: for `localhost`, as old as X.509 gets.
pub(crate) fn own() -> &'static Pair {
    static OWN: OnceLock<Pair> = OnceLock::new();
    OWN.get_or_init(|| Authority::shared().issue("localhost"))
}

/// A pgusher in front of a port of localhost, with lines for `[tls.client]` and `[tls.server]`. Users: `alice` and
/// others without a password on the server.
pub(crate) fn pgusher(port: u16, client: &str, server: &str) -> PgusherBuilder {
    configured(&config(port, client, server))
}

/// A pgusher with the files that [`config`] names.
pub(crate) fn configured(config: &str) -> PgusherBuilder {
    Pgusher::builder(BINARY, config)
        .file("own.crt", &own().certificate)
        .file("own.key", &own().key)
        .file("root.crt", &Authority::shared().certificate())
        .file(
            "userlist.txt",
            "\"alice\" \"secret\"\n\"plain\" \"secret\"\n\"certified\" \"secret\"\n\"postgres\" \"secret\"\n",
        )
}

/// The configuration of [`pgusher`].
pub(crate) fn config(port: u16, client: &str, server: &str) -> String {
    let keys =
        if client.is_empty() { "" } else { "cert_file = \"own.crt\"\nkey_file = \"own.key\"" };
    format!(
        "[pgusher]\nlisten_addr = \"127.0.0.1\"\nlisten_port = {{port}}\nunix_socket_dir = \"{{dir}}\"\n\
         auth_file = \"userlist.txt\"\nadmin_users = [\"postgres\"]\nlog_level = \"debug\"\n\
         [http]\nlisten = \"127.0.0.1:{{http_port}}\"\n\
         [tls.client]\n{keys}\n{client}\n[tls.server]\n{server}\n\
         [defaults]\nserver_login_retry = \"10ms\"\n\
         [databases.postgres]\nhost = \"localhost\"\nport = {port}\n"
    )
}

/// Lines that let clients use TLS.
pub(crate) const ON: &str = "sslmode = \"prefer\"";

/// What psql makes of a connection string and a command: its output, or its errors.
pub(crate) fn psql(connection: &str, command: &str) -> Result<String, String> {
    let done = Command::new("psql")
        .args(["-X", "-A", "-t", "-d", connection, "-c", command])
        .env("PGPASSWORD", "secret")
        .env("PGCONNECT_TIMEOUT", "20")
        .env_remove("PGSSLMODE")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if done.status.success() { Ok(text(&done.stdout)) } else { Err(text(&done.stderr)) }
}

/// The connection string of `alice` to a pgusher.
pub(crate) fn alice(pgusher: &Pgusher, more: &str) -> String {
    format!("host=localhost port={} user=alice dbname=postgres {more}", pgusher.port())
}

/// Asks PostgreSQL whether its connection has TLS.
pub(crate) const IS_TLS: &str = "select ssl from pg_stat_ssl where pid = pg_backend_pid()";
