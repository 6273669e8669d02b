//! What following a client from server to server costs.

use std::path::Path;
use std::sync::{Arc, Mutex};

use pgusher_testkit::{FakeConn, FakeServer, Pgusher, RawClient, TRUSTING, frontend};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

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

/// A pgusher with one server, at a port, to which it sends nothing of its own.
fn before(server: u16) -> Pgusher {
    let config = format!(
        "{TRUSTING}[defaults]\naudit_sample = 0\n\
         [databases.app]\nhost = \"127.0.0.1\"\nport = {server}\npool_size = 1\n[users.app]\n"
    );
    Pgusher::start(Path::new(env!("CARGO_BIN_EXE_pgusher")), &config)
}

/// Two clients whose parameters differ, so that their only server has to change with each turn.
async fn two_with_parameters(pgusher: &Pgusher) -> Vec<RawClient> {
    let mut clients = Vec::new();
    for value in ["7s", "9s"] {
        let mut client = RawClient::login(pgusher.port(), "app", "app", "").await;
        for name in ["lock_timeout", "statement_timeout", "my.x"] {
            client.query(&format!("set {name} = '{value}'")).await;
        }
        clients.push(client);
    }
    clients
}

#[tokio::test]
async fn a_replay_is_one_message_in_front_of_the_clients_own_and_is_not_waited_for() {
    let seen = Seen::default();
    let record = Arc::clone(&seen);
    let server = FakeServer::start(move |conn| serve(conn, Arc::clone(&record))).await;
    let pgusher = before(server.port());
    let mut clients = two_with_parameters(&pgusher).await;
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

/// What is read at once is what was sent at once: a server that reads as it comes, whatever the messages are.
///
/// It answers all queries of a read together, so that whoever sends in two goes is found out by an answer to one.
async fn read_as_it_comes(mut stream: TcpStream, reads: Arc<Mutex<Vec<usize>>>) {
    let mut bytes = vec![0; 64 * 1024];
    // The start-up packet.
    if stream.read(&mut bytes).await.is_ok_and(|read| read == 0) {
        return;
    }
    let hello = b"R\0\0\0\x08\0\0\0\0S\0\0\0\x18server_version\x0015.0\0K\0\0\0\x0c\0\0\0\x07keysZ\0\0\0\x05I";
    stream.write_all(hello).await.expect("let in");
    while let Ok(read @ 1..) = stream.read(&mut bytes).await {
        let mut rest = &bytes[..read];
        let (mut answer, mut queries) = (Vec::new(), 0);
        while let [b'Q', a, b, c, d, ..] = *rest {
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).expect("a length") + 1;
            let sql = &rest[5..length];
            let tag: &[u8] = if sql.starts_with(b"set") { b"SET\0" } else { b"SELECT 0\0" };
            let size = u32::try_from(tag.len() + 4).expect("a length").to_be_bytes();
            answer.extend([&b"C"[..], &size, tag, b"Z\0\0\0\x05I"].concat());
            queries += 1;
            rest = &rest[length..];
        }
        assert!(rest.is_empty() || rest[0] == b'X', "a message in two parts");
        reads.lock().expect("the list").push(queries);
        stream.write_all(&answer).await.expect("answer");
    }
}

#[tokio::test]
async fn a_replay_costs_no_send_and_no_receive() {
    let reads = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let record = Arc::clone(&reads);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(read_as_it_comes(stream, Arc::clone(&record)));
        }
    });
    let pgusher = before(port);
    let mut clients = two_with_parameters(&pgusher).await;
    let rounds = 100;
    let mut count = async |others: bool| {
        reads.lock().expect("the list").clear();
        for round in 0..rounds {
            let client = if others { round % 2 } else { 0 };
            assert_eq!(clients[client].query("select own").await.error, None);
        }
        reads.lock().expect("the list").clone()
    };
    // The first turn may have to bring the server over.
    count(false).await;
    assert_eq!(count(false).await, vec![1; rounds], "nothing to restore");
    let alternating = count(true).await;
    assert_eq!(alternating.len(), rounds, "one send for each transaction, as without");
    assert!(alternating[1..].iter().all(|queries| *queries == 2), "{alternating:?}");
}
