//! What strangers learn about users and databases: nothing.

use std::time::{Duration, Instant};

use pgusher_testkit::{Message, Pgusher, RawClient};

use crate::stage::{guarded, pgusher, pooled, refused, until, whoami, wrong_password};

/// The messages of a login up to the proof, without what is random in them.
async fn first_words(pgusher: &Pgusher, database: &str, user: &str) -> Vec<Message> {
    let mut client = RawClient::connect(pgusher.port()).await;
    client.startup(0, &[("user", user), ("database", database)]).await;
    vec![client.recv().await]
}

fn kind(messages: &[Message]) -> Vec<(u8, Vec<u8>)> {
    // The code of the request for a proof, and the mechanisms; md5's salt is random.
    messages
        .iter()
        .map(|message| {
            let code = message.body[..4].to_vec();
            let is_md5 = code == [0, 0, 0, 5];
            (message.tag, if is_md5 { code } else { message.body.to_vec() })
        })
        .collect()
}

#[tokio::test]
async fn unknown_users_and_databases_meet_the_same_questions() {
    let scram = guarded().psql("create role t_user login password 'right'; select rolpassword from pg_authid where rolname = 't_user'");
    let scram = scram.lines().last().unwrap().to_owned();
    let lists = [
        format!("\"known\" \"{scram}\"\n\"other\" \"{scram}\"\n\"plain\" \"x\"\n"),
        "\"known\" \"right\"\n".to_owned(),
        "\"known\" \"md5e56586342e82bfc415eff843d7a4b8fa\"\n".to_owned(),
    ];
    for auth_type in ["scram-sha-256", "md5", "plain"] {
        for list in &lists {
            let process = format!("auth_type = \"{auth_type}\"\nauth_file = \"users\"");
            let pgusher = pgusher(&process, &pooled("app")).file("users", list).start();
            let expected = kind(&first_words(&pgusher, "app", "known").await);
            for (database, user) in [
                ("app", "stranger"),
                ("nowhere", "known"),
                ("nowhere", "stranger"),
                ("pgusher", "stranger"),
            ] {
                let met = kind(&first_words(&pgusher, database, user).await);
                assert_eq!(met, expected, "{user} in {database} by {auth_type}");
                assert_eq!(refused(&pgusher, database, user, "wrong").await, wrong_password(user));
            }
        }
    }
}

#[tokio::test]
async fn the_same_holds_when_users_are_looked_up() {
    guarded().psql("create role t_asker superuser login password 'asking'; create role t_looked login password 'right'");
    let sections = format!("{}[users.t_asker]\npassword = \"asking\"\n", pooled("app"));
    for auth_type in ["scram-sha-256", "md5", "plain"] {
        let process = format!("auth_type = \"{auth_type}\"\nauth_user = \"t_asker\"");
        let pgusher = pgusher(&process, &sections).start();
        let expected = kind(&first_words(&pgusher, "app", "t_looked").await);
        for (database, user) in
            [("app", "t_stranger"), ("nowhere", "t_looked"), ("nowhere", "t_stranger")]
        {
            let met = kind(&first_words(&pgusher, database, user).await);
            assert_eq!(met, expected, "{user} in {database} by {auth_type}");
            assert_eq!(refused(&pgusher, database, user, "wrong").await, wrong_password(user));
        }
        // Who has the password is told what is wrong.
        let (code, message) = refused(&pgusher, "nowhere", "t_looked", "right").await;
        assert_eq!((&*code, &*message), ("3D000", "database \"nowhere\" does not exist"));
    }
}

#[tokio::test]
async fn it_takes_as_long() {
    let verifier = guarded().psql("create role w_user login password 'right'; select rolpassword from pg_authid where rolname = 'w_user'");
    let list = format!("\"known\" \"{}\"\n", verifier.lines().last().unwrap());
    let pgusher = pgusher(
        "auth_type = \"plain\"\nauth_file = \"users\"\nauth_failure_limit = 0",
        &pooled("app"),
    )
    .file("users", &list)
    .start();
    // Thousands of hashes make up nearly all of it: without them it would be a fraction.
    take_as_long(&pgusher, [("app", "known"), ("app", "stranger")]).await;
}

/// Fails when refusing some of these takes another time than refusing the first. What a busy machine adds is taken away:
/// the shortest time of each counts, and more of them are taken until they are near each other.
async fn take_as_long<const N: usize>(pgusher: &Pgusher, cases: [(&str, &str); N]) {
    let mut shortest = [Duration::MAX; N];
    for round in 1..=200 {
        for ((database, user), shortest) in cases.iter().zip(&mut shortest) {
            let begun = Instant::now();
            assert_eq!(refused(pgusher, database, user, "wrong").await, wrong_password(user));
            *shortest = (*shortest).min(begun.elapsed());
        }
        let ratio = |time: &Duration| time.as_secs_f64() / shortest[0].as_secs_f64();
        if round >= 15 && shortest.iter().all(|time| (0.5..2.0).contains(&ratio(time))) {
            return;
        }
    }
    panic!("{cases:?} take {shortest:?}");
}

#[tokio::test]
async fn being_looked_up_takes_as_long() {
    guarded().psql("create role z_asker superuser login password 'asking'; create role z_known login password 'right'");
    let sections = format!("{}[users.z_asker]\npassword = \"asking\"\n", pooled("app"));
    let process = "auth_type = \"plain\"\nauth_user = \"z_asker\"\nauth_failure_limit = 0";
    let pgusher = pgusher(process, &sections).start();
    let cases = [
        ("app", "z_known"),
        ("app", "z_stranger"),
        ("nowhere", "z_known"),
        ("nowhere", "z_stranger"),
    ];
    // The question to the server and thousands of hashes: whoever is spared either of them is out by more.
    take_as_long(&pgusher, cases).await;
}

#[tokio::test]
async fn an_address_that_keeps_failing_is_slowed_down_and_nobody_else() {
    let process = "auth_file = \"users\"\nauth_failure_limit = 3\nauth_failure_window = \"10m\"\nauth_failure_delay = \"700ms\"\n[http]\nlisten = \"127.0.0.1:{http_port}\"\n";
    let pgusher = pgusher(process, &pooled("app")).file("users", "\"known\" \"right\"\n").start();
    for _ in 0..3 {
        assert_eq!(refused(&pgusher, "app", "known", "wrong").await, wrong_password("known"));
    }
    let begun = Instant::now();
    assert_eq!(
        whoami(&pgusher, "app", "known", "right").await,
        "pooled",
        "slowed down, not shut out"
    );
    assert!(begun.elapsed() >= Duration::from_millis(700), "{:?}", begun.elapsed());
    // Many at a time are turned away.
    let port = pgusher.port();
    let guesses: Vec<_> = (0..30)
        .map(|_| {
            tokio::spawn(async move { RawClient::try_login(port, "app", "known", "guess").await })
        })
        .collect();
    let mut turned_away = 0;
    for guess in guesses {
        let error = guess.await.unwrap().unwrap_err();
        turned_away += usize::from(error.message() == "too many failed logins from this address");
    }
    assert!((1..=20).contains(&turned_away), "{turned_away} of 30");
    until("the metric", || {
        let counted = crate::stage::metric(
            &pgusher,
            "pgusher_client_logins_total{result=\"throttled\",method=\"none\",database=\"app\"}",
        );
        counted == Some(turned_away as f64)
    })
    .await;
    let failed = "pgusher_client_logins_total{result=\"auth_failed\",method=\"scram-sha-256\",database=\"app\"}";
    assert_eq!(crate::stage::metric(&pgusher, failed), Some((33 - turned_away) as f64));
}
