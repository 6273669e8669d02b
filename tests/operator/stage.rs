//! What these tests stand on: a pgusher that was started with a `pgbouncer.ini`.

use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use pgusher_testkit::{Cluster, ErrorFields, Pgusher, PgusherBuilder, RawClient, wait_for};

/// Longer than anything that works can take.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_pgusher");

/// Everybody who may log in.
pub(crate) const USERS: &str = "\"postgres\" \"\"\n\"app\" \"\"\n\"other\" \"\"\n";

/// A pgusher that trusts the users of these tests; `parameters` are lines of `[pgbouncer]`, what stands behind them may
/// begin other sections.
pub(crate) fn builder(parameters: &str, databases: &str) -> PgusherBuilder {
    Pgusher::builder(BINARY, &text(parameters, databases))
        .config_name("pgbouncer.ini")
        .file("userlist.txt", USERS)
}

/// The file of [`builder`].
pub(crate) fn text(parameters: &str, databases: &str) -> String {
    format!(
        "[databases]\n{databases}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {{port}}\n\
         unix_socket_dir =\nauth_type = trust\nauth_file = {{dir}}/userlist.txt\nadmin_users = postgres\n\
         {parameters}\n"
    )
}

/// A started [`builder`].
pub(crate) fn start(parameters: &str, databases: &str) -> Pgusher {
    builder(parameters, databases).start()
}

/// The line of a database on the shared cluster, under its own name.
pub(crate) fn line(name: &str, more: &str) -> String {
    let port = Cluster::shared().port();
    format!("{name} = host=127.0.0.1 port={port} dbname=postgres {more}\n")
}

/// A PostgreSQL that sends its log away.
pub(crate) fn publisher() -> &'static Cluster {
    static PUBLISHER: OnceLock<Cluster> = OnceLock::new();
    PUBLISHER.get_or_init(|| Cluster::builder().setting("wal_level", "logical").build())
}

/// A client that is in.
pub(crate) async fn login(pgusher: &Pgusher, database: &str, user: &str) -> RawClient {
    let login = RawClient::try_login(pgusher.port(), database, user, "").await;
    let mut client = login.unwrap_or_else(|error| panic!("{error:?}\n{}", pgusher.log()));
    client.set_time_limit(LIMIT);
    client
}

/// A client with these parameters in its start-up packet; the error of the login if it fails.
pub(crate) async fn login_with(
    pgusher: &Pgusher,
    parameters: &[(&str, &str)],
) -> Result<RawClient, ErrorFields> {
    let mut client = RawClient::connect(pgusher.port()).await;
    client.set_time_limit(LIMIT);
    client.startup(0, parameters).await;
    client.authenticate("postgres", "").await?;
    Ok(client)
}

/// The process id of the server behind a client.
pub(crate) async fn backend(client: &mut RawClient) -> String {
    client.query("select pg_backend_pid()").await.value().to_owned()
}

/// Runs one of PostgreSQL's programs.
pub(crate) fn program(name: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(Cluster::shared().bin(name));
    command.args(arguments).env("PGCONNECT_TIMEOUT", "30").env_remove("PGUSER").output().unwrap()
}

/// The words of a program that must succeed.
pub(crate) fn succeeds(name: &str, arguments: &[&str], pgusher: &Pgusher) -> String {
    let output = program(name, arguments);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{name} {arguments:?}: {output:?}\n{}", pgusher.log());
    text
}

/// Waits for a condition; panics with `what` when it does not come.
pub(crate) async fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(wait_for(LIMIT, condition).await, "did not happen: {what}");
}
