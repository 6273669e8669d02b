//! Secrets are nowhere to be read.

use pgusher_testkit::{RawClient, Signal};

use crate::stage::{database, guarded, pgusher, refused, until, whoami};

const SECRETS: [&str; 7] = [
    "client-s3cret",
    "pool-s3cret",
    "ldap-s3cret",
    "asker-s3cret",
    "typed-s3cret",
    "looked-s3cret",
    "SCRAM-SHA-256$4096:",
];

#[tokio::test]
async fn no_secret_in_the_log_the_console_or_the_metrics() {
    let cluster = guarded();
    cluster.psql("create role x_pool login password 'pool-s3cret'; create role x_asker superuser login password 'asker-s3cret'");
    cluster.psql("create role x_looked login password 'looked-s3cret'");
    let verifier = cluster.psql("select rolpassword from pg_authid where rolname = 'x_looked'");
    let process = "log_level = \"trace\"\nauth_file = \"users\"\nadmin_users = [\"client\"]\nauth_user = \"x_asker\"\nauth_ldap_options = 'ldapserver=127.0.0.1 ldapport=1 ldapbasedn=\"dc=x\" ldapbinddn=cn=x ldapbindpasswd=ldap-s3cret'\n[http]\nlisten = \"127.0.0.1:{http_port}\"\n";
    let config = format!(
        "[users.client]\npassword = \"client-s3cret\"\n[users.x_asker]\npassword = \"asker-s3cret\"\n{}{}",
        database(
            "app",
            cluster.port(),
            "dbname = \"postgres\"\nuser = \"x_pool\"\npassword = \"pool-s3cret\""
        ),
        database("postgres", cluster.port(), ""),
    );
    let users = format!("\"listed\" \"{verifier}\"\n");
    for auth_type in ["scram-sha-256", "md5", "plain", "ldap"] {
        // The kit's `pgusher` sets a level of its own.
        let process = format!(
            "auth_type = \"{auth_type}\"\n{}",
            process.replace("log_level = \"trace\"\n", "")
        );
        let pgusher = pgusher(&process, &config).file("users", &users).start();
        let mut seen = String::new();
        if auth_type != "ldap" {
            assert_eq!(whoami(&pgusher, "app", "client", "client-s3cret").await, "x_pool");
            assert_eq!(whoami(&pgusher, "postgres", "x_looked", "looked-s3cret").await, "x_looked");
            let mut console =
                RawClient::login(pgusher.port(), "pgusher", "client", "client-s3cret").await;
            for show in ["CONFIG", "USERS", "DATABASES", "CLIENTS", "SERVERS", "POOLS", "FDS"] {
                seen += &format!("{:?}", console.query(&format!("SHOW {show}")).await);
            }
            assert!(seen.contains("auth_ldap_options"), "{seen}");
        }
        for user in ["client", "x_looked", "listed", "stranger"] {
            let error = refused(&pgusher, "app", user, "typed-s3cret").await;
            seen += &format!("{error:?}");
        }
        pgusher.rewrite_file("users", "\"listed\" typed-s3cret\n");
        pgusher.signal(Signal::HUP);
        until("the reload failed", || pgusher.log().contains("reload failed")).await;
        seen += &pgusher.log();
        seen += &pgusher.http_get("/metrics").1;
        for secret in SECRETS {
            assert!(!seen.contains(secret), "{secret} by {auth_type} in\n{seen}");
        }
    }
}

#[tokio::test]
async fn a_mistake_repeats_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pool.toml");
    let text = "[pgusher]\nlisten_addr = \"127.0.0.1\"\nauth_type = \"ldap\"\nauth_ldap_options = 'ldapserver=h ldapbindpasswd=ldap-s3cret oops \"ldap-s3cret'\n[databases.a]\nuser = \"x\"\npassword = [\"pool-s3cret\"]\n";
    std::fs::write(&path, text).unwrap();
    let mut said = String::new();
    for fixed in [text.to_owned(), text.replace("[\"pool-s3cret\"]", "\"pool-s3cret\"")] {
        std::fs::write(&path, fixed).unwrap();
        let check = std::process::Command::new(crate::stage::BINARY)
            .arg("check")
            .arg(&path)
            .output()
            .unwrap();
        assert!(!check.status.success());
        said += &crate::stage::words(&check);
    }
    assert!(said.contains("`auth_ldap_options`"), "{said}");
    for secret in SECRETS {
        assert!(!said.contains(secret), "{said}");
    }
}
