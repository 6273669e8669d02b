//! Causes that are not the size, and how the answer is asked for.

use std::process::Command;
use std::time::Duration;

use pgusher_testkit::FakeServer;
use tokio::task::JoinSet;

use crate::stage::{Asker, client, of, start};

#[tokio::test]
async fn who_holds_servers_in_silence_is_named() {
    let server = FakeServer::echo().await;
    let pgusher = start(&server, 2);
    let mut tasks = JoinSet::new();
    for number in 0..6 {
        let application = if number < 5 { "checkout" } else { "search" };
        let mut client = client(&pgusher, application).await;
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(5)).await;
                if application == "search" {
                    client.query("select 1").await;
                    continue;
                }
                client.query("BEGIN").await;
                tokio::time::sleep(Duration::from_millis(15)).await;
                client.query("COMMIT").await;
            }
        });
    }
    let mut asker = Asker::new(&pgusher).await;
    let rows =
        asker.until("idle", |rows| of(rows, "verdict").subject == "idle in transaction").await;
    let verdict = of(&rows, "verdict");
    assert_eq!(verdict.size, Some(2), "the size is not the cause");
    assert!(verdict.note.contains("most of it is checkout"), "{rows:#?}");
    assert_eq!(of(&rows, "application").subject, "checkout");
    let asked = Command::new(env!("CARGO_BIN_EXE_pgusher"))
        .args(["advise", "app", "-h", "127.0.0.1", "-U", "boss", "-p", &pgusher.port().to_string()])
        .output()
        .expect("run");
    let words = String::from_utf8_lossy(&asked.stdout);
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    assert!(words.starts_with("app/web: idle in transaction, pool_size 2\n"), "{words}");
    assert!(words.contains("checkout"), "{words}");
}

#[tokio::test]
async fn little_is_not_enough_and_json_says_so() {
    let server = FakeServer::echo().await;
    let pgusher = start(&server, 2);
    let mut client = client(&pgusher, "quiet").await;
    client.query("select 1").await;
    let mut asker = Asker::new(&pgusher).await;
    let rows = asker.until("heard", |rows| !rows.is_empty()).await;
    assert_eq!(of(&rows, "verdict").subject, "not enough data");
    assert!(of(&rows, "verdict").note.contains("no recording has ended yet"), "{rows:#?}");
    let asked = Command::new(env!("CARGO_BIN_EXE_pgusher"))
        .args(["advise", "--json"])
        .env("PGHOST", "127.0.0.1")
        .env("PGUSER", "boss")
        .env("PGPORT", pgusher.port().to_string())
        .output()
        .expect("run");
    let value: serde_json::Value = serde_json::from_slice(&asked.stdout).expect("JSON");
    assert_eq!(value[0]["verdict"]["subject"], "not enough data");
    assert_eq!(value[0]["user"], "web");
    let nobody = Command::new(env!("CARGO_BIN_EXE_pgusher"))
        .args(["advise", "-h", "127.0.0.1", "-p", &pgusher.port().to_string(), "-U", "eve"])
        .output()
        .expect("run");
    assert_eq!(nobody.status.code(), Some(1));
}
