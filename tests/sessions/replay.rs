//! What following a client from server to server costs.

use std::path::Path;
use std::sync::{Arc, Mutex};

use pgusher_testkit::{FakeConn, FakeServer, Pgusher, RawClient, frontend};

/// What the server was sent, message by message.
type Seen = Arc<Mutex<Vec<String>>>;

/// Answers a replay only when what is behind it has come, too: whoever waited for the answer first would wait for ever.
async fn serve(mut conn: FakeConn, seen: Seen) {
    conn.login_trust(&[("server_version", "15.0"), ("client_encoding", "UTF8")], 7, b"keys").await;
    let mut owed = 0;
    while let Some(message) = conn.recv().await {
        if message.tag != b'Q' {
            continue;
        }
        let sql = message.texts().concat();
        let is_replay = sql.contains("set_config");
        seen.lock().expect("the list").push(sql.clone());
        owed += 1;
        if is_replay {
            continue;
        }
        for _ in 0..std::mem::take(&mut owed) {
            conn.complete(if sql.starts_with("set") { "SET" } else { "SELECT 0" }).await;
            conn.ready(b'I').await;
        }
    }
}

#[tokio::test]
async fn a_replay_is_one_message_in_front_of_the_clients_own_and_is_not_waited_for() {
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    let server = FakeServer::start(move |conn| serve(conn, Arc::clone(&record))).await;
    let config = format!(
        "[pgusher]\nlisten_addr = \"127.0.0.1\"\nlisten_port = {{port}}\nauth_type = \"trust\"\n[defaults]\naudit_sample = 0\n\
         [databases.app]\nhost = \"127.0.0.1\"\nport = {}\npool_size = 1\n[users.app]\n",
        server.port()
    );
    let pgusher = Pgusher::start(Path::new(env!("CARGO_BIN_EXE_pgusher")), &config);
    let mut clients = Vec::new();
    for value in ["7s", "9s"] {
        let mut client = RawClient::login(pgusher.port(), "app", "app", "").await;
        let sql = format!(
            "set lock_timeout = '{value}'; set statement_timeout = '{value}'; set my.x = '{value}'"
        );
        for part in sql.split("; ") {
            client.query(part).await;
        }
        clients.push(client);
    }
    seen.lock().expect("the list").clear();
    for _ in 0..5 {
        for client in &mut clients {
            client.send(&frontend::query("select own")).await;
            assert_eq!(client.read_result().await.error, None);
        }
    }
    let seen = seen.lock().expect("the list").clone();
    assert_eq!(seen.len(), 20, "{seen:#?}");
    for pair in seen.chunks(2) {
        assert!(pair[0].contains("lock_timeout") && pair[0].contains("my.x"), "{pair:?}");
        assert_eq!(pair[1], "select own");
    }
}
