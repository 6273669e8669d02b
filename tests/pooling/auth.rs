//! Who gets in, and how pgusher gets in.

use std::process::Command;

use pgusher_testkit::{Cluster, Pgusher, RawClient};

use crate::stage::{BINARY, LIMIT, until};

const PASSWORD: &str = "pässword \"quoted\"";

/// A PostgreSQL that wants a proof from everybody over TCP, with user `alice`.
fn guarded(method: &str) -> Cluster {
    let cluster = Cluster::builder().auth(method).build();
    cluster.psql(&format!("create role alice login password '{PASSWORD}'"));
    cluster
}

fn start(
    cluster: &Cluster,
    auth_type: &str,
    users: &str,
    userlist: &str,
    settings: &str,
) -> Pgusher {
    let config = format!(
        "[pgusher]\nlisten_addr = \"127.0.0.1\"\nlisten_port = {{port}}\nauth_type = \"{auth_type}\"\n\
         auth_file = \"userlist.txt\"\n[databases.postgres]\nhost = \"127.0.0.1\"\nport = {}\n\
         {settings}\n{users}\n[tls.server]\nallow_cleartext_password = true\n",
        cluster.port()
    );
    Pgusher::builder(BINARY, &config).file("userlist.txt", userlist).start()
}

async fn whoami(pgusher: &Pgusher, user: &str, password: &str) -> String {
    let login = RawClient::try_login(pgusher.port(), "postgres", user, password).await;
    let mut client = login.unwrap_or_else(|error| panic!("{user}: {error:?}\n{}", pgusher.log()));
    client.query("select current_user").await.value().to_owned()
}

fn plain_entry(user: &str, password: &str) -> String {
    format!("\"{user}\" \"{}\"\n", password.replace('"', "\"\""))
}

/// The very text PostgreSQL stores.
fn stored_entry(cluster: &Cluster, user: &str) -> String {
    let secret =
        cluster.psql(&format!("select rolpassword from pg_authid where rolname = '{user}'"));
    format!("\"{user}\" \"{secret}\"\n")
}

#[tokio::test]
async fn every_method_on_one_side_works_with_every_method_on_the_other() {
    for server in ["scram-sha-256", "md5", "password"] {
        let cluster = guarded(server);
        for client in ["scram-sha-256", "md5", "trust"] {
            let pgusher = start(&cluster, client, "", &plain_entry("alice", PASSWORD), "");
            assert_eq!(whoami(&pgusher, "alice", PASSWORD).await, "alice", "{client} to {server}");
        }
    }
}

#[tokio::test]
async fn an_md5_entry_serves_both_sides() {
    let cluster = guarded("md5");
    let entry = stored_entry(&cluster, "alice");
    assert!(entry.contains("\"md5"), "{entry}");
    let pgusher = start(&cluster, "md5", "", &entry, "");
    assert_eq!(whoami(&pgusher, "alice", PASSWORD).await, "alice");
    let error = RawClient::try_login(pgusher.port(), "postgres", "alice", "wrong").await;
    assert_eq!(error.unwrap_err().code(), "28P01");
}

#[tokio::test]
async fn a_scram_entry_serves_both_sides() {
    let cluster = guarded("scram-sha-256");
    let entry = stored_entry(&cluster, "alice");
    assert!(entry.contains("\"SCRAM-SHA-256$"), "{entry}");
    for auth_type in ["scram-sha-256", "md5"] {
        let pgusher = start(&cluster, auth_type, "", &entry, "");
        assert_eq!(whoami(&pgusher, "alice", PASSWORD).await, "alice");
        let error = RawClient::try_login(pgusher.port(), "postgres", "alice", "wrong").await;
        assert_eq!(error.unwrap_err().code(), "28P01");
        // A server made later, long after the login, is logged in to by the same proof.
        cluster
            .psql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'alice'");
        pgusher.wait_log("idle server lost", LIMIT);
        assert_eq!(whoami(&pgusher, "alice", PASSWORD).await, "alice");
    }
}

#[tokio::test]
async fn a_scram_entry_with_a_server_user_of_its_own() {
    let cluster = guarded("scram-sha-256");
    let entry = stored_entry(&cluster, "alice");
    cluster.psql("create role shared login password 'of the pool'");
    let settings = "user = \"shared\"\npassword = \"of the pool\"";
    let pgusher = start(&cluster, "scram-sha-256", "", &entry, settings);
    assert_eq!(whoami(&pgusher, "alice", PASSWORD).await, "shared");
}

