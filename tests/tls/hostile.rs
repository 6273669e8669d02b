//! Servers that are not what they should be: pgusher says so, and goes on.

use pgusher_testkit::{ErrorFields, FakeConn, FakeServer, RawClient, backend};

use crate::stage::{config, configured};

/// What a server says in place of what it should, by the database that is asked for.
enum Speech {
    /// At once.
    Say(fn() -> Vec<u8>),
    /// As the first message of SCRAM, made of the client's nonce.
    First(fn(&str) -> String),
    /// As the answer to the client's proof.
    Last(fn() -> Vec<u8>),
    /// This, for ever.
    Repeat(fn() -> Vec<u8>),
}

use Speech::{First, Last, Repeat, Say};

/// A request for authentication.
fn auth(code: i32, data: &[u8]) -> Vec<u8> {
    backend::message(b'R', &[&code.to_be_bytes(), data].concat())
}

/// A tag, a length that need not be true, and a body.
fn framed(tag: u8, length: u32, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &length.to_be_bytes(), body].concat()
}

fn after_ok(message: Vec<u8>) -> Vec<u8> {
    [backend::authentication_ok(), message].concat()
}

const SALT: &str = "s=c2FsdA==";

/// Every case with the SQLSTATE that clients read.
const CASES: &[(&str, Speech, &str)] = &[
    ("nonce_of_its_own", First(|_| format!("r=abcdefgh,{SALT},i=4096")), "08P01"),
    ("nonce_as_it_was", First(|nonce| format!("r={nonce},{SALT},i=4096")), "08P01"),
    ("nonce_not_printable", First(|nonce| format!("r={nonce}\u{7}\u{e9},{SALT},i=4096")), "08P01"),
    (
        "nonce_endless",
        First(|nonce| format!("r={nonce}{},{SALT},i=1", "x".repeat(60_000))),
        "08P01",
    ),
    ("no_salt", First(|nonce| format!("r={nonce}x,i=4096")), "08P01"),
    ("empty_salt", First(|nonce| format!("r={nonce}x,s=,i=4096")), "08P01"),
    ("no_iterations", First(|nonce| format!("r={nonce}x,{SALT}")), "08P01"),
    ("iterations_0", First(|nonce| format!("r={nonce}x,{SALT},i=0")), "08P01"),
    ("iterations_negative", First(|nonce| format!("r={nonce}x,{SALT},i=-1")), "08P01"),
    ("iterations_2147483647", First(|nonce| format!("r={nonce}x,{SALT},i=2147483647")), "54000"),
    (
        "iterations_too_long",
        First(|nonce| format!("r={nonce}x,{SALT},i=18446744073709551617")),
        "08P01",
    ),
    ("mandatory_extension", First(|nonce| format!("m=x,r={nonce}x,{SALT},i=1")), "0A000"),
    ("says_no", First(|_| "e=other-error".to_owned()), "28P01"),
    ("nothing_at_all", First(|_| String::new()), "08P01"),
    (
        "signature_wrong",
        Last(|| auth(12, b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
        "28000",
    ),
    ("signature_short", Last(|| auth(12, b"v=AAAA")), "08P01"),
    ("no_signature", Last(backend::authentication_ok), "08P01"),
    ("last_twice", Last(|| auth(11, b"r=x")), "08P01"),
    ("continues_what_was_not_begun", Say(|| auth(11, b"r=x")), "08P01"),
    ("ends_what_was_not_begun", Say(|| auth(12, b"v=x")), "08P01"),
    ("no_mechanism", Say(|| auth(10, b"\0")), "08004"),
    ("mechanisms_without_end", Say(|| auth(10, b"SCRAM-SHA-25")), "08004"),
    ("kerberos", Say(|| auth(7, b"")), "08004"),
    ("authentication_without_kind", Say(|| backend::message(b'R', b"\0\0")), "08P01"),
    ("md5_with_short_salt", Say(|| auth(5, b"ab")), "08P01"),
    ("ready_before_it_may_be", Say(|| backend::ready_for_query(b'I')), "08P01"),
    ("parameters_before_they_may_be", Say(|| backend::parameter_status("a", "b")), "08P01"),
    ("parameter_without_value", Say(|| after_ok(backend::message(b'S', b"a\0"))), "08P01"),
    ("parameter_without_end", Say(|| after_ok(backend::message(b'S', b"abc"))), "08P01"),
    ("key_too_short", Say(|| after_ok(backend::message(b'K', b"ab"))), "08P01"),
    (
        "data_after_ready",
        Say(|| after_ok([backend::ready_for_query(b'I'), vec![b'S']].concat())),
        "08P01",
    ),
    ("message_of_4_gib", Say(|| framed(b'R', u32::MAX, b"")), "08P01"),
    ("message_of_2_gib", Say(|| framed(b'E', 0x7fff_ffff, b"SFATAL\0")), "08P01"),
    ("message_shorter_than_its_length", Say(|| framed(b'R', 3, b"")), "08P01"),
    ("message_without_length", Say(|| framed(b'R', 0, b"")), "08P01"),
    ("http", Say(|| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), "08P01"),
    ("error_without_code", Say(|| backend::message(b'E', b"SFATAL\0Mno\0\0")), "XX000"),
    ("error_without_anything", Say(|| backend::message(b'E', b"\0")), "XX000"),
    ("error_without_body", Say(|| backend::message(b'E', b"")), "XX000"),
    ("error_without_end", Say(|| backend::message(b'E', b"SFATAL\0C28P01")), "XX000"),
    ("error_not_utf8", Say(|| backend::message(b'E', b"SFATAL\0C28P01\0M\xff\xfe\0\0")), "28P01"),
    (
        "notices_for_ever",
        Repeat(|| backend::notice_response(&ErrorFields::new("NOTICE", "00000", "x"))),
        "08P01",
    ),
    ("parameters_for_ever", Repeat(|| after_ok(backend::parameter_status("a", "b"))), "08P01"),
    ("silence", Say(Vec::new), "08001"),
];

/// Says what the case of this database says.
async fn speak(mut conn: FakeConn) {
    let name = conn.startup().params.get("database").cloned().unwrap_or_default();
    let Some((_, speech, _)) = CASES.iter().find(|(case, ..)| *case == name) else {
        conn.login_trust(&[("client_encoding", "UTF8")], 1, &[0; 4]).await;
        return conn.until_gone().await;
    };
    match speech {
        Say(what) => conn.send(&what()).await,
        First(what) => {
            if let Some(nonce) = begin_scram(&mut conn).await {
                conn.send(&auth(11, what(&nonce).as_bytes())).await;
            }
        }
        Last(what) => {
            if let Some(nonce) = begin_scram(&mut conn).await {
                conn.send(&auth(11, format!("r={nonce}x,{SALT},i=1").as_bytes())).await;
                conn.recv().await;
                conn.send(&what()).await;
            }
        }
        Repeat(what) => {
            let pile = what().repeat(100);
            for _ in 0..1_000 {
                conn.send(&pile).await;
            }
        }
    }
    conn.until_gone().await;
}

/// Offers SCRAM; gives the client's nonce.
async fn begin_scram(conn: &mut FakeConn) -> Option<String> {
    conn.send(&backend::authentication_sasl(&["SCRAM-SHA-256"])).await;
    let message = conn.recv().await?;
    let text = String::from_utf8_lossy(&message.body).into_owned();
    text.split("r=").nth(1).map(str::to_owned)
}

#[tokio::test]
async fn no_server_can_crash_or_stall_pgusher() {
    let server = FakeServer::start(speak).await;
    let text = config(server.port(), "", "sslmode = \"disable\"")
        .replace("[databases.postgres]", "[databases.\"*\"]")
        .replace("[defaults]", "[defaults]\nserver_connect_timeout = \"2s\"");
    let pgusher = configured(&text).start();
    for (case, _, code) in CASES {
        let login = RawClient::try_login(pgusher.port(), case, "alice", "secret").await;
        let error = login.err().unwrap_or_else(|| panic!("{case} was let in"));
        assert_eq!(error.code(), *code, "{case}: {error:?}");
    }
    RawClient::login(pgusher.port(), "a_good_one", "alice", "secret").await;
    assert!(!pgusher.log().contains("panicked"), "{}", pgusher.log());
}
