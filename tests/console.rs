//! The console of the running binary: looking, and giving orders.

use std::process::Command;
use std::time::Duration;

use pgusher_testkit::{Cluster, Pgusher, QueryResult, RawClient, frontend, wait_for};

const LIMIT: Duration = Duration::from_secs(10);

/// A pooler in front of a database of its own, called `app`.
fn start(database: &str) -> (Pgusher, String) {
    let cluster = Cluster::shared();
    cluster.create_database(database);
    let config = format!(
        r#"
[pgusher]
listen_addr = "127.0.0.1"
listen_port = {{port}}
auth_type = "trust"
admin_users = ["boss"]
stats_users = ["watcher"]

[databases.app]
host = "{host}"
port = {port}
dbname = "{database}"
user = "{user}"
pool_size = 2

[databases."other-db"]
host = "{host}"
port = {port}
dbname = "{database}"
user = "{user}"
"#,
        host = cluster.host(),
        port = cluster.port(),
        user = cluster.superuser(),
    );
    (Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &config), config)
}

async fn admin(pgusher: &Pgusher) -> RawClient {
    RawClient::login(pgusher.port(), "pgusher", "boss", "").await
}

async fn client(pgusher: &Pgusher) -> RawClient {
    RawClient::login(pgusher.port(), "app", "alice", "").await
}

/// One column of the row whose `key` column holds `of`.
fn cell(result: &QueryResult, key: &str, of: &str, column: &str) -> String {
    let at = |name: &str| {
        let found = result.columns.iter().position(|known| known == name);
        found.unwrap_or_else(|| panic!("no column {name} in {:?}", result.columns))
    };
    let row = result.rows.iter().find(|row| row[at(key)].as_deref() == Some(of));
    let row = row.unwrap_or_else(|| panic!("no {key} {of} in {:?}", result.rows));
    row[at(column)].clone().unwrap_or_default()
}

async fn app_stat(admin: &mut RawClient, column: &str) -> u64 {
    let stats = admin.query("SHOW STATS").await;
    cell(&stats, "database", "app", column).parse().expect("a number")
}

