//! TLS as a `pgbouncer.ini` asks for it: who is let in, what the log says, what stays when files are no good.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use pgusher_testkit::{Authority, Cluster, Pair, Pgusher, RawClient, frontend};
use tempfile::TempDir;

use super::stage::{LIMIT, builder, line, login, text, until};

/// A pgusher with a certificate of its own, and the lines that let it use that.
fn start(parameters: &str, databases: &str, users: &str) -> Pgusher {
    let own = Authority::shared().issue("localhost");
    builder(&tls(parameters), databases)
        .file("userlist.txt", users)
        .file("own.crt", &own.certificate)
        .file("own.key", &own.key)
        .file("root.crt", &Authority::shared().certificate())
        .start()
}

fn tls(more: &str) -> String {
    format!(
        "client_tls_key_file = {{dir}}/own.key\nclient_tls_cert_file = {{dir}}/own.crt\n\
         client_tls_ca_file = {{dir}}/root.crt\n{more}"
    )
}

const USERS: &str = "\"postgres\" \"\"\n\"ann\" \"\"\n\"svc\" \"\"\n\"other\" \"\"\n";

/// Certificates of clients, where libpq finds them.
struct Papers(TempDir);

impl Papers {
    fn of(name: &str, pair: &Pair) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (_, key) = pair.write(folder.path(), name);
        // libpq refuses a key that others may read.
        std::fs::set_permissions(key, Permissions::from_mode(0o600)).unwrap();
        Papers(folder)
    }

    fn shown(&self, name: &str) -> String {
        let path = self.0.path().join(name).display().to_string();
        format!("sslcert={path}.crt sslkey={path}.key")
    }
}

/// What psql says.
fn psql(pgusher: &Pgusher, user: &str, more: &str) -> Result<String, String> {
    let connection = format!(
        "host=127.0.0.1 port={} user={user} dbname=app sslmode=require {more}",
        pgusher.port()
    );
    let mut command = Command::new(Cluster::shared().bin("psql"));
    let output = command.args(["-XAtqw", "-c", "select 6 * 7", &connection]).output().unwrap();
    let words = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() { Ok(words(&output.stdout)) } else { Err(words(&output.stderr)) }
}

/// The common name counts, and every DNS name beside it; nothing else does.
#[tokio::test]
async fn a_certificate_may_name_several_users() {
    let parameters = "auth_type = cert\nclient_tls_sslmode = verify-full";
    let pgusher = start(parameters, &line("app", "user=postgres"), USERS);
    let pair = Authority::shared().issue_with_names("ann", "DNS:svc,IP:127.0.0.1");
    let papers = Papers::of("ann", &pair);
    for user in ["ann", "svc"] {
        assert_eq!(psql(&pgusher, user, &papers.shown("ann")).as_deref(), Ok("42"), "{user}");
    }
    let refused = psql(&pgusher, "other", &papers.shown("ann")).unwrap_err();
    assert!(refused.ends_with("FATAL:  certificate authentication failed"), "{refused}");
    psql(&pgusher, "ann", "sslcert=/nonexistent").unwrap_err();
}

#[tokio::test]
async fn the_log_names_protocol_and_cipher() {
    let parameters =
        "client_tls_sslmode = allow\nclient_tls13_ciphers = TLS_CHACHA20_POLY1305_SHA256";
    let pgusher = start(parameters, &line("app", "user=postgres"), USERS);
    assert_eq!(psql(&pgusher, "ann", "").as_deref(), Ok("42"));
    let cipher = "TLSv1.3/TLS_CHACHA20_POLY1305_SHA256";
    pgusher.wait_log(&format!("login attempt: db=app user=ann tls={cipher} replication=no"), LIMIT);
    assert_eq!(
        psql(&pgusher, "ann", "sslmode=disable").as_deref(),
        Ok("42"),
        "it may, as by prefer"
    );
    pgusher.wait_log("login attempt: db=app user=ann tls=no replication=no", LIMIT);
}

