//! Where passwords come from in a `pgbouncer.ini`, and what is said where none fits.

use std::sync::OnceLock;

use pgusher_testkit::{Cluster, Pgusher, RawClient};

use super::stage::{LIMIT, builder, line};

/// A PostgreSQL that wants SCRAM from everybody but its owner, with a role `lookup` that may read all secrets.
fn guarded() -> &'static Cluster {
    static GUARDED: OnceLock<Cluster> = OnceLock::new();
    GUARDED.get_or_init(|| {
        let cluster = Cluster::builder().auth("scram-sha-256").build();
        cluster.psql(
            "create role pooled login password 'pool secret'; create role plain login password 'right'; \
             create role lookup superuser login password 'asking'; \
             create role walks replication login password 'right'",
        );
        cluster
    })
}

fn guarded_line(name: &str, more: &str) -> String {
    let port = guarded().port();
    format!("{name} = host=127.0.0.1 port={port} dbname=postgres {more}\n")
}

fn start(parameters: &str, databases: &str, users: &str) -> Pgusher {
    builder(parameters, databases).file("userlist.txt", users).start()
}

async fn enter(pgusher: &Pgusher, database: &str, user: &str) -> Result<String, String> {
    let mut client = RawClient::try_login(pgusher.port(), database, user, "right")
        .await
        .map_err(|error| error.message().to_owned())?;
    client.set_time_limit(LIMIT);
    Ok(client.query("select current_user").await.value().to_owned())
}

/// Nobody's name counts: every database needs a user of its own, and one without is no reason not to serve the others.
#[tokio::test]
async fn any_takes_the_user_of_the_database() {
    let databases = line("app", "user=postgres") + &line("nobodys", "");
    let pgusher = start("auth_type = any", &databases, "");
    assert_eq!(enter(&pgusher, "app", "whoever").await.as_deref(), Ok("postgres"));
    let refused = RawClient::try_login(pgusher.port(), "nobodys", "whoever", "").await;
    let refused = refused.err().unwrap();
    assert_eq!((refused.code(), refused.message()), ("F0000", "bouncer config error"));
    pgusher.wait_log("closing because: bouncer config error (age=0s)", LIMIT);
    let mut console = RawClient::login(pgusher.port(), "pgbouncer", "whoever", "").await;
    assert_eq!(console.query("SHOW VERSION").await.error, None);
    assert_eq!(console.query("RELOAD").await.unwrap_error().message(), "admin access needed");
}

/// The password of the database's line, the one of `auth_file`, the keys of the client's own proof.
#[tokio::test]
async fn servers_are_given_the_password_there_is() {
    let verifier = guarded().psql("select rolpassword from pg_authid where rolname = 'plain'");
    let databases = guarded_line("lined", "user=pooled password='pool secret'")
        + &guarded_line("listed", "user=pooled")
        + &guarded_line("own", "");
    let users = format!("\"plain\" \"{verifier}\"\n\"pooled\" \"pool secret\"\n");
    let pgusher = start("auth_type = scram-sha-256", &databases, &users);
    for (database, user) in [("lined", "pooled"), ("listed", "pooled"), ("own", "plain")] {
        assert_eq!(enter(&pgusher, database, "plain").await.as_deref(), Ok(user), "{database}");
    }
}

#[tokio::test]
async fn a_password_of_the_wrong_kind_is_told() {
    let md5 = format!("md5{}", "0123456789abcdef".repeat(2));
    let databases = guarded_line("hashed", &format!("user=pooled password={md5}"));
    let pgusher = start("", &databases, "\"plain\" \"\"\n");
    let refused = enter(&pgusher, "hashed", "plain").await;
    assert_eq!(refused, Err("server login failed: wrong password type".to_owned()));
    pgusher.wait_log("closing because: server login failed: wrong password type (age=", LIMIT);
}

/// `auth_user`, `auth_query` and `auth_dbname` of a database count before those of all.
#[tokio::test]
async fn databases_ask_in_their_own_ways() {
    let known = "auth_query='select usename, passwd from pg_shadow where usename = $1'";
    let nobody = "auth_query='select usename, null::text from pg_shadow where usename = $1'";
    let databases = guarded_line("general", "user=pooled")
        + &guarded_line("closed", &format!("user=pooled {nobody}"))
        + &guarded_line("asks", &format!("user=pooled auth_user=lookup {known}"))
        + &guarded_line("elsewhere", "user=pooled auth_dbname=asks");
    let users = "\"lookup\" \"asking\"\n\"pooled\" \"pool secret\"\n";
    // A user with settings of its own is none that a file knows the password of.
    let parameters = "auth_type = md5\nauth_user = lookup\n[users]\nplain = max_user_connections=9";
    let pgusher = start(parameters, &databases, users);
    for database in ["general", "asks", "elsewhere"] {
        let entered = enter(&pgusher, database, "plain").await;
        assert_eq!(entered.as_deref(), Ok("pooled"), "{database}: {}", pgusher.log());
    }
    // A user without a password has none that could be right.
    let refused = enter(&pgusher, "closed", "plain").await;
    assert_eq!(refused, Err("SASL authentication failed".to_owned()));
    let own_asker = guarded_line("app", "user=pooled auth_user=lookup") + &guarded_line("none", "");
    let pgusher = start("auth_type = md5", &own_asker, users);
    assert_eq!(enter(&pgusher, "app", "plain").await.as_deref(), Ok("pooled"));
    assert!(enter(&pgusher, "none", "plain").await.is_err(), "nobody asks for this one");
}

/// A walsender is logged in to with what its client has shown, too.
#[tokio::test]
async fn users_that_are_looked_up_may_replicate() {
    let pgusher = start(
        "auth_type = scram-sha-256\nauth_user = lookup",
        &guarded_line("app", ""),
        "\"lookup\" \"asking\"\n",
    );
    let mut client = RawClient::connect(pgusher.port()).await;
    client.set_time_limit(LIMIT);
    let asked = [
        ("user", "walks"),
        ("database", "app"),
        ("replication", "database"),
        ("application_name", "walker"),
        ("work_mem", "77MB"),
        ("options", "-c lock_timeout=7s -e"),
    ];
    client.startup(0, &asked).await;
    let entered = client.authenticate("walks", "right").await;
    entered.unwrap_or_else(|error| panic!("{error:?}\n{}", pgusher.log()));
    assert_eq!(client.query("IDENTIFY_SYSTEM").await.rows.len(), 1);
    // What the client asked for has reached the server as it was, whether pools could keep it or not.
    for (name, value) in [
        ("application_name", "walker"),
        ("work_mem", "77MB"),
        ("lock_timeout", "7s"),
        ("DateStyle", "ISO, DMY"),
    ] {
        assert_eq!(client.query(&format!("SHOW {name}")).await.value(), value, "{name}");
    }
}
