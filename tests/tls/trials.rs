//! `pgusher check` with `--connect` and `--login`.

use pgusher_testkit::{Exited, PgusherBuilder, free_port};

use crate::stage::{LIMIT, cluster, config, configured};

fn check(builder: PgusherBuilder, arguments: &[&str]) -> Exited {
    let builder = builder.env("PGPASSWORD", "secret").arg("check");
    arguments.iter().fold(builder, |builder, argument| builder.arg(argument)).run_to_exit(LIMIT)
}

/// Databases beside the usual one, each with another way to fail.
fn with_more_databases() -> PgusherBuilder {
    let nobody = free_port();
    let port = cluster().port();
    let text = config(port, "", "sslmode = \"verify-full\"\nca_file = \"root.crt\"");
    configured(&format!(
        "{text}user = \"alice\"\npassword = \"secret\"\n\
         [databases.nowhere]\nhost = \"does-not-exist.invalid\"\nuser = \"alice\"\n\
         [databases.closed]\nhost = \"localhost\"\nport = {nobody}\nuser = \"alice\"\n\
         [databases.renamed]\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"alice\"\n\
         [databases.locked]\nhost = \"localhost\"\nport = {port}\ndbname = \"postgres\"\nuser = \"alice\"\npassword = \"wrong\"\n"
    ))
}

#[test]
fn every_way_to_a_server_is_tried_and_the_bad_ones_are_named() {
    let exited = check(with_more_databases(), &["--connect"]);
    assert_eq!(exited.status.code(), Some(1), "{}", exited.log);
    for (database, parts) in [
        ("postgres: localhost:", ["ok, as alice", "TLSv1.3/TLS_AES_256_GCM_SHA384"]),
        ("nowhere: does-not-exist.invalid:5432", ["connecting", "failed"]),
        ("closed: localhost:", ["connecting", "refused"]),
        ("renamed: 127.0.0.1:", ["TLS", "does not match host name \"127.0.0.1\""]),
        ("locked: localhost:", ["login", "password authentication failed"]),
    ] {
        let line = exited.log.lines().find(|line| line.starts_with(database));
        let line = line.unwrap_or_else(|| panic!("{database} not in {}", exited.log));
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    assert!(!exited.log.contains("secret"), "{}", exited.log);
    let good = config(cluster().port(), "", "sslmode = \"require\"");
    let good = configured(&format!("{good}user = \"alice\"\npassword = \"secret\"\n"));
    let exited = check(good, &["--connect"]);
    assert!(exited.status.success(), "{}", exited.log);
}

#[test]
fn a_login_is_tried_as_a_client_would() {
    let text = config(cluster().port(), "sslmode = \"require\"", "");
    for (who, expected) in [
        ("alice@postgres", Ok("alice@postgres: ok, server_version")),
        ("postgres@pgusher", Ok("postgres@pgusher: ok")),
        ("alice@nothing", Err("database \"nothing\" does not exist")),
        ("mallory@postgres", Err("password authentication failed for user \"mallory\"")),
    ] {
        let exited = check(configured(&text), &["--login", who]);
        assert_eq!(exited.status.success(), expected.is_ok(), "{who}: {}", exited.log);
        let (Ok(part) | Err(part)) = expected;
        assert!(exited.log.contains(part), "{part} not in {}", exited.log);
        let tls = ", TLSv1.3/";
        assert!(expected.is_err() || exited.log.contains(tls), "{}", exited.log);
    }
    let exited = check(configured(&text), &["--login", "nobody"]);
    assert_eq!(exited.status.code(), Some(2), "{}", exited.log);
    assert!(exited.log.contains("expected USER@DATABASE"), "{}", exited.log);
}
