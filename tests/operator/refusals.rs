//! Logins that are refused, in both modes: PgBouncer's words or our own, and one code for both.

use pgusher_testkit::{Cluster, ErrorFields, Pgusher, RawClient, frontend};

use super::modes::{Mode, both};
use super::stage::{LIMIT, line, login};

async fn refused(pgusher: &Pgusher, database: &str, user: &str, password: &str) -> ErrorFields {
    match RawClient::try_login(pgusher.port(), database, user, password).await {
        Err(error) => error,
        Ok(_) => panic!("{user} is in {database}"),
    }
}

/// The error that bytes get where a start-up packet is due.
async fn told(pgusher: &Pgusher, bytes: &[u8]) -> ErrorFields {
    let mut client = RawClient::connect(pgusher.port()).await;
    client.set_time_limit(LIMIT);
    client.send(bytes).await;
    client.expect_fatal().await
}

#[tokio::test]
async fn wrong_passwords_are_refused_in_the_methods_words() {
    let users = [("userlist.txt", "\"postgres\" \"right\"\n")];
    for (method, brief) in [
        ("plain", "password authentication failed"),
        ("md5", "password authentication failed"),
        ("scram-sha-256", "SASL authentication failed"),
    ] {
        for (mode, pgusher) in both(&format!("auth_type = {method}"), &line("app", ""), &users) {
            for user in ["postgres", "stranger"] {
                let error = refused(&pgusher, "app", user, "wrong").await;
                mode.expect(&error, "28P01", brief, "password authentication failed for user");
                let error = refused(&pgusher, "none", user, "wrong").await;
                mode.expect(&error, "28P01", brief, "password authentication failed for user");
            }
            login_with_password(&pgusher, "postgres", "right").await;
            if mode == Mode::DropIn {
                pgusher.wait_log(&format!("closing because: {brief} (age="), LIMIT);
            }
        }
    }
}

async fn login_with_password(pgusher: &Pgusher, user: &str, password: &str) {
    let client = RawClient::try_login(pgusher.port(), "app", user, password).await;
    client.unwrap_or_else(|error| panic!("{error:?}\n{}", pgusher.log()));
}

/// Where md5 is asked for and the secret is a SCRAM verifier, SCRAM is what is spoken.
#[tokio::test]
async fn md5_becomes_scram_where_the_secret_is_one() {
    let cluster = Cluster::shared();
    cluster.psql(
        "set password_encryption = 'scram-sha-256'; create role upgraded login password 'secret'",
    );
    let verifier = cluster.psql("select rolpassword from pg_authid where rolname = 'upgraded'");
    assert!(verifier.starts_with("SCRAM-SHA-256$"));
    let users = format!("\"upgraded\" \"{verifier}\"\n");
    for (mode, pgusher) in both("auth_type = md5", &line("app", ""), &[("userlist.txt", &users)]) {
        let mut client = RawClient::connect(pgusher.port()).await;
        client.startup(0, &[("user", "upgraded"), ("database", "app")]).await;
        let asked = client.recv().await;
        assert_eq!((asked.tag, &asked.body[..4]), (b'R', &[0, 0, 0, 10][..]), "SASL");
        login_with_password(&pgusher, "upgraded", "secret").await;
        let error = refused(&pgusher, "app", "upgraded", "wrong").await;
        let native = "password authentication failed for user";
        mode.expect(&error, "28P01", "SASL authentication failed", native);
    }
}

/// `scram_iterations` is what clients of a plain password are asked for.
#[tokio::test]
async fn scram_takes_as_many_iterations_as_it_is_told() {
    let users = [("userlist.txt", "\"postgres\" \"right\"\n")];
    let parameters = "auth_type = scram-sha-256\nscram_iterations = 5123";
    for (_, pgusher) in both(parameters, &line("app", ""), &users) {
        let mut client = RawClient::connect(pgusher.port()).await;
        client.startup(0, &[("user", "postgres"), ("database", "app")]).await;
        client.recv().await;
        client.send(&frontend::sasl_initial("SCRAM-SHA-256", b"n,,n=,r=0123456789abcdef")).await;
        let first = client.recv().await;
        assert!(first.body.ends_with(b",i=5123"), "{first:?}");
        login_with_password(&pgusher, "postgres", "right").await;
    }
}

