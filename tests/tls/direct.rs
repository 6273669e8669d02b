//! TLS without asking first, as since PostgreSQL 17.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::thread::JoinHandle;

use openssl::ssl::{AlpnError, Ssl, SslContext, SslMethod, SslStream, select_next_proto};
use pgusher_testkit::{Pgusher, RawClient, frontend};

use crate::stage::{LIMIT, cluster, own, pgusher};
use crate::tunnel::server_context;

const ALPN: &[u8] = b"\x0apostgresql";

/// A connection that begins with TLS.
fn direct(pgusher: &Pgusher, alpn: Option<&[u8]>) -> Result<SslStream<TcpStream>, String> {
    let mut context = SslContext::builder(SslMethod::tls()).unwrap();
    if let Some(protocols) = alpn {
        context.set_alpn_protos(protocols).unwrap();
    }
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, pgusher.port())).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let ssl = Ssl::new(&context.build()).unwrap();
    ssl.connect(stream).map_err(|error| error.to_string())
}

/// What comes back for a start-up message: the first byte, or nothing.
fn first_byte(mut stream: SslStream<TcpStream>) -> Option<u8> {
    let startup = frontend::startup(0, &[("user", "alice"), ("database", "postgres")]);
    // A peer that has closed already shows in what can be read.
    let _ = stream.write_all(&startup);
    let mut byte = [0];
    stream.read_exact(&mut byte).ok().map(|()| byte[0])
}

#[test]
fn clients_may_begin_with_tls_if_they_say_what_they_speak() {
    let on = pgusher(cluster().port(), "sslmode = \"require\"", "").start();
    let stream = direct(&on, Some(ALPN)).unwrap();
    assert_eq!(stream.ssl().selected_alpn_protocol(), Some(&b"postgresql"[..]));
    assert_eq!(first_byte(stream), Some(b'R'));
    assert!(direct(&on, None).map(first_byte).is_ok_and(|byte| byte.is_none()), "without ALPN");
    on.wait_log("direct TLS without ALPN", LIMIT);
    assert!(direct(&on, Some(b"\x08http/1.1")).is_err(), "another protocol");
    let off = pgusher(cluster().port(), "", "").start();
    assert!(direct(&off, Some(ALPN)).is_err(), "no TLS here");
}

/// A client that closes without TLS's goodbye is a client that has left, and nothing that TLS has to say more about.
#[test]
fn an_abrupt_end_is_an_end() {
    let pgusher = pgusher(cluster().port(), "sslmode = \"require\"", "").start();
    let mut stream = direct(&pgusher, Some(ALPN)).unwrap();
    let startup = frontend::startup(0, &[("user", "alice"), ("database", "postgres")]);
    stream.write_all(&startup).unwrap();
    stream.read_exact(&mut [0]).unwrap();
    drop(stream);
    pgusher.wait_log("the client closed the connection during authentication", LIMIT);
    assert!(!pgusher.log().contains("eof"), "{}", pgusher.log());
}

/// A server that understands only TLS from the first byte on, and knows ALPN or does not; tells what it heard then.
fn direct_server(alpn: bool) -> (u16, JoinHandle<Option<[u8; 8]>>) {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut context = server_context(own());
    if alpn {
        context.set_alpn_select_callback(|_, offered| {
            select_next_proto(ALPN, offered).ok_or(AlpnError::ALERT_FATAL)
        });
    }
    let heard = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        let mut stream = Ssl::new(&context.build()).unwrap().accept(stream).ok()?;
        let mut bytes = [0; 8];
        stream.read_exact(&mut bytes).ok().map(|()| bytes)
    });
    (port, heard)
}

#[tokio::test]
async fn servers_may_be_reached_directly_if_they_say_what_they_speak() {
    let settings = "sslmode = \"require\"\nsslnegotiation = \"direct\"";
    for alpn in [true, false] {
        let (port, heard) = direct_server(alpn);
        let pgusher = pgusher(port, "", settings).start();
        let error = RawClient::try_login(pgusher.port(), "postgres", "alice", "secret").await;
        let error = error.unwrap_err();
        let heard = heard.join().unwrap();
        if alpn {
            let heard = heard.expect("a start-up packet");
            assert_eq!(heard[4..], [0, 3, 0, 0], "not a start-up packet: {heard:?}");
        } else {
            assert_eq!(heard, None);
            assert!(error.message().contains("without ALPN"), "{error:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_does_not_know_direct_tls_is_an_error() {
    let pgusher =
        pgusher(cluster().port(), "", "sslmode = \"require\"\nsslnegotiation = \"direct\"").start();
    let error = RawClient::try_login(pgusher.port(), "postgres", "alice", "secret").await;
    let error = error.unwrap_err();
    assert!(error.message().contains("no TLS with server"), "{error:?}");
}
