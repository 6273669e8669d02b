//! Bytes that no honest peer sends.

use std::sync::Arc;

use pgusher_testkit::{
    ErrorFields, FakeConn, FakeServer, NoMessage, Pgusher, RawClient, backend, frontend, wait_for,
};

use super::kit::{PATIENCE, assert_calm, config, site};

#[tokio::test]
async fn a_client_that_breaks_the_protocol_is_sent_away_alone() {
    let site = site(1);
    let mut other = site.client().await;
    let header = |tag: u8, length: u32| [&[tag][..], &length.to_be_bytes()].concat();
    let long_name = "n".repeat(100_000);
    let cases = [
        header(b'Q', 3),
        header(b'Q', 0),
        header(b'Q', u32::MAX),
        header(b'B', 0x4000_0000),
        header(b'?', 4),
        header(0, 4),
        header(b'p', 8),
        b"\xff\xff\xff\xff\xff\xff".to_vec(),
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        frontend::message(b'P', b"no end"),
        frontend::message(b'P', b"a\0select 1\0\0\x09"),
        frontend::message(b'B', b"portal\0statement"),
        frontend::message(b'B', b""),
        frontend::message(b'D', b"S"),
        frontend::message(b'D', b"Xname\0"),
        frontend::message(b'C', b"Sname"),
        frontend::parse(&long_name, "select 1", &[]),
        frontend::bind(&long_name, &long_name, &[]),
    ];
    for bytes in &cases {
        for beginning in ["", "begin"] {
            let mut client = site.client().await;
            if !beginning.is_empty() {
                assert_eq!(client.query(beginning).await.status, b'T');
            }
            client.send(bytes).await;
            let told = client.expect_fatal().await;
            let shown = &bytes[..bytes.len().min(30)].escape_ascii();
            assert_eq!((told.severity(), told.code()), ("FATAL", "08P01"), "{shown}");
            assert_eq!(other.query("select 'well'").await.value(), "well", "{shown}");
        }
    }
    site.assert_calm();
}

#[tokio::test]
async fn what_the_server_judges_is_judged_as_by_the_server() {
    use super::kit::{ask, sql};
    let site = site(1);
    let message = frontend::message;
    site.same(&[
        ask(&[message(b'Q', b"select 1")]),
        sql("select 'on'"),
        ask(&[message(b'B', b"\0\0\0"), frontend::sync()]),
        ask(&[message(b'B', b"\0\0\0\0\0\x01\0\0\0\xff\0\0"), frontend::sync()]),
        ask(&[message(b'E', b""), frontend::sync()]),
        ask(&[message(b'F', b"\0")]),
        sql("select 'still on'"),
    ])
    .await;
}

#[tokio::test]
async fn a_truncated_message_is_not_executed() {
    let site = site(1);
    site.psql("create table t (n int)");
    let mut other = site.client().await;
    let insert = frontend::query("insert into t values (1)");
    for cut in 1..insert.len() {
        let mut client = site.client().await;
        client.send(&insert[..cut]).await;
        drop(client);
    }
    assert_eq!(other.query("select count(*) from t").await.value(), "0");
    site.assert_calm();
}

