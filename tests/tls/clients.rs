//! psql's sslmodes against pgusher's.

use pgusher_testkit::{Authority, RawClient, frontend};

use crate::stage::{LIMIT, ON, alice, cluster, pgusher, psql};

/// libpq's modes, and whether they end in TLS, in plaintext, or not at all, where pgusher has, may have and must have TLS.
const TABLE: [(&str, [Option<bool>; 3]); 6] = [
    ("disable", [Some(false), Some(false), None]),
    ("allow", [Some(false), Some(false), Some(true)]),
    ("prefer", [Some(false), Some(true), Some(true)]),
    ("require", [None, Some(true), Some(true)]),
    ("verify-ca", [None, Some(true), Some(true)]),
    ("verify-full", [None, Some(true), Some(true)]),
];

#[test]
fn every_mode_of_libpq_against_every_mode_of_pgusher() {
    let server = cluster();
    let roots = Authority::shared().path();
    for (column, mode) in [(0, "disable"), (1, "allow"), (1, "prefer"), (2, "require")] {
        let pgusher = pgusher(server.port(), &format!("sslmode = \"{mode}\""), "").start();
        for (theirs, expected) in TABLE {
            let more = format!("sslmode={theirs} sslrootcert={}", roots.display());
            // \conninfo speaks of TLS in a second line.
            let said = psql(&alice(&pgusher, &more), "\\conninfo");
            let got = said.as_ref().ok().map(|text| text.contains("SSL connection"));
            assert_eq!(got, expected[column], "{theirs} to {mode}: {said:?}\n{}", pgusher.log());
        }
    }
}

#[test]
fn plaintext_is_refused_with_a_reason() {
    let pgusher = pgusher(cluster().port(), "sslmode = \"require\"", "").start();
    let error = psql(&alice(&pgusher, "sslmode=disable"), "select 1").unwrap_err();
    for part in ["no encryption", "127.0.0.1", "\"alice\"", "sslmode=require"] {
        assert!(error.contains(part), "{part} not in {error}");
    }
    let (_, metrics) = pgusher.http_get("/metrics");
    let counted = metrics.lines().any(|line| {
        line.starts_with("pgusher_client_logins_total{result=\"tls_required\"")
            && line.ends_with(" 1")
    });
    assert!(counted, "{metrics}");
    // Nobody listens in on a unix socket.
    let unix = format!(
        "host={} port={} user=alice dbname=postgres sslmode=prefer",
        pgusher.dir().display(),
        pgusher.port()
    );
    let said = psql(&unix, "\\conninfo").unwrap();
    assert!(!said.contains("SSL connection"), "{said}");
}

#[tokio::test]
async fn the_sqlstate_of_plaintext_is_postgresqls() {
    let pgusher = pgusher(cluster().port(), "sslmode = \"require\"", "").start();
    let error = RawClient::try_login(pgusher.port(), "postgres", "alice", "secret").await;
    assert_eq!(error.unwrap_err().code(), "28000");
    let error = RawClient::try_login(pgusher.port(), "pgusher", "postgres", "secret").await;
    assert_eq!(error.unwrap_err().code(), "28000", "the console, too");
}

#[test]
fn client_certificates_are_asked_for_and_judged() {
    let roots = Authority::shared();
    let stranger = Authority::new("somebody else");
    let (good, bad) = (roots.issue("alice"), stranger.issue("alice"));
    let ca = "\nca_file = \"root.crt\"";
    let folder = tempfile::tempdir().unwrap();
    let shown = |name: &str, pair: &pgusher_testkit::Pair| {
        let path = |kind: &str, text: &str| {
            let path = folder.path().join(format!("{name}.{kind}"));
            std::fs::write(&path, text).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&path, mode).unwrap();
            path.display().to_string()
        };
        format!(
            "sslmode=require sslcert={} sslkey={}",
            path("crt", &pair.certificate),
            path("key", &pair.key)
        )
    };
    let (good, bad) = (shown("good", &good), shown("bad", &bad));
    let none = "sslmode=require sslcert=/nonexistent".to_owned();
    for (mode, expected) in [
        ("require", [true, false, true]),
        ("verify-ca", [true, false, false]),
        ("verify-full", [true, false, false]),
    ] {
        let pgusher = pgusher(cluster().port(), &format!("sslmode = \"{mode}\"{ca}"), "").start();
        for (more, expected) in [&good, &bad, &none].into_iter().zip(expected) {
            let said = psql(&alice(&pgusher, more), "select 1");
            assert_eq!(said.is_ok(), expected, "{mode} {more}: {said:?}\n{}", pgusher.log());
        }
        assert!(pgusher.log().contains("verify failed"), "{}", pgusher.log());
    }
}

