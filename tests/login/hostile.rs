//! Servers that are asked about users and misbehave, and clients that leave while they are asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pgusher_testkit::{FakeConn, FakeServer, Pgusher, RawClient, backend, frontend};

use crate::stage::{LIMIT, database, pgusher, pooled, refused, until, whoami};

fn start(server: &FakeServer, process: &str) -> Pgusher {
    let process = format!("auth_user = \"asker\"\nauth_query_timeout = \"2s\"\n{process}");
    let sections = format!(
        "{}{}[users.asker]\npassword = \"asking\"\n[users.local]\npassword = \"own\"\n",
        database("asked", server.port(), ""),
        pooled("app"),
    );
    pgusher(&process, &sections).start()
}

async fn login(conn: &mut FakeConn) {
    conn.login_trust(&[("server_version", "16.0")], 42, &[1, 2, 3, 4]).await;
}

#[tokio::test]
async fn answers_that_are_none() {
    let answers: Vec<(&str, Vec<u8>)> = vec![
        (
            "an error without fields",
            [backend::message(b'E', b"\0"), backend::ready_for_query(b'I')].concat(),
        ),
        ("an error without its end", backend::message(b'E', b"SFATAL")),
        ("a row without columns", backend::message(b'D', b"\xff\xff")),
        ("a column longer than its message", backend::message(b'D', b"\0\x02\x7f\xff\xff\xffx")),
        ("a message without end", vec![b'D', 0x3f, 0xff, 0xff, 0xff]),
        ("a length that is none", vec![b'D', 0, 0, 0, 0]),
        ("endless notices", backend::message(b'N', b"SNOTICE\0\0").repeat(5_000)),
        ("a COPY", backend::copy_response(b'G', 1)),
        ("a transaction", backend::ready_for_query(b'T')),
        (
            "more than was asked",
            [backend::ready_for_query(b'I'), backend::ready_for_query(b'I')].concat(),
        ),
        ("nothing", Vec::new()),
    ];
    for (what, answer) in answers {
        let answer = Arc::new(answer);
        let server = FakeServer::start(move |mut conn| {
            let answer = Arc::clone(&answer);
            async move {
                login(&mut conn).await;
                while conn.recv_until(b'S').await.is_some() {
                    conn.send(&answer).await;
                }
            }
        })
        .await;
        let pgusher = start(&server, "");
        let (code, message) = refused(&pgusher, "asked", "anybody", "x").await;
        assert_eq!(
            (&*code, &*message),
            ("57P03", "authentication is not possible at the moment"),
            "{what}"
        );
        assert_eq!(whoami(&pgusher, "app", "local", "own").await, "pooled", "{what}");
    }
}

#[tokio::test]
async fn a_login_that_is_refused_without_a_code() {
    let server = FakeServer::start(|mut conn| async move {
        conn.send(&backend::message(b'E', b"SFATAL\0Mno\0\0")).await;
        conn.close().await;
    })
    .await;
    let pgusher = start(&server, "");
    assert_eq!(refused(&pgusher, "asked", "anybody", "x").await.0, "57P03");
    until("a reason", || pgusher.log().contains("auth_query failed")).await;
}

#[tokio::test]
async fn a_database_that_does_not_exist_there_is_nobodys_news() {
    let server = FakeServer::start(|mut conn| async move {
        conn.error("FATAL", "3D000", "database \"asked\" does not exist").await;
        conn.close().await;
    })
    .await;
    let pgusher = start(&server, "");
    let expected = crate::stage::wrong_password("anybody");
    assert_eq!(refused(&pgusher, "asked", "anybody", "x").await, expected);
}

#[tokio::test]
async fn clients_that_leave_while_a_server_is_asked_are_not_counted() {
    let free = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&free);
    let server = FakeServer::start(move |mut conn| {
        let gate = Arc::clone(&gate);
        async move {
            login(&mut conn).await;
            while conn.recv_until(b'S').await.is_some() {
                while !gate.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                conn.complete("SELECT 0").await;
                conn.ready(b'I').await;
            }
        }
    })
    .await;
    let pgusher = start(&server, "max_client_conn = 5\nclient_login_timeout = \"3s\"");
    for _ in 0..5 {
        let mut client = RawClient::connect(pgusher.port()).await;
        client.send(&frontend::startup(0, &[("user", "gone"), ("database", "asked")])).await;
        client.reset();
    }
    free.store(true, Ordering::Relaxed);
    // Their places come back, at the latest with the end of the time for logins.
    let deadline = tokio::time::Instant::now() + LIMIT;
    loop {
        match RawClient::try_login(pgusher.port(), "app", "local", "own").await {
            Ok(_) => break,
            Err(error) => assert_eq!(error.code(), "53300", "{error:?}"),
        }
        assert!(tokio::time::Instant::now() < deadline, "places do not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..5 {
        assert_eq!(whoami(&pgusher, "app", "local", "own").await, "pooled");
    }
}
