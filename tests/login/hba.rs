//! `auth_type = "hba"`: each method by its line, in PostgreSQL's words.

use std::process::Command;

use pgusher_testkit::{Pgusher, Signal};

use crate::stage::{
    BINARY, LIMIT, pgusher, pooled, psql, refused, until, whoami, words, wrong_password,
};

const RULES: &str = "\
    host  all       trusting   127.0.0.1/32  trust\n\
    host  all       by_plain   127.0.0.1/32  password\n\
    host  all       by_md5     127.0.0.1/32  md5\n\
    host  all       by_scram   samehost      scram-sha-256\n\
    host  all       banned     all           reject\n\
    hostssl all     tls_only   all           trust\n\
    host  /^app\\d$ \"/^svc_\" 127.0.0.1 255.255.255.255 trust\n\
    host  sameuser  selfish    all           trust\n";

const USERS: &str = "\"trusting\" \"\"\n\"by_plain\" \"one\"\n\"by_md5\" \"two\"\n\"by_scram\" \"three\"\n\
    \"banned\" \"x\"\n\"tls_only\" \"x\"\n\"svc_a\" \"x\"\n\"selfish\" \"x\"\n";

fn start(rules: &str) -> Pgusher {
    let sections = ["app", "app1", "selfish"].map(pooled).concat();
    let process = "auth_type = \"hba\"\nauth_hba_file = \"hba.conf\"\nauth_file = \"users\"";
    pgusher(process, &sections).file("hba.conf", rules).file("users", USERS).start()
}

#[tokio::test]
async fn each_user_by_its_line() {
    let pgusher = start(RULES);
    for (user, password) in
        [("trusting", ""), ("by_plain", "one"), ("by_md5", "two"), ("by_scram", "three")]
    {
        assert_eq!(whoami(&pgusher, "app", user, password).await, "pooled", "{user}");
    }
    for user in ["by_plain", "by_md5", "by_scram"] {
        assert_eq!(refused(&pgusher, "app", user, "wrong").await, wrong_password(user));
        assert_eq!(refused(&pgusher, "app", user, "").await, wrong_password(user));
    }
    let entry = |verb: &str, user: &str, database: &str| {
        let text = format!(
            "{verb} host \"127.0.0.1\", user \"{user}\", database \"{database}\", no encryption"
        );
        ("28000".to_owned(), text)
    };
    let none = "no pg_hba.conf entry for";
    assert_eq!(
        refused(&pgusher, "app", "banned", "x").await,
        entry("pg_hba.conf rejects connection for", "banned", "app")
    );
    assert_eq!(refused(&pgusher, "app", "tls_only", "x").await, entry(none, "tls_only", "app"));
    assert_eq!(refused(&pgusher, "app", "stranger", "x").await, entry(none, "stranger", "app"));
    assert_eq!(refused(&pgusher, "app", "svc_a", "x").await, entry(none, "svc_a", "app"));
    assert_eq!(whoami(&pgusher, "app1", "svc_a", "").await, "pooled");
    assert_eq!(whoami(&pgusher, "selfish", "selfish", "").await, "pooled");
    assert_eq!(refused(&pgusher, "app", "selfish", "").await, entry(none, "selfish", "app"));
    // A database that does not exist is no news to those who are in.
    assert_eq!(refused(&pgusher, "nowhere", "trusting", "").await.0, "3D000");
}

#[tokio::test]
async fn psql_reads_what_postgresql_would_say() {
    let pgusher = start(RULES);
    let run = |user, password| psql(pgusher.port(), "app", user, password, "select 6 * 7");
    for (user, password) in [("by_plain", "one"), ("by_md5", "two"), ("by_scram", "three")] {
        assert_eq!(words(&run(user, password)), "42", "{user}");
        let refused = words(&run(user, "no"));
        assert!(refused.contains("FATAL:  password authentication failed for user"), "{refused}");
    }
    let banned = words(&run("banned", "x"));
    assert!(banned.contains("FATAL:  pg_hba.conf rejects connection for host"), "{banned}");
}

#[tokio::test]
async fn a_broken_file_changes_nothing_and_a_good_one_everything() {
    let pgusher = start("host all trusting all trust\n");
    assert_eq!(whoami(&pgusher, "app", "trusting", "").await, "pooled");
    pgusher.rewrite_file(
        "hba.conf",
        "host all trusting all reject\nhost all all nonsense md5\nlocal all +a trust\n",
    );
    pgusher.signal(Signal::HUP);
    until("the mistakes", || pgusher.log().contains("reload failed")).await;
    for part in
        ["hba.conf:2:14: \"nonsense\" is not an address", "hba.conf:3:11: `+a` is not supported"]
    {
        assert!(pgusher.log().contains(part), "{}", pgusher.log());
    }
    assert_eq!(whoami(&pgusher, "app", "trusting", "").await, "pooled");
    pgusher.rewrite_file("hba.conf", "host all trusting all reject\n");
    pgusher.signal(Signal::HUP);
    pgusher.wait_log("configuration reloaded", LIMIT);
    assert_eq!(refused(&pgusher, "app", "trusting", "").await.0, "28000");
}

#[test]
fn check_tells_every_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("hba", "host all all all gss\nhostssl all all all cert map=nowhere\ninclude more\n");
    write("more", "host all all\n");
    write("ident", "m a\n");
    write("users", "broken\n");
    write(
        "pool.toml",
        "[pgusher]\nlisten_addr = \"127.0.0.1\"\nauth_type = \"hba\"\nauth_hba_file = \"hba\"\n\
         auth_ident_file = \"ident\"\nauth_file = \"users\"\nauth_ldap_options = \"ldapserver=x\"\n",
    );
    let check =
        Command::new(BINARY).arg("check").arg(folder.path().join("pool.toml")).output().unwrap();
    let said = words(&check);
    assert_eq!(check.status.code(), Some(1));
    for part in [
        "hba:1:18: the method gss is not supported",
        "more:1:10: the line ends before the address",
        "ident:1:3: a map's name",
        "users:1:1: ",
        "`auth_ldap_options`: the method ldap needs `ldapbasedn`",
    ] {
        assert!(said.contains(part), "{part}\nnot in\n{said}");
    }
}