#[test]
fn versions_and_ciphers_can_be_chosen() {
    for (settings, theirs, expected) in [
        ("protocols = \"tlsv1.2\"", "", Some("TLSv1.2")),
        ("protocols = \"tlsv1.3\"", "", Some("TLSv1.3")),
        ("protocols = \"tlsv1.3\"", "ssl_max_protocol_version=TLSv1.2", None),
        ("protocols = \"secure\"", "ssl_max_protocol_version=TLSv1.2", Some("TLSv1.2")),
        (
            "ciphers = \"ECDHE-RSA-AES256-GCM-SHA384\"\nprotocols = \"tlsv1.2\"",
            "",
            Some("ECDHE-RSA-AES256-GCM-SHA384"),
        ),
        (
            "tls13_ciphers = \"TLS_CHACHA20_POLY1305_SHA256\"",
            "",
            Some("TLS_CHACHA20_POLY1305_SHA256"),
        ),
        ("ecdhcurve = \"P-256:X25519\"", "", Some("TLSv1.3")),
    ] {
        let pgusher = pgusher(cluster().port(), &format!("{ON}\n{settings}"), "").start();
        let said = psql(&alice(&pgusher, &format!("sslmode=require {theirs}")), "\\conninfo");
        match expected {
            Some(part) => assert!(said.as_ref().unwrap().contains(part), "{settings}: {said:?}"),
            None => assert!(said.is_err(), "{settings}: {said:?}"),
        }
    }
}

#[test]
fn the_console_shows_who_has_tls() {
    let pgusher = pgusher(cluster().port(), ON, "").start();
    let columns = "select 1";
    assert_eq!(psql(&alice(&pgusher, "sslmode=require"), columns).unwrap(), "1");
    let console = format!("host=localhost port={} user=postgres dbname=pgusher", pgusher.port());
    let servers = psql(&console, "show servers").unwrap();
    assert!(servers.contains("|TLSv1.3/TLS_AES_256_GCM_SHA384|"), "{servers}");
    let config = psql(&console, "show config").unwrap();
    assert!(config.contains("client_tls_sslmode|prefer|disable|yes"), "{config}");
    assert!(config.contains("server_tls13_ciphers|default|default|yes"), "{config}");
}

#[tokio::test]
async fn what_was_sent_before_the_handshake_is_refused() {
    let pgusher = pgusher(cluster().port(), ON, "").start();
    let mut client = RawClient::connect(pgusher.port()).await;
    let mut early = frontend::ssl_request();
    early.extend(frontend::startup(0, &[("user", "alice"), ("database", "postgres")]));
    client.send(&early).await;
    let error = client.expect_fatal().await;
    assert_eq!(
        (error.code(), error.message()),
        ("08P01", "received unencrypted data after SSL request")
    );
}

#[tokio::test]
async fn a_handshake_that_never_comes_ends_with_the_login_timeout() {
    let config = crate::stage::config(cluster().port(), ON, "")
        .replace("[http]", "client_login_timeout = \"300ms\"\n[http]");
    let pgusher = crate::stage::configured(&config).start();
    let mut client = RawClient::connect(pgusher.port()).await;
    client.send(&frontend::ssl_request()).await;
    assert_eq!(client.recv_byte().await, b'S');
    client.expect_closed().await;
    let mut client = RawClient::connect(pgusher.port()).await;
    client.send(&frontend::ssl_request()).await;
    assert_eq!(client.recv_byte().await, b'S');
    client.send(b"this is no TLS, however long one looks at it").await;
    // An alert comes first, in TLS's own form.
    while client.try_recv().await.is_ok() {}
    pgusher.wait_log("TLS handshake failed", LIMIT);
}
