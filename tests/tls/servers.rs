//! pgusher's sslmodes against servers that must have, may have and have no TLS.

use pgusher_testkit::{
    Authority, Cluster, FakeServer, Pair, Pgusher, PgusherBuilder, RawClient, frontend,
    self_signed, wait_for_blocking,
};

use crate::stage::{IS_TLS, LIMIT, cluster, config, configured, own, pgusher, psql};
use crate::tunnel::Tunnel;

/// What a user finds on the server: whether its connection has TLS, or the error.
fn ask(pgusher: &Pgusher, user: &str) -> Result<bool, String> {
    let connection = format!("host=localhost port={} user={user} dbname=postgres", pgusher.port());
    psql(&connection, IS_TLS).map(|said| said == "t")
}

const VERIFIED: &str = "ca_file = \"root.crt\"";

#[test]
fn every_mode_means_what_it_means_in_libpq() {
    let server = cluster();
    for (settings, alice, plain, anybody) in [
        ("sslmode = \"disable\"", None, Some(false), Some(false)),
        ("sslmode = \"allow\"", Some(true), Some(false), Some(false)),
        ("sslmode = \"prefer\"", Some(true), Some(false), Some(true)),
        ("", Some(true), Some(false), Some(true)),
        ("sslmode = \"require\"", Some(true), None, Some(true)),
        ("sslmode = \"verify-ca\"\nca_file = \"root.crt\"", Some(true), None, Some(true)),
        ("sslmode = \"verify-full\"\nca_file = \"root.crt\"", Some(true), None, Some(true)),
    ] {
        let pgusher = pgusher(server.port(), "", settings).start();
        for (user, expected) in [("alice", alice), ("plain", plain), ("postgres", anybody)] {
            let got = ask(&pgusher, user);
            assert_eq!(got.as_ref().ok(), expected.as_ref(), "{settings} {user}: {got:?}");
        }
    }
}

