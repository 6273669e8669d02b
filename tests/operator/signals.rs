//! Signals: what each does to clients, servers and the process.

use pgusher_testkit::{RawClient, Signal};

use super::stage::{LIMIT, backend, line, login, start};

#[tokio::test]
async fn usr1_pauses_and_usr2_resumes() {
    let pgusher = start("pool_mode = transaction", &line("app", ""));
    let mut client = login(&pgusher, "app", "postgres").await;
    backend(&mut client).await;
    pgusher.signal(Signal::USR1);
    pgusher.wait_log("got SIGUSR1, pausing all activity", LIMIT);
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let paused = |rows: &[Vec<Option<String>>]| {
        rows.iter()
            .any(|row| row[0].as_deref() == Some("paused") && row[1].as_deref() == Some("yes"))
    };
    assert!(paused(&console.query("SHOW STATE").await.rows));
    client.send(b"Q\0\0\0\x0dselect 1\0").await;
    pgusher.signal(Signal::USR2);
    assert_eq!(client.read_result().await.value(), "1");
    assert!(!paused(&console.query("SHOW STATE").await.rows));
}

#[tokio::test]
async fn term_waits_for_clients() {
    let mut pgusher = start("", &line("app", ""));
    let mut client = login(&pgusher, "app", "postgres").await;
    client.query("select 1").await.value();
    pgusher.signal(Signal::TERM);
    pgusher.wait_log("got SIGTERM", LIMIT);
    let port = pgusher.port();
    super::stage::until("nobody listens", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).is_err()
    })
    .await;
    assert_eq!(client.query("select 2").await.value(), "2", "those who are there stay");
    pgusher.signal(Signal::USR1);
    pgusher.wait_log("got SIGUSR1 while shutting down, ignoring", LIMIT);
    assert!(pgusher.try_exit().is_none());
    client.terminate().await;
    assert!(pgusher.wait_exit(LIMIT).success());
}

#[tokio::test]
async fn a_second_term_ends_at_once() {
    let mut pgusher = start("", &line("app", ""));
    let mut client = login(&pgusher, "app", "postgres").await;
    client.query("begin").await;
    pgusher.signal(Signal::TERM);
    pgusher.wait_log("got SIGTERM", LIMIT);
    pgusher.signal(Signal::TERM);
    assert!(pgusher.wait_exit(LIMIT).success());
    client.expect_closed().await;
}

#[tokio::test]
async fn int_waits_for_servers() {
    let mut pgusher = start("pool_mode = transaction", &line("app", "pool_size=1"));
    let mut busy = login(&pgusher, "app", "postgres").await;
    busy.query("begin").await;
    let mut waiting = login(&pgusher, "app", "postgres").await;
    waiting.send(b"Q\0\0\0\x0dselect 1\0").await;
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    loop {
        let pools = console.query("SHOW POOLS").await.rows;
        if pools
            .iter()
            .any(|row| row[0].as_deref() == Some("app") && row[3].as_deref() == Some("1"))
        {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    pgusher.signal(Signal::INT);
    let error = waiting.expect_fatal().await;
    assert_eq!((error.code(), error.message()), ("57P01", "server shutting down"));
    assert_eq!(busy.query("select 2").await.value(), "2", "its transaction goes on");
    busy.query("commit").await;
    assert!(pgusher.wait_exit(LIMIT).success());
}

#[tokio::test]
async fn quit_says_nothing() {
    let mut pgusher = start("", &line("app", ""));
    let mut client: RawClient = login(&pgusher, "app", "postgres").await;
    client.query("begin").await;
    pgusher.signal(Signal::QUIT);
    assert!(pgusher.wait_exit(LIMIT).success());
    client.expect_closed().await;
}
