//! Both protocols, and clients as they are.

use std::process::Command;

use pgusher_testkit::frontend;

use crate::stage::{admin, client, drop_in, start};

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

/// Sessions with backslashes: what psql cannot know here is an error, and the session goes on.
#[tokio::test]
async fn psqls_own_commands_do_no_harm() {
    let (pgusher, _) = start("console_backslash");
    let psql = |commands: &[&str]| {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-d"]).arg(pgusher.url("pgbouncer", "boss", ""));
        commands.iter().for_each(|command| {
            psql.args(["-c", command]);
        });
        let output = psql.output().expect("psql runs");
        assert!(output.status.code().is_some_and(|code| code < 2), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let expanded = psql(&["\\x", "SHOW STATE"]);
    assert!(expanded.contains("-[ RECORD 1 ]") && expanded.contains("value | yes"), "{expanded}");
    let after = psql(&["\\d", "\\dt", "SHOW VERSION"]);
    assert!(after.contains("pgusher "), "{after}");
    let described = psql(&["SHOW VERSION \\gdesc"]);
    assert!(described.contains("version") || described.is_empty(), "{described}");
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
    assert_eq!(row.get::<_, i32>("cl_active"), 1);
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

/// What exporters ask, as drivers ask it: every table, by either protocol, with the same columns.
#[tokio::test]
async fn every_table_is_there_in_both_protocols() {
    let (native, _) = start("console_every");
    for pgusher in [native, drop_in("console_every_ini", "")] {
        let mut other = client(&pgusher).await;
        assert_eq!(other.query("begin; select 7").await.value(), "7");
        let mut raw = admin(&pgusher).await;
        let url = pgusher.url("pgbouncer", "boss", "");
        let (driver, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.expect("login");
        let connection = tokio::spawn(connection);
        for set in ["SET extra_float_digits = 3", "SET application_name = 'a driver'"] {
            driver.execute(set, &[]).await.expect(set);
        }
        for table in TABLES.split_whitespace() {
            let simple = raw.query(&format!("SHOW {table};")).await;
            let statement = driver.prepare(&format!("SHOW {table};")).await.expect(table);
            let names: Vec<_> = statement.columns().iter().map(|column| column.name()).collect();
            assert_eq!(names, simple.columns, "{table}");
            let rows = driver.query(&statement, &[]).await.expect(table);
            assert!(rows.len().abs_diff(simple.rows.len()) <= 1, "{table}: {rows:?} {simple:?}");
        }
        drop(driver);
        connection.await.expect("no panic").expect("no error");
    }
}

/// All of PgBouncer's.
const TABLES: &str = "CLIENTS SERVERS SOCKETS ACTIVE_SOCKETS POOLS PEER_POOLS DATABASES USERS STATS STATS_TOTALS \
                      STATS_AVERAGES TOTALS LISTS CONFIG PEERS STATE MEM DNS_HOSTS DNS_ZONES FDS VERSION";

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
async fn too_long_a_message_ends_the_session() {
    let (pgusher, _) = start("console_long");
    let mut admin = admin(&pgusher).await;
    admin.send(b"Q\x00\x10\x00\x00SHOW").await;
    assert_eq!(admin.expect_fatal().await.code(), "08P01");
}