#[test]
fn a_server_without_tls_is_an_error_where_tls_is_required() {
    let server = Cluster::builder().build();
    for (mode, expected) in [
        ("disable", Ok(false)),
        ("allow", Ok(false)),
        ("prefer", Ok(false)),
        ("require", Err("the server does not support TLS, but it is required")),
        ("verify-full", Err("the server does not support TLS, but it is required")),
    ] {
        let settings = format!("sslmode = \"{mode}\"\n{VERIFIED}");
        let pgusher = pgusher(server.port(), "", &settings).start();
        match (ask(&pgusher, "postgres"), expected) {
            (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{mode}"),
            (Err(got), Err(part)) => assert!(got.contains(part), "{mode}: {got}"),
            (got, _) => panic!("{mode}: {got:?}"),
        }
    }
}

#[test]
fn a_unix_socket_has_no_tls_and_needs_none() {
    let server = cluster();
    let text = config(server.port(), "", "sslmode = \"verify-full\"\nca_file = \"root.crt\"");
    let folder = server.socket_dir().display().to_string();
    let pgusher =
        configured(&text.replace("host = \"localhost\"", &format!("host = \"{folder}\""))).start();
    assert_eq!(ask(&pgusher, "postgres"), Ok(false));
}

#[test]
fn a_database_may_have_tls_of_its_own() {
    let (server, strangers) = (cluster(), Authority::new("strangers.example.com"));
    let section = |name: &str, settings: &str| {
        format!(
            "[databases.{name}]\nhost = \"localhost\"\nport = {}\ndbname = \"postgres\"\n{settings}\n",
            server.port()
        )
    };
    let full = "server_tls_sslmode = \"verify-full\"\nserver_tls_ca_file";
    let sections = section("full", &format!("{full} = \"root.crt\""))
        + &section("foreign", &format!("{full} = \"other.crt\""))
        + &section(
            "shown",
            "server_tls_sslmode = \"require\"\nserver_tls_cert_file = \"client.crt\"\n\
             server_tls_key_file = \"client.key\"",
        );
    let pair = Authority::shared().issue("certified");
    let pgusher = configured(&(config(server.port(), "", "sslmode = \"disable\"") + &sections))
        .file("other.crt", &strangers.certificate())
        .file("client.crt", &pair.certificate)
        .file("client.key", &pair.key)
        .start();
    let ask = |user: &str, database: &str| {
        let port = pgusher.port();
        psql(&format!("host=localhost port={port} user={user} dbname={database}"), IS_TLS)
    };
    assert_eq!(ask("postgres", "postgres").as_deref(), Ok("f"));
    assert_eq!(ask("postgres", "full").as_deref(), Ok("t"));
    assert_eq!(ask("certified", "shown").as_deref(), Ok("t"));
    assert!(ask("certified", "full").is_err(), "it has no certificate to show");
    let error = ask("postgres", "foreign").unwrap_err();
    assert!(error.contains("certificate verify failed"), "{error}");
}

#[test]
fn each_host_of_a_list_has_to_bear_its_own_name() {
    let server = cluster();
    let text = config(server.port(), "", "sslmode = \"verify-full\"\nca_file = \"root.crt\"");
    // The certificate is for `localhost` alone.
    let start = |hosts: &str| {
        configured(&text.replace("host = \"localhost\"", &format!("host = {hosts}"))).start()
    };
    assert_eq!(ask(&start("[\"127.0.0.1\", \"localhost\"]"), "alice"), Ok(true));
    let error = ask(&start("[\"127.0.0.1\"]"), "alice").unwrap_err();
    assert!(error.contains("does not match host name \"127.0.0.1\""), "{error}");
}

#[test]
fn the_server_sees_pgushers_certificate() {
    let client = Authority::shared().issue("certified");
    let settings = "cert_file = \"me.crt\"\nkey_file = \"me.key\"";
    let start = |settings| {
        pgusher(cluster().port(), "", settings)
            .file("me.crt", &client.certificate)
            .file("me.key", &client.key)
            .start()
    };
    assert_eq!(ask(&start(settings), "certified"), Ok(true));
    let error = ask(&start(""), "certified").unwrap_err();
    assert!(error.contains("certificate") || error.contains("no encryption"), "{error}");
}

/// A PostgreSQL with this certificate.
fn server_with(pair: &Pair) -> Cluster {
    Cluster::builder()
        .setting("ssl", "on")
        .file("server.crt", &pair.certificate)
        .file("server.key", &pair.key)
        .build()
}

fn before(server: &Cluster, settings: &str, root: &str) -> PgusherBuilder {
    pgusher(server.port(), "", settings).file("root.crt", root)
}

#[test]
fn certificates_are_judged_as_libpq_judges_them() {
    let roots = Authority::shared();
    let stranger = Authority::new("somebody else");
    let itself = self_signed("localhost", &[]);
    let full = "sslmode = \"verify-full\"\nca_file = \"root.crt\"";
    let ca = "sslmode = \"verify-ca\"\nca_file = \"root.crt\"";
    let require = "sslmode = \"require\"\nca_file = \"root.crt\"";
    let blind = "sslmode = \"require\"";
    let prefer = "ca_file = \"root.crt\"";
    let expired = "certificate has expired";
    let (no_issuer, other_host) = ("verify failed", "does not match host name \"localhost\"");
    let root = roots.certificate();
    for (what, pair, root, outcomes) in [
        ("version 1", roots.issue("localhost"), &root, vec![(full, Ok(true))]),
        ("itself", itself.clone(), &itself.certificate, vec![(full, Ok(true))]),
        (
            "another host",
            roots.issue("db.example.com"),
            &root,
            vec![(full, Err(other_host)), (ca, Ok(true))],
        ),
        (
            "names beside the subject",
            roots.issue_with_names("localhost", "DNS:db.example.com"),
            &root,
            vec![(full, Err(other_host)), (ca, Ok(true))],
        ),
        (
            "the right name beside the subject",
            roots.issue_with_names("db.example.com", "DNS:db.example.com,DNS:localhost"),
            &root,
            vec![(full, Ok(true))],
        ),
        (
            "expired",
            roots.issue_expired("localhost"),
            &root,
            vec![
                (full, Err(expired)),
                (require, Err(expired)),
                (blind, Ok(true)),
                (prefer, Ok(false)),
            ],
        ),
        (
            "a strange authority",
            stranger.issue("localhost"),
            &root,
            vec![
                (full, Err(no_issuer)),
                (ca, Err(no_issuer)),
                (require, Err(no_issuer)),
                (blind, Ok(true)),
                (prefer, Ok(false)),
            ],
        ),
    ] {
        let server = server_with(&pair);
        for (settings, expected) in outcomes {
            let pgusher = before(&server, settings, root).start();
            match (ask(&pgusher, "postgres"), expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{what}, {settings}"),
                (Err(got), Err(part)) => assert!(got.contains(part), "{what}, {settings}: {got}"),
                (got, _) => panic!("{what}, {settings}: {got:?}\n{}", pgusher.log()),
            }
        }
    }
}

#[test]
fn the_authorities_of_the_system_are_trusted_where_it_says_so() {
    let settings = "sslmode = \"verify-full\"\nca_file = \"system\"";
    let strange = pgusher(cluster().port(), "", settings).start();
    let error = ask(&strange, "postgres").unwrap_err();
    assert!(error.contains("verify failed"), "{error}");
    // The system's authorities are where OpenSSL's own variable says.
    let file = Authority::shared().path().display().to_string();
    let known = pgusher(cluster().port(), "", settings).env("SSL_CERT_FILE", &file).start();
    assert_eq!(ask(&known, "postgres"), Ok(true));
}

/// A server that answers the request for TLS with `answer` and then lets nobody in.
async fn answering(answer: &'static [u8]) -> FakeServer {
    FakeServer::start_unread(move |mut conn| async move {
        if conn.recv_bytes(8).await.is_some() {
            conn.send(answer).await;
            conn.until_gone().await;
        }
    })
    .await
}

#[tokio::test]
async fn what_is_no_answer_to_a_request_for_tls_ends_the_attempt() {
    for (answer, expected) in [
        (&b"N"[..], "does not support TLS, but it is required"),
        (b"S\x16\x03\x01", "received unencrypted data after the answer for TLS"),
        (b"Nmore", "received unencrypted data after the answer for TLS"),
        (b"E\0\0\0\x0cSFATAL\0\0", "answered with an error to TLS"),
        (b"HTTP/1.1 400", "received invalid response to TLS: 0x48"),
    ] {
        let server = answering(answer).await;
        let pgusher = pgusher(server.port(), "", "sslmode = \"require\"").start();
        let error = RawClient::try_login(pgusher.port(), "postgres", "alice", "secret").await;
        let error = error.unwrap_err();
        assert!(error.message().contains(expected), "{answer:?}: {error:?}");
        assert_eq!(error.code(), "08001");
    }
}

#[tokio::test]
async fn passwords_are_not_sent_in_clear_where_others_can_read_them() {
    let asked = |conn: pgusher_testkit::FakeConn| async move {
        let mut conn = conn;
        assert_eq!(conn.ask_password().await, Some("secret".to_owned()));
        conn.login_trust(&[("client_encoding", "UTF8")], 1, &[0; 4]).await;
        conn.until_gone().await;
    };
    let server = FakeServer::start(asked).await;
    let allowed = pgusher(server.port(), "", "allow_cleartext_password = true").start();
    let client = RawClient::try_login(allowed.port(), "postgres", "alice", "secret").await;
    client.unwrap();
    let server = FakeServer::start(|mut conn: pgusher_testkit::FakeConn| async move {
        assert_eq!(conn.ask_password().await, None, "nothing is sent");
    })
    .await;
    let careful = pgusher(server.port(), "", "").start();
    let error = RawClient::try_login(careful.port(), "postgres", "alice", "secret").await;
    let error = error.unwrap_err();
    assert!(error.message().contains("in clear on a connection without TLS"), "{error:?}");
    // Inside of TLS nobody reads it.
    let server = FakeServer::start(asked).await;
    let tunnel = Tunnel::before(server.port(), own()).await;
    let hidden = pgusher(tunnel.port(), "", "sslmode = \"require\"").start();
    let client = RawClient::try_login(hidden.port(), "postgres", "alice", "secret").await;
    client.unwrap_or_else(|error| panic!("{error:?}\n{}", hidden.log()));
}

/// The way to this server is TLS or nothing, for requests to cancel as well.
#[tokio::test(flavor = "multi_thread")]
async fn cancel_requests_have_the_same_tls() {
    let server = FakeServer::echo().await;
    let tunnel = Tunnel::before(server.port(), own()).await;
    let settings = "sslmode = \"verify-full\"\nca_file = \"root.crt\"";
    let pgusher = pgusher(tunnel.port(), crate::stage::ON, settings).start();
    let outer = Tunnel::to(pgusher.port()).await;
    let mut client = RawClient::login(outer.port(), "postgres", "alice", "secret").await;
    let (pid, key) = (client.pid(), client.key().to_vec());
    for port in [pgusher.port(), outer.port()] {
        let before = server.cancels().len();
        client.send(&frontend::query("select pg_sleep(60)")).await;
        let console =
            format!("host=localhost port={} user=postgres dbname=pgusher", pgusher.port());
        let busy = || psql(&console, "show pools").is_ok_and(|pools| pools.contains("|alice|1|"));
        let is_busy = tokio::task::block_in_place(|| wait_for_blocking(LIMIT, busy));
        assert!(is_busy, "{}", pgusher.log());
        RawClient::cancel(port, pid, &key).await;
        let result = client.read_result().await;
        assert_eq!(result.unwrap_error().code(), "57014");
        assert_eq!(server.cancels().len(), before + 1);
    }
}
