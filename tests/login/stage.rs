//! What these tests stand on: a PostgreSQL that wants SCRAM from everybody, and pgusher in front of it.

use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use pgusher_testkit::{Cluster, ErrorFields, Pgusher, PgusherBuilder, RawClient, wait_for};

/// Longer than anything that works can take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);

/// The binary under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_pgusher");

/// A PostgreSQL that wants SCRAM from everybody over TCP. Tests share it, each with roles of its own.
pub(crate) fn guarded() -> &'static Cluster {
    static GUARDED: OnceLock<Cluster> = OnceLock::new();
    GUARDED.get_or_init(|| {
        let cluster = Cluster::builder().auth("scram-sha-256").max_connections(200).build();
        cluster.psql("create role pooled login password 'pool secret'");
        cluster
    })
}

/// The section of a database on a port of 127.0.0.1.
pub(crate) fn database(name: &str, port: u16, settings: &str) -> String {
    format!("[databases.{name}]\nhost = \"127.0.0.1\"\nport = {port}\n{settings}\n")
}

/// A database that everybody enters as the server's user `pooled`.
pub(crate) fn pooled(name: &str) -> String {
    let settings = "dbname = \"postgres\"\nuser = \"pooled\"\npassword = \"pool secret\"";
    database(name, guarded().port(), settings)
}

/// A pgusher with lines of `[pgusher]` and further sections.
pub(crate) fn pgusher(process: &str, sections: &str) -> PgusherBuilder {
    let config = format!(
        "[pgusher]\nlisten_addr = \"127.0.0.1\"\nlisten_port = {{port}}\nlog_level = \"debug\"\n\
         {process}\n{sections}\n"
    );
    Pgusher::builder(BINARY, &config)
}

/// Logs in and says who it is on the server.
pub(crate) async fn whoami(
    pgusher: &Pgusher,
    database: &str,
    user: &str,
    password: &str,
) -> String {
    let login = RawClient::try_login(pgusher.port(), database, user, password).await;
    let mut client = login.unwrap_or_else(|error| panic!("{user}: {error:?}\n{}", pgusher.log()));
    client.set_time_limit(LIMIT);
    client.query("select current_user").await.value().to_owned()
}

/// The error of a login that fails.
pub(crate) async fn refusal(
    pgusher: &Pgusher,
    database: &str,
    user: &str,
    password: &str,
) -> ErrorFields {
    match RawClient::try_login(pgusher.port(), database, user, password).await {
        Err(error) => error,
        Ok(_) => panic!("{user} is in {database}\n{}", pgusher.log()),
    }
}

/// SQLSTATE and message of a login that fails.
pub(crate) async fn refused(
    pgusher: &Pgusher,
    database: &str,
    user: &str,
    password: &str,
) -> (String, String) {
    let error = refusal(pgusher, database, user, password).await;
    (error.code().to_owned(), error.message().to_owned())
}

/// What PostgreSQL says to a wrong password.
pub(crate) fn wrong_password(user: &str) -> (String, String) {
    ("28P01".into(), format!("password authentication failed for user \"{user}\""))
}

/// A real psql over TCP.
pub(crate) fn psql(port: u16, database: &str, user: &str, password: &str, sql: &str) -> Output {
    Command::new(guarded().bin("psql"))
        .args(["-XAtqw", "-h", "127.0.0.1", "-U", user, "-d", database, "-c", sql])
        .args(["-p", &port.to_string()])
        .env("PGPASSWORD", password)
        .output()
        .unwrap()
}

/// What a program wrote.
pub(crate) fn words(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    String::from_utf8_lossy(&text).trim().to_owned()
}

/// Waits for a condition; panics with `what` when it does not come.
pub(crate) async fn until(what: &str, condition: impl FnMut() -> bool) {
    assert!(wait_for(LIMIT, condition).await, "did not happen: {what}");
}

/// One metric's value.
pub(crate) fn metric(pgusher: &Pgusher, line: &str) -> Option<f64> {
    let (_, page) = pgusher.http_get("/metrics");
    page.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
}