/// Asks again and again until `holds` says yes of the answer.
async fn until(admin: &mut RawClient, sql: &str, mut holds: impl FnMut(&QueryResult) -> bool) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        let result = admin.query(sql).await;
        if holds(&result) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{sql} still says {result:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn psql_is_at_home() {
    let (pgusher, _) = start("console_psql");
    let psql = |sql: &str| {
        let output = Command::new("psql")
            .args(["-XAt", "-F|", "-c", sql])
            .arg(pgusher.url("pgbouncer", "boss", ""))
            .output()
            .expect("psql runs");
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        (String::from_utf8_lossy(&output.stdout).into_owned(), words)
    };
    let (out, words) = psql("SHOW VERSION;");
    assert!(out.starts_with("pgusher ") && words.is_empty(), "{out} {words}");
    let (out, _) = psql("show databases; show version");
    assert!(out.contains("app|127.0.0.1|") && out.contains("\npgusher "), "{out}");
    assert!(psql("SHOW HELP").1.contains("NOTICE:  Console usage"));
    assert!(psql("SET client_min_messages = 'error'").1.contains("SET ignored"));
    let (_, words) = psql("SELECT 1");
    assert!(words.contains("invalid command 'SELECT 1', use SHOW HELP;"), "{words}");
}

#[tokio::test]
async fn drivers_use_the_extended_protocol() {
    let (pgusher, _) = start("console_driver");
    let mut other = client(&pgusher).await;
    assert_eq!(other.query("select 7").await.value(), "7");
    let url = pgusher.url("pgusher", "watcher", "");
    let (driver, connection) =
        tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("login");
    let connection = tokio::spawn(connection);
    let rows = driver.query("SHOW POOLS", &[]).await.expect("rows");
    let row = rows.iter().find(|row| row.get::<_, &str>("database") == "app").expect("the pool");
    // Numbers arrive in binary, as this driver asks for them.
    assert_eq!(row.get::<_, i64>("cl_active"), 1);
    assert_eq!(row.get::<_, &str>("pool_mode"), "transaction");
    assert!(driver.query("SHOW HELP", &[]).await.expect("no rows").is_empty());
    let error = driver.execute("PAUSE", &[]).await.expect_err("may only look");
    assert_eq!(error.code().map(|code| code.code()), Some("42501"));
    let error = driver.query("SHOW nonsense", &[]).await.expect_err("no table");
    assert_eq!(error.code().map(|code| code.code()), Some("42601"));
    assert_eq!(driver.query("SHOW LISTS", &[]).await.expect("goes on").len(), 14);
    drop(driver);
    connection.await.expect("no panic").expect("no error");
}

#[tokio::test]
async fn a_portal_gives_its_rows_in_portions() {
    let (pgusher, _) = start("console_portal");
    let mut admin = admin(&pgusher).await;
    let mut bytes = frontend::parse("s", "SHOW LISTS", &[]);
    bytes.extend(frontend::bind("", "s", &[]));
    bytes.extend(frontend::describe(b'P', ""));
    bytes.extend(frontend::execute("", 10));
    bytes.extend(frontend::execute("", 10));
    bytes.extend(frontend::execute("", 10));
    bytes.extend(frontend::parse("s2", "SHOW VERSION", &[]));
    bytes.extend(frontend::sync());
    admin.send(&bytes).await;
    let answers = admin.read_ready().await;
    let tags: String = answers.iter().map(|message| char::from(message.tag)).collect();
    // The third Execute fails, and what follows is skipped up to Sync.
    assert_eq!(tags, format!("12T{}s{}CEZ", "D".repeat(10), "D".repeat(4)));
    assert_eq!(admin.query("").await.error, None);
    assert_eq!(admin.query("SHOW timezone").await.value(), "GMT");
}

#[tokio::test]
async fn those_who_watch_give_no_orders() {
    let (pgusher, config) = start("console_rights");
    let mut watcher = RawClient::login(pgusher.port(), "pgusher", "watcher", "").await;
    let orders = [
        "RELOAD",
        "PAUSE",
        "PAUSE app",
        "RESUME",
        "SUSPEND",
        "RECONNECT",
        "KILL",
        "KILL app",
        "KILL_CLIENT 1",
        "WAIT_CLOSE",
        "DISABLE app",
        "ENABLE app",
        "SHUTDOWN",
        "SHUTDOWN WAIT_FOR_CLIENTS",
        "SET pool_mode = session",
    ];
    for order in orders {
        assert_eq!(watcher.query(order).await.unwrap_error().code(), "42501", "{order}");
    }
    for show in ["CLIENTS", "SERVERS", "POOLS", "CONFIG", "STATS", "USERS", "STATE", "HELP"] {
        assert_eq!(watcher.query(&format!("SHOW {show}")).await.error, None, "{show}");
    }
    let refused = RawClient::try_login(pgusher.port(), "pgusher", "eve", "").await;
    assert!(refused.is_err(), "neither admin nor watcher");
    let mut client = client(&pgusher).await;
    assert_eq!(client.query("select 1").await.value(), "1", "nothing has happened");
    assert!(config.contains("stats_users"));
}

#[tokio::test]
async fn wrong_orders_get_true_errors() {
    let (pgusher, _) = start("console_errors");
    let mut admin = admin(&pgusher).await;
    let wrong = [
        ("PAUSE nowhere", "3D000"),
        ("DISABLE", "42601"),
        ("DISABLE nowhere", "3D000"),
        ("KILL pgusher", "0A000"),
        ("KILL_CLIENT 4711", "42704"),
        ("KILL_CLIENT me", "42601"),
        ("RESUME", "55000"),
        ("RESUME app", "55000"),
        ("SUSPEND", "0A000"),
        ("SET pool_mode = 'session'", "0A000"),
        ("DROP TABLE users", "42601"),
        ("PAUSE \"app", "42601"),
    ];
    for (order, code) in wrong {
        assert_eq!(admin.query(order).await.unwrap_error().code(), code, "{order}");
    }
    let both = admin.query("SHOW VERSION; nonsense; SHOW STATE").await;
    assert_eq!((both.tags.as_slice(), both.rows.len()), (&["SHOW".to_owned()][..], 1));
    assert_eq!(both.unwrap_error().code(), "42601");
    admin.send(b"~\0\0\0\x04").await;
    assert_eq!(admin.expect_fatal().await.code(), "08P01");
}

#[tokio::test]
async fn too_long_a_message_ends_the_session() {
    let (pgusher, _) = start("console_long");
    let mut admin = admin(&pgusher).await;
    admin.send(b"Q\x00\x10\x00\x00SHOW").await;
    assert_eq!(admin.expect_fatal().await.code(), "08P01");
}

#[tokio::test]
async fn pause_waits_for_the_transaction_and_resume_goes_on() {
    let (pgusher, _) = start("console_pause");
    let (mut boss, mut second) = (admin(&pgusher).await, admin(&pgusher).await);
    let (mut busy, mut idle) = (client(&pgusher).await, client(&pgusher).await);
    assert_eq!(idle.query("select 1").await.value(), "1");
    assert_eq!(busy.query("begin").await.error, None);
    boss.send(&frontend::query("PAUSE app")).await;
    until(&mut second, "SHOW DATABASES", |all| cell(all, "name", "app", "paused") == "1").await;
    until(&mut second, "SHOW POOLS", |all| cell(all, "database", "app", "sv_idle") == "0").await;
    assert_eq!(
        second.query("PAUSE app").await.unwrap_error().code(),
        "55000",
        "it is paused already"
    );
    assert_eq!(busy.query("select 2").await.value(), "2", "the transaction goes on");
    assert_eq!(busy.query("commit").await.tags, ["COMMIT"]);
    assert_eq!(boss.read_result().await.tags, ["PAUSE"]);
    idle.send(&frontend::query("select 3")).await;
    until(&mut second, "SHOW POOLS", |all| cell(all, "database", "app", "cl_waiting") == "1").await;
    let servers = second.query("SHOW SERVERS").await;
    assert!(servers.rows.is_empty(), "all are closed: {servers:?}");
    assert_eq!(second.query("RESUME app").await.tags, ["RESUME"]);
    assert_eq!(idle.read_result().await.value(), "3");
}

#[tokio::test]
async fn an_interrupted_pause_is_no_pause() {
    let (pgusher, _) = start("console_cancel");
    let (mut boss, mut second) = (admin(&pgusher).await, admin(&pgusher).await);
    let (mut busy, mut idle) = (client(&pgusher).await, client(&pgusher).await);
    assert_eq!(busy.query("begin").await.error, None);
    let paused = |all: &QueryResult| cell(all, "key", "paused", "value");
    boss.send(&frontend::query("PAUSE")).await;
    until(&mut second, "SHOW STATE", |all| paused(all) == "yes").await;
    RawClient::cancel(pgusher.port(), boss.pid(), boss.key()).await;
    assert_eq!(boss.read_result().await.unwrap_error().code(), "57014");
    assert_eq!(paused(&second.query("SHOW STATE").await), "no");
    boss.send(&frontend::query("PAUSE")).await;
    until(&mut second, "SHOW STATE", |all| paused(all) == "yes").await;
    boss.reset();
    until(&mut second, "SHOW STATE", |all| paused(all) == "no").await;
    assert_eq!(idle.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn a_client_is_killed_by_its_id() {
    let (pgusher, _) = start("console_kill_client");
    let mut admin = admin(&pgusher).await;
    let (mut victim, mut bystander) = (client(&pgusher).await, client(&pgusher).await);
    assert_eq!(victim.query("set application_name = 'victim'; begin").await.error, None);
    assert_eq!(bystander.query("select 1").await.value(), "1");
    let mut id = String::new();
    until(&mut admin, "SHOW CLIENTS", |all| {
        let named = all.rows.iter().any(|row| row.contains(&Some("victim".to_owned())));
        if named {
            id = cell(all, "application_name", "victim", "id");
        }
        named
    })
    .await;
    assert_eq!(admin.query(&format!("KILL_CLIENT {id}")).await.tags, ["KILL_CLIENT"]);
    assert_eq!(victim.expect_fatal().await.code(), "57P01");
    assert_eq!(bystander.query("select 2").await.value(), "2");
    until(&mut admin, "SHOW POOLS", |all| cell(all, "database", "app", "sv_active") == "0").await;
}

#[tokio::test]
async fn kill_sends_everybody_away_until_resume() {
    let (pgusher, _) = start("console_kill");
    let mut admin = admin(&pgusher).await;
    let (mut busy, mut idle) = (client(&pgusher).await, client(&pgusher).await);
    assert_eq!(busy.query("begin").await.error, None);
    assert_eq!(admin.query("KILL app").await.tags, ["KILL"]);
    assert_eq!(busy.expect_fatal().await.code(), "57P01");
    assert_eq!(idle.expect_fatal().await.code(), "57P01");
    until(&mut admin, "SHOW SERVERS", |all| all.rows.is_empty()).await;
    let port = pgusher.port();
    let late = tokio::spawn(async move {
        let mut late = RawClient::login(port, "app", "alice", "").await;
        late.query("select 5").await.value().to_owned()
    });
    assert_eq!(admin.query("RESUME app").await.tags, ["RESUME"]);
    assert_eq!(late.await.expect("no panic"), "5");
}

#[tokio::test]
async fn a_disabled_database_admits_nobody() {
    let (pgusher, _) = start("console_disable");
    let mut admin = admin(&pgusher).await;
    let mut inside = client(&pgusher).await;
    assert_eq!(admin.query("DISABLE app").await.tags, ["DISABLE"]);
    let databases = admin.query("SHOW DATABASES").await;
    assert_eq!(cell(&databases, "name", "app", "disabled"), "1");
    assert!(RawClient::try_login(pgusher.port(), "app", "alice", "").await.is_err());
    assert_eq!(inside.query("select 1").await.value(), "1", "who is inside stays");
    let mut other = RawClient::login(pgusher.port(), "other-db", "alice", "").await;
    assert_eq!(other.query("select 1").await.value(), "1");
    assert_eq!(admin.query("ENABLE app").await.tags, ["ENABLE"]);
    let mut back = client(&pgusher).await;
    assert_eq!(back.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn reconnect_replaces_servers_and_wait_close_waits_for_it() {
    let (pgusher, _) = start("console_reconnect");
    let (mut boss, mut second) = (admin(&pgusher).await, admin(&pgusher).await);
    let mut client = client(&pgusher).await;
    let before = client.query("begin; select pg_backend_pid()").await.value().to_owned();
    assert_eq!(boss.query("RECONNECT app").await.tags, ["RECONNECT"]);
    let servers = second.query("SHOW SERVERS").await;
    assert_eq!(cell(&servers, "remote_pid", &before, "close_needed"), "1");
    boss.send(&frontend::query("WAIT_CLOSE app")).await;
    assert_eq!(client.query("select pg_backend_pid()").await.value(), before);
    assert_eq!(client.query("commit").await.error, None);
    assert_eq!(boss.read_result().await.tags, ["WAIT_CLOSE"]);
    assert_ne!(client.query("select pg_backend_pid()").await.value(), before);
}

#[tokio::test]
async fn a_bad_file_changes_nothing() {
    let (pgusher, config) = start("console_reload");
    let mut admin = admin(&pgusher).await;
    let size = async |admin: &mut RawClient| {
        cell(&admin.query("SHOW DATABASES").await, "name", "app", "pool_size")
    };
    pgusher.rewrite_config(&config.replace("pool_size = 2", "pool_size = 3\nnonsense = 1"));
    let result = admin.query("RELOAD").await;
    let error = result.unwrap_error();
    assert_eq!(error.code(), "F0000");
    assert!(format!("{error:?}").contains("nonsense"), "{error:?}");
    assert_eq!(size(&mut admin).await, "2");
    pgusher.rewrite_config(&config.replace("pool_size = 2", "pool_size = 3"));
    assert_eq!(admin.query("RELOAD").await.tags, ["RELOAD"]);
    assert_eq!(size(&mut admin).await, "3");
    let restart =
        config.replace("[databases.app]", "[http]\nlisten = \"127.0.0.1:1\"\n\n[databases.app]");
    pgusher.rewrite_config(&restart);
    let result = admin.query("RELOAD").await;
    assert_eq!(result.tags, ["RELOAD"]);
    assert!(!result.notices.is_empty(), "somebody has to say that this takes a restart");
}

#[tokio::test]
async fn counters_are_exact() {
    let (pgusher, _) = start("console_counters");
    let mut admin = admin(&pgusher).await;
    let mut client = client(&pgusher).await;
    assert_eq!(app_stat(&mut admin, "total_query_count").await, 0);
    for _ in 0..7 {
        assert_eq!(client.query("select 1").await.error, None);
    }
    for sql in ["begin", "select 1", "select 1/0", "rollback"] {
        client.query(sql).await;
    }
    for _ in 0..3 {
        assert_eq!(client.query_extended("select $1::text", &[Some("x")]).await.error, None);
    }
    assert_eq!(app_stat(&mut admin, "total_query_count").await, 7 + 4 + 3);
    assert_eq!(app_stat(&mut admin, "total_xact_count").await, 7 + 1 + 3);
    assert_eq!(app_stat(&mut admin, "total_server_assignment_count").await, 7 + 1 + 3);
    assert_eq!(app_stat(&mut admin, "total_bind_count").await, 3);
    assert_eq!(app_stat(&mut admin, "total_client_parse_count").await, 3);
    assert_eq!(app_stat(&mut admin, "total_client_login_count").await, 1);
    assert!(app_stat(&mut admin, "total_received").await > 100);
    let totals = admin.query("SHOW TOTALS").await;
    assert_eq!(cell(&totals, "name", "total_query_count", "value"), "14");
    let again = admin.query("SHOW STATS_TOTALS").await;
    assert_eq!(cell(&again, "database", "app", "query_count"), "14");
}

#[tokio::test]
async fn a_removed_database_leaves_its_statistics() {
    let (pgusher, config) = start("console_removed");
    let mut admin = admin(&pgusher).await;
    let mut client = client(&pgusher).await;
    for _ in 0..5 {
        assert_eq!(client.query("select 1").await.error, None);
    }
    let (head, rest) = config.split_once("[databases.app]").expect("there");
    let (_, tail) = rest.split_once("[databases.\"other-db\"]").expect("there");
    pgusher.rewrite_config(&format!("{head}[databases.\"other-db\"]{tail}"));
    assert_eq!(admin.query("RELOAD").await.tags, ["RELOAD"]);
    client.expect_fatal().await;
    until(&mut admin, "SHOW POOLS", |all| all.rows.is_empty()).await;
    assert_eq!(app_stat(&mut admin, "total_query_count").await, 5);
}

#[tokio::test]
async fn shutdown_says_goodbye_to_consoles() {
    let (mut pgusher, _) = start("console_shutdown");
    let (mut boss, mut second) = (admin(&pgusher).await, admin(&pgusher).await);
    let mut busy = client(&pgusher).await;
    assert_eq!(busy.query("begin").await.error, None);
    assert_eq!(boss.query("SHUTDOWN WAIT_FOR_CLIENTS").await.tags, ["SHUTDOWN"]);
    assert!(RawClient::try_login(pgusher.port(), "app", "alice", "").await.is_err());
    assert_eq!(busy.query("commit").await.tags, ["COMMIT"]);
    assert_eq!(busy.query("select 1").await.value(), "1", "it may stay as long as it likes");
    assert_eq!(second.query("PAUSE").await.unwrap_error().code(), "55000");
    busy.terminate().await;
    assert_eq!(second.expect_fatal().await.code(), "57P01");
    let ended = wait_for(LIMIT, || pgusher.try_exit().is_some()).await;
    assert!(ended, "{}", pgusher.log());
}
