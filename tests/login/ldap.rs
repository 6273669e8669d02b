//! LDAP, with a real slapd.

use pgusher_testkit::Pgusher;

use crate::slapd::{MANAGER, Slapd};
use crate::stage::{database, guarded, pgusher, pooled, psql, refused, until, whoami, words};

fn start(options: &str) -> Pgusher {
    let process = format!("auth_type = \"ldap\"\nauth_ldap_options = '{options}'");
    pgusher(&process, &pooled("app")).start()
}

fn rejected(user: &str) -> (String, String) {
    ("28000".into(), format!("LDAP authentication failed for user \"{user}\""))
}

const DIRECT: &str = "ldapprefix=\"uid=\" ldapsuffix=\",ou=people,dc=example,dc=net\"";

#[tokio::test]
async fn both_ways_to_find_a_user() {
    let slapd = Slapd::start();
    let server = format!("ldapserver=127.0.0.1 ldapport={}", slapd.port);
    let base = "ldapbasedn=\"dc=example,dc=net\"";
    let manager = format!("ldapbinddn=\"cn=manager,dc=example,dc=net\" ldapbindpasswd={MANAGER}");
    let url = format!("ldapurl=\"ldap://127.0.0.1:{}/dc=example,dc=net?uid?sub\"", slapd.port);
    for options in [
        format!("{server} {DIRECT}"),
        format!("{server} {base} {manager}"),
        format!(
            "{server} {base} {manager} ldapsearchfilter=\"(|(uid=$username)(mail=$username))\""
        ),
        format!("{url} {manager}"),
        // The first server is not there.
        format!("ldapserver=\"127.0.0.2 127.0.0.1\" ldapport={} {DIRECT}", slapd.port),
    ] {
        let pgusher = start(&options);
        assert_eq!(whoami(&pgusher, "app", "alice", "wonder").await, "pooled", "{options}");
        for (user, password) in [
            ("alice", "wrong"),
            ("alice", ""),
            ("nobody", "wonder"),
            ("nobody", ""),
            ("*", "wonder"),
            ("ali*", "wonder"),
            ("alice)(uid=*", "wonder"),
            ("alice,ou=people", "wonder"),
        ] {
            assert_eq!(refused(&pgusher, "app", user, password).await, rejected(user), "{options}");
        }
        assert_eq!(whoami(&pgusher, "app", "star*", "bright").await, "pooled", "{options}");
    }
    let by_mail = start(&format!("{server} {base} {manager} ldapsearchattribute=mail"));
    assert_eq!(whoami(&by_mail, "app", "alice@example.net", "wonder").await, "pooled");
    let twice = start(&format!("{server} {base} {manager}"));
    assert_eq!(refused(&twice, "app", "twin", "same").await, rejected("twin"));
}

/// In PgBouncer's mode the words are PgBouncer's, the codes are not.
#[tokio::test]
async fn pgbouncers_words_for_a_directory() {
    let slapd = Slapd::start();
    for (port, code, message) in [
        (slapd.port, "28000", "LDAP authentication failed"),
        (pgusher_testkit::free_port(), "57P03", "bouncer config error"),
    ] {
        let process = format!(
            "auth_type = \"ldap\"\ncompat = \"pgbouncer\"\n\
             auth_ldap_options = 'ldapserver=127.0.0.1 ldapport={port} {DIRECT}'"
        );
        let pgusher = pgusher(&process, &pooled("app")).start();
        let (said_code, said) = refused(&pgusher, "app", "alice", "wrong").await;
        assert_eq!((&*said_code, &*said), (code, message));
    }
}

#[tokio::test]
async fn over_tls_the_directory_must_prove_itself() {
    let slapd = Slapd::start();
    let certificate = slapd.certificate.to_str().unwrap();
    for options in [
        format!("ldapserver=127.0.0.1 ldapscheme=ldaps ldapport={} {DIRECT}", slapd.tls_port),
        format!("ldapserver=127.0.0.1 ldaptls=1 ldapport={} {DIRECT}", slapd.port),
    ] {
        let process = format!("auth_type = \"ldap\"\nauth_ldap_options = '{options}'");
        let trusting = pgusher(&process, &pooled("app")).env("SSL_CERT_FILE", certificate).start();
        assert_eq!(whoami(&trusting, "app", "alice", "wonder").await, "pooled", "{options}");
        assert_eq!(refused(&trusting, "app", "alice", "wrong").await, rejected("alice"));
        let stranger = pgusher(&process, &pooled("app")).start();
        assert_eq!(refused(&stranger, "app", "alice", "wonder").await.0, "57P03", "{options}");
        until("a reason", || stranger.log().contains("authentication is not possible")).await;
        assert!(stranger.log().contains("CERTIFICATE_VERIFY_FAILED"), "{}", stranger.log());
    }
}

#[tokio::test]
async fn the_password_gets_into_the_server_too() {
    let slapd = Slapd::start();
    guarded().psql("create role alice login password 'wonder'");
    let rules = format!(
        "host postgres alice all ldap ldapserver=127.0.0.1 ldapport={} {DIRECT}\n",
        slapd.port
    );
    let process = "auth_type = \"hba\"\nauth_hba_file = \"hba\"";
    let sections = database("postgres", guarded().port(), "");
    let pgusher = pgusher(process, &sections).file("hba", &rules).start();
    assert_eq!(
        words(&psql(pgusher.port(), "postgres", "alice", "wonder", "select current_user")),
        "alice"
    );
    let refused = words(&psql(pgusher.port(), "postgres", "alice", "wrong", "select 1"));
    assert!(refused.contains("FATAL:  LDAP authentication failed for user \"alice\""), "{refused}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_asked_is_told_in_the_log() {
    let slapd = Slapd::start();
    let base = "ldapbasedn=\"dc=example,dc=net\"";
    for (options, why) in [
        (
            format!("ldapserver=127.0.0.1 ldapport={} {base}", pgusher_testkit::free_port()),
            "LDAP server 127.0.0.1",
        ),
        (
            format!(
                "ldapserver=127.0.0.1 ldapport={} {base} ldapbinddn=\"cn=manager,dc=example,dc=net\" ldapbindpasswd=not-it",
                slapd.port
            ),
            "it refuses ldapbinddn",
        ),
        (
            format!("ldapserver=127.0.0.1 ldapport={} ldaptls=1 {base}", slapd.port),
            "LDAP server 127.0.0.1",
        ),
    ] {
        let pgusher = start(&options);
        let (code, message) = refused(&pgusher, "app", "alice", "wonder").await;
        assert_eq!((&*code, &*message), ("57P03", "authentication is not possible at the moment"));
        until("a reason", || pgusher.log().contains("authentication is not possible")).await;
        let log = pgusher.log();
        assert!(log.contains(why) && !log.contains("not-it") && !log.contains("wonder"), "{log}");
    }
}