#[tokio::test]
async fn passwords_in_the_configuration_and_in_files() {
    let cluster = guarded("scram-sha-256");
    cluster.psql("create role bob login password 'from a file'; create role pooled login password 'pool file'");
    let config = format!(
        "[pgusher]\nlisten_addr = \"127.0.0.1\"\nlisten_port = {{port}}\n\
         [databases.postgres]\nhost = \"127.0.0.1\"\nport = {port}\n\
         [databases.forced]\nhost = \"127.0.0.1\"\nport = {port}\ndbname = \"postgres\"\n\
         user = \"pooled\"\npassword_file = \"pool.secret\"\n\
         [users.alice]\npassword = \"{}\"\n[users.bob]\npassword_file = \"bob.secret\"\n",
        PASSWORD.replace('"', "\\\""),
        port = cluster.port()
    );
    let pgusher = Pgusher::builder(BINARY, &config)
        .file("bob.secret", "from a file\n")
        .file("pool.secret", "pool file\n")
        .start();
    assert_eq!(whoami(&pgusher, "alice", PASSWORD).await, "alice");
    assert_eq!(whoami(&pgusher, "bob", "from a file").await, "bob");
    let mut forced = RawClient::login(pgusher.port(), "forced", "bob", "from a file").await;
    assert_eq!(forced.query("select current_user").await.value(), "pooled");
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_user_look_the_same() {
    let cluster = Cluster::shared();
    for auth_type in ["scram-sha-256", "md5"] {
        let userlist = plain_entry("known", "right") + &plain_entry("empty", "");
        let pgusher = start(cluster, auth_type, "", &userlist, "");
        for user in ["known", "unknown", "empty"] {
            let error = RawClient::try_login(pgusher.port(), "postgres", user, "wrong").await;
            let error = error.unwrap_err();
            assert_eq!((error.severity(), error.code()), ("FATAL", "28P01"), "{user}");
            let expected = format!("password authentication failed for user \"{user}\"");
            assert_eq!(error.message(), expected);
            assert_eq!((error.detail(), error.hint()), (None, None), "{user}");
        }
        until("a line for each", || pgusher.log().matches("authentication failed").count() >= 3)
            .await;
        assert!(!pgusher.log().contains("wrong\""), "no password in the log");
    }
}

#[tokio::test]
async fn trust_still_asks_for_users_that_are_listed() {
    let pgusher = start(Cluster::shared(), "trust", "", &plain_entry("postgres", "x"), "");
    assert_eq!(whoami(&pgusher, "postgres", "").await, "postgres");
    let error = RawClient::try_login(pgusher.port(), "postgres", "stranger", "").await;
    assert_eq!(error.unwrap_err().code(), "28P01");
}

#[tokio::test]
async fn psql_and_tokio_postgres_log_in() {
    let cluster = guarded("scram-sha-256");
    for auth_type in ["scram-sha-256", "md5"] {
        let pgusher = start(
            &cluster,
            auth_type,
            "",
            &plain_entry("alice", "simple"),
            "user = \"postgres\"\npassword = \"postgres\"",
        );
        let psql = |password: &str| {
            Command::new(cluster.bin("psql"))
                .args(["-XAtqw", "-h", "127.0.0.1", "-U", "alice", "-d", "postgres"])
                .args(["-p", &pgusher.port().to_string(), "-c", "select 6 * 7"])
                .env("PGPASSWORD", password)
                .output()
                .unwrap()
        };
        let good = psql("simple");
        assert_eq!(String::from_utf8_lossy(&good.stdout).trim(), "42", "{good:?}");
        let bad = psql("wrong");
        assert_eq!(bad.status.code(), Some(2));
        let words = String::from_utf8_lossy(&bad.stderr).into_owned();
        assert!(words.contains("password authentication failed for user \"alice\""), "{words}");
        let url = pgusher.url("postgres", "alice", "simple");
        let (client, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        let running = tokio::spawn(connection);
        let row = client.query_one("select $1::int * 7", &[&6]).await.unwrap();
        assert_eq!(row.get::<_, i32>(0), 42);
        drop(client);
        tokio::time::timeout(LIMIT, running).await.unwrap().unwrap().unwrap();
    }
}
