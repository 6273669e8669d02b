//! Certificates that are replaced while connections last.

use std::net::{Ipv4Addr, TcpStream};

use openssl::ssl::{Ssl, SslContext, SslMethod};
use openssl::x509::X509;
use pgusher_testkit::{Authority, Pair, Pgusher, RawClient, Signal, wait_for_blocking};

use crate::stage::{LIMIT, ON, alice, cluster, own, pgusher, psql};
use crate::tunnel::Tunnel;

/// The certificate that pgusher shows now.
fn shown(pgusher: &Pgusher) -> Vec<u8> {
    let mut context = SslContext::builder(SslMethod::tls()).unwrap();
    context.set_alpn_protos(b"\x0apostgresql").unwrap();
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, pgusher.port())).unwrap();
    let stream = Ssl::new(&context.build()).unwrap().connect(stream).unwrap();
    stream.ssl().peer_certificate().unwrap().to_der().unwrap()
}

fn der(pair: &Pair) -> Vec<u8> {
    X509::from_pem(pair.certificate.as_bytes()).unwrap().to_der().unwrap()
}

fn replace(pgusher: &Pgusher, pair: &Pair) {
    pgusher.rewrite_file("own.key", &pair.key);
    pgusher.rewrite_file("own.crt", &pair.certificate);
}

fn console(pgusher: &Pgusher, command: &str) -> Result<String, String> {
    let connection = format!("host=localhost port={} user=postgres dbname=pgusher", pgusher.port());
    psql(&connection, command)
}

#[tokio::test]
async fn new_files_come_into_force_by_themselves_and_connections_stay() {
    let settings = "sslmode = \"verify-ca\"\nca_file = \"root.crt\"";
    let pgusher = pgusher(cluster().port(), ON, settings).start();
    let tunnel = Tunnel::to(pgusher.port()).await;
    let mut client = RawClient::login(tunnel.port(), "postgres", "alice", "secret").await;
    let backend = client.query("select pg_backend_pid()").await.value().to_owned();
    assert_eq!(shown(&pgusher), der(own()));
    let fresh = Authority::shared().issue("localhost");
    replace(&pgusher, &fresh);
    let renewed = wait_for_blocking(LIMIT, || shown(&pgusher) == der(&fresh));
    assert!(renewed, "{}", pgusher.log());
    assert_eq!(client.query("select pg_backend_pid()").await.value(), backend, "all stays");
    // What is broken is told of, and not used.
    pgusher.rewrite_file("own.crt", "this is no certificate");
    pgusher.wait_log("the old ones stay in use", LIMIT);
    assert!(pgusher.log().contains("own.crt"), "{}", pgusher.log());
    assert_eq!(shown(&pgusher), der(&fresh));
    assert_eq!(client.query("select pg_backend_pid()").await.value(), backend, "all stays");
}

#[test]
fn a_reload_takes_new_files_at_once_and_refuses_broken_ones() {
    let pgusher = pgusher(cluster().port(), ON, "").start();
    let (first, second) =
        (Authority::shared().issue("localhost"), Authority::shared().issue("localhost"));
    replace(&pgusher, &first);
    console(&pgusher, "reload").unwrap();
    assert_eq!(shown(&pgusher), der(&first));
    replace(&pgusher, &second);
    pgusher.signal(Signal::HUP);
    assert!(wait_for_blocking(LIMIT, || shown(&pgusher) == der(&second)), "{}", pgusher.log());
    // The key of another certificate.
    pgusher.rewrite_file("own.key", &first.key);
    let error = console(&pgusher, "reload").unwrap_err();
    for part in ["client_tls_key_file", "own.key", "does not belong to the certificate"] {
        assert!(error.contains(part), "{part} not in {error}");
    }
    assert_eq!(shown(&pgusher), der(&second), "the old ones stay");
}

#[test]
fn settings_change_with_a_reload() {
    let pgusher = pgusher(cluster().port(), ON, "").start();
    psql(&alice(&pgusher, "sslmode=disable"), "select 1").unwrap();
    pgusher.rewrite_config(&crate::stage::config(
        cluster().port(),
        "sslmode = \"require\"",
        "sslmode = \"verify-full\"\nca_file = \"root.crt\"",
    ));
    let connection = format!(
        "host={} port={} user=postgres dbname=pgusher",
        pgusher.dir().display(),
        pgusher.port()
    );
    psql(&connection, "reload").unwrap();
    psql(&alice(&pgusher, "sslmode=disable"), "select 1").unwrap_err();
    psql(&alice(&pgusher, "sslmode=require"), "select 1").unwrap();
}

#[test]
fn an_authority_that_is_replaced_shuts_out_whom_it_let_in() {
    let settings = "sslmode = \"verify-ca\"\nca_file = \"root.crt\"";
    let pgusher = pgusher(cluster().port(), "", settings).start();
    psql(&alice(&pgusher, ""), "select 1").unwrap();
    pgusher.rewrite_file("root.crt", &Authority::new("another").certificate());
    console(&pgusher, "reload").unwrap();
    // The servers that are there were trusted when they came; the next one is not.
    console(&pgusher, "reconnect").unwrap();
    let refused = wait_for_blocking(LIMIT, || psql(&alice(&pgusher, ""), "select 1").is_err());
    assert!(refused, "{}", pgusher.log());
    pgusher.wait_log("verify failed", LIMIT);
}

#[test]
fn an_expiry_is_a_metric_and_a_warning() {
    let soon = pgusher_testkit::self_signed("localhost", &["-days", "3"]);
    let pgusher = pgusher(cluster().port(), ON, "")
        .file("own.crt", &soon.certificate)
        .file("own.key", &soon.key)
        .start();
    pgusher.wait_log("the TLS certificate expires soon", LIMIT);
    let (_, metrics) = pgusher.http_get("/metrics");
    let line = metrics
        .lines()
        .find(|line| {
            line.starts_with("pgusher_tls_certificate_not_after_timestamp_seconds{side=\"client\"}")
        })
        .unwrap_or_else(|| panic!("no expiry in {metrics}"));
    let expiry: u64 = line.rsplit(' ').next().unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let days = (expiry - now) / 86_400;
    assert!((2..=3).contains(&days), "{days} days");
}