/// What is no good changes nothing, by SET as by RELOAD, and the log says what it is.
#[tokio::test]
async fn tls_that_is_no_good_is_told_in_the_log() {
    let parameters = "client_tls_sslmode = prefer";
    let pgusher = start(parameters, &line("app", "user=postgres"), USERS);
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    for (key, value, why) in [
        ("client_tls13_ciphers", "nonsense", "failed to set the TLSv1.3 cipher suites"),
        ("server_tls13_ciphers", "nonsense", "failed to set the TLSv1.3 cipher suites"),
        ("client_tls_cert_file", "/nonexistent.crt", "No such file or directory"),
        ("server_tls_ca_file", "/nonexistent.crt", "No such file or directory"),
    ] {
        let failed = |log: &str| {
            let is_it =
                |line: &str| line.contains(" ERROR TLS setup failed: ") && line.contains(why);
            log.lines().filter(|line| is_it(line)).count()
        };
        let before = failed(&pgusher.log());
        let set = console.query(&format!("SET {key} = '{value}'")).await;
        assert_eq!((set.error, set.notices.len()), (None, 1), "{key}");
        until("SET is told of", || failed(&pgusher.log()) > before).await;
        let before = failed(&pgusher.log());
        let dir = pgusher.dir().display().to_string();
        let broken = tls(&format!("{parameters}\n{key} = {value}")).replace("{dir}", &dir);
        pgusher
            .rewrite_config(&text(&broken, &line("app", "user=postgres")).replace("{dir}", &dir));
        assert_eq!(console.query("RELOAD").await.unwrap_error().code(), "F0000", "{key}");
        until("RELOAD is told of", || failed(&pgusher.log()) > before).await;
        assert_eq!(psql(&pgusher, "ann", "").as_deref(), Ok("42"), "{key}: the old one stays");
    }
}

/// A request for GSSAPI is refused, and nothing may stand behind it that somebody in between has put there.
#[tokio::test]
async fn nothing_may_follow_a_request_for_encryption() {
    let pgusher = start("client_tls_sslmode = prefer", &line("app", "user=postgres"), USERS);
    for request in [frontend::ssl_request(), frontend::gss_request()] {
        let mut client = RawClient::connect(pgusher.port()).await;
        client.set_time_limit(LIMIT);
        let startup = frontend::startup(0, &[("user", "ann"), ("database", "app")]);
        client.send(&[&request[..], &startup].concat()).await;
        let error = client.expect_fatal().await;
        assert!(error.message().starts_with("received unencrypted data after "), "{error:?}");
        client.expect_closed().await;
    }
}

/// Versions and ciphers that servers are offered; another choice means other connections, the same one does not.
#[tokio::test]
async fn servers_are_offered_what_is_asked_for() {
    let pair = Authority::shared().issue("localhost");
    let cluster = Cluster::builder()
        .setting("ssl", "on")
        .file("server.crt", &pair.certificate)
        .file("server.key", &pair.key)
        .build();
    let port = cluster.port();
    let place = format!("host=127.0.0.1 port={port} dbname=postgres user=postgres");
    let database = format!("app = {place} pool_size=1\n");
    let used = "select version || ' ' || cipher from pg_stat_ssl where pid = pg_backend_pid()";
    let pgusher = start("server_tls_sslmode = require", &database, USERS);
    let mut console = login(&pgusher, "pgbouncer", "postgres").await;
    let mut before = String::new();
    for (parameters, expected) in [
        (
            "server_tls_protocols = tlsv1.2\nserver_tls_ciphers = AES128-GCM-SHA256:ECDHE-RSA-AES256-GCM-SHA384",
            "TLSv1.2 ECDHE-RSA-AES256-GCM-SHA384",
        ),
        (
            "server_tls_protocols = tlsv1.2\nserver_tls_ciphers = ECDHE-RSA-CHACHA20-POLY1305",
            "TLSv1.2 ECDHE-RSA-CHACHA20-POLY1305",
        ),
        (
            "server_tls_protocols = secure\nserver_tls_ciphers = fast",
            "TLSv1.3 TLS_AES_256_GCM_SHA384",
        ),
        (
            "server_tls_protocols = tlsv1.3\nserver_tls13_ciphers = TLS_AES_128_GCM_SHA256",
            "TLSv1.3 TLS_AES_128_GCM_SHA256",
        ),
    ] {
        let dir = pgusher.dir().display().to_string();
        let parameters = tls(&format!("server_tls_sslmode = require\n{parameters}"));
        pgusher.rewrite_config(&text(&parameters, &database).replace("{dir}", &dir));
        for round in 0..2 {
            assert_eq!(console.query("RELOAD").await.error, None, "{parameters}");
            let mut client = login(&pgusher, "app", "postgres").await;
            assert_eq!(client.query(used).await.value(), expected, "{parameters}");
            let pid = super::stage::backend(&mut client).await;
            assert_eq!(pid == before, round > 0, "{parameters}, round {round}");
            before = pid;
            client.terminate().await;
        }
    }
}
