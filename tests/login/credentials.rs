//! What servers are logged in to with, over reconnects, reloads and new passwords.

use pgusher_testkit::{Pgusher, RawClient, Signal};

use crate::stage::{LIMIT, database, guarded, pgusher, refused, until, whoami, wrong_password};

/// A user list entry with the very text PostgreSQL stores.
fn stored(user: &str) -> String {
    let sql = format!("select rolpassword from pg_authid where rolname = '{user}'");
    format!("\"{user}\" \"{}\"\n", guarded().psql(&sql))
}

fn start(users: &str, process: &str) -> Pgusher {
    let process = format!("auth_file = \"users\"\n{process}");
    pgusher(&process, &database("postgres", guarded().port(), "")).file("users", users).start()
}

/// Ends the servers of a user, and waits until pgusher knows.
pub(crate) async fn drop_servers(pgusher: &Pgusher, user: &str) {
    let closed = || pgusher.log().matches("server closed").count();
    let before = closed();
    let sql = format!(
        "select count(pg_terminate_backend(pid)) from pg_stat_activity \
         where usename = '{user}' and application_name = ''"
    );
    let count: usize = guarded().psql(&sql).parse().unwrap();
    until("the servers are gone", || closed() >= before + count).await;
}

async fn reload(pgusher: &Pgusher, times: usize) {
    pgusher.signal(Signal::HUP);
    until("a reload", || pgusher.log().matches("configuration reloaded").count() >= times).await;
}

#[tokio::test]
async fn keys_shown_by_a_client_outlive_servers_and_reloads() {
    guarded().psql("create role k_user login password 'right'");
    let pgusher = start(&stored("k_user"), "");
    let mut client = RawClient::login(pgusher.port(), "postgres", "k_user", "right").await;
    client.set_time_limit(LIMIT);
    for round in 1..=3 {
        drop_servers(&pgusher, "k_user").await;
        // The one that was killed may still be found out first.
        until_answered(&mut client).await;
        reload(&pgusher, round).await;
        drop_servers(&pgusher, "k_user").await;
        until_answered(&mut client).await;
    }
    assert_eq!(whoami(&pgusher, "postgres", "k_user", "right").await, "k_user");
}

/// A query on a server that was killed fails once; the client stays or is told, then a new server answers.
async fn until_answered(client: &mut RawClient) {
    for _ in 0..50 {
        let result = client.query("select current_user").await;
        if result.error.is_none() {
            assert_eq!(result.value(), "k_user");
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("no server answers");
}

#[tokio::test]
async fn a_new_verifier_in_the_file_takes_over() {
    guarded().psql("create role v_user login password 'first'");
    let pgusher = start(&stored("v_user"), "");
    assert_eq!(whoami(&pgusher, "postgres", "v_user", "first").await, "v_user");
    guarded().psql("alter role v_user password 'second'");
    pgusher.rewrite_file("users", &stored("v_user"));
    reload(&pgusher, 1).await;
    drop_servers(&pgusher, "v_user").await;
    assert_eq!(refused(&pgusher, "postgres", "v_user", "first").await, wrong_password("v_user"));
    assert_eq!(whoami(&pgusher, "postgres", "v_user", "second").await, "v_user");
}

#[tokio::test]
async fn a_password_in_plain_gets_into_any_server() {
    guarded().psql("create role p_user login password 'right'");
    let hash = "md5".to_owned() + &guarded().psql("select md5('rightp_user')");
    for users in
        [stored("p_user"), format!("\"p_user\" \"{hash}\"\n"), "\"p_user\" \"right\"\n".into()]
    {
        let pgusher = start(&users, "auth_type = \"plain\"");
        assert_eq!(
            refused(&pgusher, "postgres", "p_user", "wrong").await,
            wrong_password("p_user")
        );
        assert_eq!(whoami(&pgusher, "postgres", "p_user", "right").await, "p_user");
        drop_servers(&pgusher, "p_user").await;
        assert_eq!(whoami(&pgusher, "postgres", "p_user", "right").await, "p_user");
    }
}

#[tokio::test]
async fn long_passwords_are_passwords() {
    let long = "x".repeat(5_000);
    let sections =
        database("postgres", guarded().port(), "user = \"pooled\"\npassword = \"pool secret\"");
    for auth_type in ["plain", "md5", "scram-sha-256"] {
        let process = format!("auth_file = \"users\"\nauth_type = \"{auth_type}\"");
        let users = format!("\"long\" \"{long}\"\n");
        let pgusher = pgusher(&process, &sections).file("users", &users).start();
        assert_eq!(whoami(&pgusher, "postgres", "long", &long).await, "pooled", "{auth_type}");
        let wrong = long.replacen('x', "y", 1);
        assert_eq!(refused(&pgusher, "postgres", "long", &wrong).await, wrong_password("long"));
    }
}

#[tokio::test]
async fn any_is_anybody() {
    let settings = "user = \"pooled\"\npassword = \"pool secret\"";
    let sections = database("postgres", guarded().port(), settings);
    let pgusher = pgusher("auth_type = \"any\"", &sections).start();
    assert_eq!(whoami(&pgusher, "postgres", "whoever", "").await, "pooled");
    let mut console = RawClient::login(pgusher.port(), "pgusher", "whoever", "").await;
    assert!(!console.query("SHOW VERSION").await.value().is_empty());
}
