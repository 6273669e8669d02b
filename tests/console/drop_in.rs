//! Where PgBouncer is expected: its grammar, its errors, what is possible when. Taken down from PgBouncer's own console.

use pgusher_testkit::{RawClient, frontend};

use crate::stage::{admin, client, drop_in};

async fn says(boss: &mut RawClient, query: &str, expected: &str) {
    let result = boss.query(query).await;
    let said = match &result.error {
        Some(error) => {
            assert_eq!(error.code(), "08P01", "{query}");
            error.message().to_owned()
        }
        None => result.tags.join(" "),
    };
    assert_eq!(said, expected, "{query}");
}

#[tokio::test]
async fn errors_have_pgbouncers_words() {
    let pgusher = drop_in("console_words", "");
    let mut boss = admin(&pgusher).await;
    let invalid = [
        "nonsense;",
        "show",
        "show version; show state",
        "begin",
        "select 1",
        "reload x",
        "suspend x",
        "shutdown x",
        "set a b",
        "show \"a",
        "set server_idle_timeout=-1",
    ];
    for query in invalid {
        says(&mut boss, query, &format!("invalid command '{query}', use SHOW HELP;")).await;
    }
    let name = "n".repeat(64);
    for query in ["nonsensicallylongcommand".to_owned(), format!("show {name}")] {
        says(&mut boss, &query, "bad arguments").await;
    }
    let verbs = [
        ("pause", "pause"),
        ("kill", "kill"),
        ("reconnect", "reconnect"),
        ("wait_close", "wait in"),
    ];
    for (verb, word) in verbs {
        says(&mut boss, &format!("{verb} nope"), "no such database: nope").await;
        let own = format!("cannot {word} admin db: pgbouncer");
        says(&mut boss, &format!("{verb} pgbouncer"), &own).await;
    }
    for verb in ["disable", "enable"] {
        says(&mut boss, verb, "a database is required").await;
        says(&mut boss, &format!("{verb} nope"), "no such database: nope").await;
        let own = format!("cannot {verb} admin db: pgbouncer");
        says(&mut boss, &format!("{verb} pgbouncer"), &own).await;
    }
    says(&mut boss, "kill_client x", "invalid client pointer supplied").await;
    says(&mut boss, "kill_client", "invalid client pointer supplied").await;
    says(&mut boss, "kill_client 4711", "client not found").await;
    says(&mut boss, "  \"show\"  \"version\" ; ", "SHOW").await;
    says(&mut boss, "select version", "SHOW").await;
    assert_eq!(boss.param("server_version"), Some("1.25.2/bouncer"));
    assert_eq!(boss.query("show client_encoding").await.value(), "UTF-8");
}

#[tokio::test]
async fn what_is_possible_when() {
    let pgusher = drop_in("console_states", "");
    let mut boss = admin(&pgusher).await;
    let mut client = client(&pgusher).await;
    assert_eq!(client.query("select 1").await.value(), "1");
    let script = [
        ("resume", "pooler is not paused/suspended"),
        ("resume app", "database app is not paused"),
        ("resume pgbouncer", "database pgbouncer is not paused"),
        ("wait_close", "WAIT_CLOSE"),
        ("pause app", "PAUSE"),
        ("pause app", "PAUSE"),
        ("suspend", "cannot suspend with paused databases"),
        ("resume", "pooler is not paused/suspended"),
        ("resume app", "RESUME"),
        ("pause", "PAUSE"),
        ("pause", "already suspended/paused"),
        ("pause app", "already suspended/paused"),
        ("kill app", "already suspended/paused"),
        ("suspend", "already suspended/paused"),
        ("resume app", "database app is not paused"),
        ("resume", "RESUME"),
        ("suspend", "SUSPEND"),
        ("suspend", "already suspended/paused"),
        ("resume", "RESUME"),
        ("disable app", "DISABLE"),
        ("enable app", "ENABLE"),
        ("reconnect", "RECONNECT"),
        ("reload", "RELOAD"),
        ("kill", "KILL"),
        ("resume", "pooler is not paused/suspended"),
        ("resume app", "RESUME"),
    ];
    for (query, expected) in script {
        says(&mut boss, query, expected).await;
    }
}

#[tokio::test]
async fn those_who_watch_are_told_what_they_need() {
    let pgusher = drop_in("console_watch", "");
    let mut watcher = RawClient::login(pgusher.port(), "pgbouncer", "watcher", "").await;
    let orders = [
        "pause",
        "resume",
        "disable",
        "enable",
        "kill",
        "kill_client",
        "reconnect",
        "reload",
        "suspend",
        "shutdown",
        "wait_close",
        "set pool_mode=session",
        "set nonsense=1",
        "show fds",
    ];
    for order in orders {
        says(&mut watcher, order, "admin access needed").await;
    }
    for show in ["clients", "config", "mem", "state", "sockets", "help"] {
        says(&mut watcher, &format!("show {show}"), "SHOW").await;
    }
    let refused = RawClient::try_login(pgusher.port(), "pgbouncer", "eve", "").await;
    assert!(refused.is_err(), "neither admin nor watcher");
}

#[tokio::test]
async fn an_immediate_shutdown_is_the_end_of_the_connection() {
    let pgusher = drop_in("console_shutdown_now", "");
    let mut boss = admin(&pgusher).await;
    boss.send(&frontend::query("SHUTDOWN")).await;
    boss.expect_closed().await;
}

#[tokio::test]
async fn what_is_no_message_ends_the_session() {
    let pgusher = drop_in("console_unknown", "");
    let mut boss = admin(&pgusher).await;
    boss.send(b"z\0\0\0\x04").await;
    let error = boss.expect_fatal().await;
    assert_eq!((error.code(), error.message()), ("08P01", "unknown pkt"));
}