/// Lets pgusher in, and then answers the first query of each connection but the first with honesty.
async fn liar(lie: Vec<u8>) -> FakeServer {
    let lie = Arc::new(lie);
    FakeServer::start(move |conn| {
        let lie = Arc::clone(&lie);
        async move {
            let mut conn: FakeConn = conn;
            conn.login_trust(&[("server_version", "15.0")], 7, b"key!").await;
            let first = conn.index() == 0;
            while let Some(message) = conn.recv().await {
                match message.tag {
                    b'Q' if first => conn.send(&lie).await,
                    b'Q' => {
                        conn.rows(&["c"], &[&[Some("honest")]]).await;
                        conn.ready(b'I').await;
                    }
                    _ => {}
                }
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_server_that_breaks_the_protocol_is_closed() {
    let header = |tag: u8, length: u32| [&[tag][..], &length.to_be_bytes()].concat();
    let cases = [
        ("nobody asked", backend::parse_complete()),
        ("wrong order", [backend::ready_for_query(b'I'), backend::ready_for_query(b'I')].concat()),
        ("a bad status", backend::ready_for_query(b'?')),
        ("no status", backend::message(b'Z', b"")),
        ("a long status", backend::message(b'Z', &[b'I'; 100])),
        ("a bad length", header(b'D', 2)),
        ("an endless message", header(b'T', 0x7fff_ffff)),
        ("an endless status", [header(b'Z', 0x3000_0000), vec![b'I'; 20_000]].concat()),
        ("an unknown type", backend::message(b'?', b"")),
        ("copy both", backend::copy_response(b'W', 1)),
        ("a login", backend::authentication_ok()),
        ("a key", backend::backend_key_data(1, b"1234")),
        ("a parameter without end", backend::message(b'S', b"TimeZone")),
        ("a suspended portal", backend::portal_suspended()),
        ("no parameters", backend::message(b'S', b"")),
    ];
    for (what, lie) in cases {
        let server = liar(lie).await;
        let config = config("db", server.port(), 1, "");
        let pgusher = Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &config);
        let mut one = RawClient::login(pgusher.port(), "db", "me", "").await;
        let mut two = RawClient::login(pgusher.port(), "db", "me", "").await;
        one.send(&frontend::query("select 'lie to me'")).await;
        if what == "wrong order" {
            // The first is the answer; the second comes while nobody asks, or is answered as a lie.
            assert_eq!(one.recv().await.tag, b'Z', "{what}");
        } else {
            let told = one.expect_fatal().await;
            assert_eq!((told.severity(), told.code()), ("FATAL", "08006"), "{what}");
        }
        assert_eq!(two.query("select 1").await.value(), "honest", "{what}");
        assert!(!pgusher.log().contains("panic"), "{what}: {}", pgusher.log());
    }
}

#[tokio::test]
async fn an_error_without_fields_or_of_any_size_is_passed_on() {
    let huge = ErrorFields::new("ERROR", "22000", &"m".repeat(300_000));
    let fatal = ErrorFields::new("FATAL", "57P01", &"m".repeat(300_000));
    let end = backend::ready_for_query(b'I');
    for (error, is_end) in [
        (backend::message(b'E', b""), false),
        (backend::message(b'E', b"\0"), false),
        (backend::message(b'E', b"Sno end"), false),
        (backend::error_response(&huge), false),
        (backend::error_response(&fatal), true),
    ] {
        let lie = if is_end { error.clone() } else { [error.clone(), end.clone()].concat() };
        let server = liar(lie).await;
        let config = config("db", server.port(), 1, "");
        let pgusher = Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &config);
        let mut client = RawClient::login(pgusher.port(), "db", "me", "").await;
        client.send(&frontend::query("select 1")).await;
        assert!(client.recv().await.encode() == error);
        if !is_end {
            assert_eq!(client.recv().await.tag, b'Z');
        }
        assert!(!pgusher.log().contains("panic"), "{}", pgusher.log());
    }
}

#[tokio::test]
async fn a_server_that_stops_amid_a_row_is_told_apart_from_one_that_ends() {
    let row = backend::data_row(&[Some("half of this row")]);
    let half = [backend::row_description(&["c"]), row[..row.len() - 4].to_vec()].concat();
    let server = FakeServer::start(move |conn| {
        let half = half.clone();
        async move {
            let mut conn: FakeConn = conn;
            conn.login_trust(&[("server_version", "15.0")], 7, b"key!").await;
            while let Some(message) = conn.recv().await {
                if message.tag == b'Q' {
                    conn.send(&half).await;
                    return conn.close().await;
                }
            }
        }
    })
    .await;
    let pgusher =
        Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &config("db", server.port(), 1, ""));
    let mut client = RawClient::login(pgusher.port(), "db", "me", "").await;
    client.send(&frontend::query("select 1")).await;
    assert_eq!(client.recv().await.tag, b'T');
    // An error message amid the row would be taken for its rest.
    assert_eq!(client.try_recv().await, Err(NoMessage::ClosedWithin));
    assert!(wait_for(PATIENCE, || server.open_connections() == 0).await);
    assert_calm(&pgusher);
}