#[tokio::test]
async fn rules_and_sockets_refuse() {
    let hba = "host app postgres 127.0.0.1/32 trust\nhost app other 127.0.0.1/32 reject\nlocal all all peer\n";
    let parameters = "auth_type = hba\nauth_hba_file = {dir}/hba.conf\nunix_socket_dir = {dir}";
    for (mode, pgusher) in both(parameters, &line("app", ""), &[("hba.conf", hba)]) {
        let error = refused(&pgusher, "app", "app", "").await;
        mode.expect(&error, "28000", "no authentication method is found", "no pg_hba.conf entry");
        let error = refused(&pgusher, "app", "other", "").await;
        mode.expect(&error, "28000", "login rejected", "pg_hba.conf rejects connection");
        let mut client = RawClient::connect_unix(pgusher.dir(), pgusher.port()).await;
        client.startup(0, &[("user", "app"), ("database", "app")]).await;
        let error = client.authenticate("app", "").await.unwrap_err();
        mode.expect(&error, "28000", "unix socket login rejected", "Peer authentication failed");
    }
}

#[tokio::test]
async fn tls_is_insisted_on() {
    let folder = tempfile::tempdir().unwrap();
    let name = |file: &str| folder.path().join(file).display().to_string();
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost"])
        .args(["-keyout", &name("key"), "-out", &name("cert")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    let parameters = format!(
        "client_tls_sslmode = require\nclient_tls_key_file = {}\nclient_tls_cert_file = {}",
        name("key"),
        name("cert")
    );
    for (mode, pgusher) in both(&parameters, &line("app", ""), &[]) {
        let error = refused(&pgusher, "app", "postgres", "").await;
        mode.expect(&error, "28000", "SSL required", "no encryption");
    }
}

#[tokio::test]
async fn full_houses_refuse() {
    let parameters = "max_client_conn = 2\n[users]\napp = max_user_client_connections=1";
    for (mode, pgusher) in both(parameters, &line("app", "user=postgres"), &[]) {
        let _first = login(&pgusher, "app", "app").await;
        let error = refused(&pgusher, "app", "app", "").await;
        let brief = "client connections exceeded (max_user_client_connections)";
        mode.expect(&error, "53300", brief, "(max_user_client_connections)");
        let _second = login(&pgusher, "app", "postgres").await;
        let error = refused(&pgusher, "app", "postgres", "").await;
        let message = "no more connections allowed (max_client_conn)";
        mode.expect(&error, "53300", message, message);
    }
}

#[tokio::test]
async fn a_disabled_database_and_a_full_stop() {
    for (mode, mut pgusher) in both("", &line("app", ""), &[]) {
        let mut console = login(&pgusher, "pgbouncer", "postgres").await;
        let mut inside = login(&pgusher, "app", "postgres").await;
        assert_eq!(console.query("DISABLE app").await.error, None);
        let error = refused(&pgusher, "app", "postgres", "").await;
        mode.expect(&error, "57P03", "database \"app\" is disabled", "\"app\" is disabled");
        assert_eq!(console.query("ENABLE app").await.error, None);
        inside.query("begin").await;
        let mut late = RawClient::connect(pgusher.port()).await;
        late.set_time_limit(LIMIT);
        late.send(&frontend::ssl_request()).await;
        assert_eq!(late.recv_byte().await, b'N', "it is in the door");
        assert_eq!(console.query("SHUTDOWN WAIT_FOR_CLIENTS").await.error, None);
        late.startup(0, &[("user", "postgres"), ("database", "app")]).await;
        let error = late.authenticate("postgres", "").await.unwrap_err();
        mode.expect(&error, "57P03", "pooler is shutting down", "shutting down");
        inside.terminate().await;
        drop(console);
        assert!(pgusher.wait_exit(LIMIT).success());
    }
}

#[tokio::test]
async fn what_is_no_startup_packet_is_refused() {
    for (mode, pgusher) in both("", &line("app", ""), &[]) {
        let v2 = [&[0, 0, 1, 40, 0, 2, 0, 0][..], &[0; 288]].concat();
        let error = told(&pgusher, &v2).await;
        mode.expect(
            &error,
            "0A000",
            "old V2 protocol not supported",
            "unsupported frontend protocol",
        );
        let error = told(&pgusher, &frontend::startup(0, &[("database", "app")])).await;
        mode.expect(&error, "28000", "no username supplied", "no PostgreSQL user name");
        let mut unended = frontend::startup(0, &[("user", "postgres")]);
        unended.pop();
        unended[3] -= 1;
        let layout = "invalid startup packet layout: expected terminator as last byte";
        mode.expect(&told(&pgusher, &unended).await, "08P01", layout, layout);
        if mode == Mode::DropIn {
            pgusher.wait_log(&format!("closing because: {layout} (age="), LIMIT);
        }
        let error = told(&pgusher, b"\x00\x01\x86\xa0\x00\x03\x00\x00user").await;
        let header = "bad packet header: '000186a000030000'";
        mode.expect(&error, "08P01", header, "invalid length of startup packet");
    }
}

#[tokio::test]
async fn a_second_startup_packet_is_no_password() {
    for (mode, pgusher) in both("auth_type = md5", &line("app", ""), &[]) {
        let packet = frontend::startup(0, &[("user", "postgres"), ("database", "app")]);
        let error = told(&pgusher, &[&packet[..], &packet].concat()).await;
        mode.expect(&error, "08P01", "client re-sent startup pkt", "a second start-up packet");
    }
}

/// The kernel may hold back a connection that says nothing: here it does not.
#[tokio::test]
async fn the_silent_are_sent_away() {
    let parameters = "client_login_timeout = 1\ntcp_defer_accept = 0\nauth_type = md5";
    for (mode, pgusher) in both(parameters, &line("app", ""), &[]) {
        let mut silent = RawClient::connect(pgusher.port()).await;
        silent.set_time_limit(LIMIT);
        match mode {
            Mode::DropIn => {
                let error = silent.expect_fatal().await;
                mode.expect(&error, "57P03", "client_login_timeout", "");
                pgusher.wait_log("(nodb)/(nouser)@127.0.0.1:", LIMIT);
                pgusher.wait_log("closing because: client_login_timeout (age=", LIMIT);
            }
            Mode::Native => silent.expect_closed().await,
        }
        // The request for a password comes first.
        let mut slow = RawClient::connect(pgusher.port()).await;
        slow.set_time_limit(LIMIT);
        slow.startup(0, &[("user", "postgres"), ("database", "app")]).await;
        slow.recv().await;
        let late = slow.expect_fatal().await;
        mode.expect(&late, "57P03", "client_login_timeout", "(client_login_timeout)");
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_said_to_be_down() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = silent.local_addr().unwrap().port();
    let database = format!("app = host=127.0.0.1 port={port} user=postgres\n");
    let parameters = "client_login_timeout = 1\nserver_connect_timeout = 2";
    for (mode, pgusher) in both(parameters, &database, &[]) {
        let error = refused(&pgusher, "app", "postgres", "").await;
        let brief = "client_login_timeout (server down)";
        mode.expect(&error, "57P03", brief, "(client_login_timeout)");
        if mode == Mode::DropIn {
            pgusher.wait_log("closing because: connect timeout (age=", LIMIT);
        }
    }
}

#[tokio::test]
async fn nobody_is_looked_up_where_looking_up_fails() {
    let cluster = Cluster::shared();
    cluster.psql("create role asker login superuser");
    let good = "auth_type = md5\nauth_user = asker\nauth_query = select usename, passwd from pg_shadow where usename = $1";
    let users = [("userlist.txt", "\"postgres\" \"\"\n\"asker\" \"\"\n")];
    for (mode, pgusher) in both(good, &line("app", ""), &users) {
        // PgBouncer tells strangers that they are: here only the log does.
        let error = refused(&pgusher, "app", "nobody at all", "x").await;
        let (scram, native) =
            ("SASL authentication failed", "password authentication failed for user");
        mode.expect(&error, "28P01", scram, native);
        pgusher.wait_log("no such user", LIMIT);
    }
    let broken = good.replace("pg_shadow", "no_such_table");
    for (mode, pgusher) in both(&broken, &line("app", ""), &users) {
        let error = refused(&pgusher, "app", "nobody at all", "x").await;
        mode.expect(&error, "57P03", "bouncer config error", "authentication is not possible");
        pgusher.wait_log("no_such_table", LIMIT);
    }
}

/// A place for looking users up that is none.
#[tokio::test]
async fn nobody_is_looked_up_where_there_is_no_database() {
    for (dbname, why) in [
        ("nowhere", "authentication database \"nowhere\" is not configured"),
        ("pgbouncer", "cannot use the reserved \"pgbouncer\" database as an auth_dbname"),
    ] {
        let parameters = format!("auth_type = md5\nauth_user = asker\nauth_dbname = {dbname}");
        let users = [("userlist.txt", "\"postgres\" \"right\"\n")];
        for (mode, pgusher) in both(&parameters, &line("app", ""), &users) {
            let error = refused(&pgusher, "app", "nobody at all", "x").await;
            let native = "authentication is not possible";
            mode.expect(&error, "57P03", "bouncer config error", native);
            pgusher.wait_log(why, LIMIT);
            login_with_password(&pgusher, "postgres", "right").await;
        }
    }
}
