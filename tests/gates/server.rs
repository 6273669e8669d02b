//! A server that answers a request with one send, as PostgreSQL does: in how many pieces an answer comes decides how
//! often pgusher receives.

use pgusher_testkit::{FakeConn, FakeServer, backend};

const PARAMS: [(&str, &str); 4] = [
    ("server_version", "16.0"),
    ("server_encoding", "UTF8"),
    ("client_encoding", "UTF8"),
    ("standard_conforming_strings", "on"),
];

/// Starts it; everybody may come in, and every query has one row.
pub(crate) async fn start() -> FakeServer {
    FakeServer::start(serve).await
}

async fn serve(mut conn: FakeConn) {
    conn.login_trust(&PARAMS, 1, b"key!").await;
    let mut reply = Vec::new();
    while let Some(message) = conn.recv().await {
        if message.tag == b'X' {
            return;
        }
        reply.extend(answer(message.tag));
        if matches!(message.tag, b'Q' | b'S') {
            conn.send(&reply).await;
            reply.clear();
        }
    }
}

fn answer(tag: u8) -> Vec<u8> {
    let columns = || backend::row_description(&["number"]);
    let row = || [backend::data_row(&[Some("1")]), backend::command_complete("SELECT 1")].concat();
    let ready = || backend::ready_for_query(b'I');
    match tag {
        b'Q' => [columns(), row(), ready()].concat(),
        b'P' => backend::parse_complete(),
        b'B' => backend::bind_complete(),
        b'C' => backend::close_complete(),
        b'D' => columns(),
        b'E' => row(),
        b'S' => ready(),
        _ => Vec::new(),
    }
}
