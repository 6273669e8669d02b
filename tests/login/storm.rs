//! Many logins at once, and logins that never end.

use std::time::{Duration, Instant};

use pgusher_testkit::{RawClient, frontend};

use crate::stage::{LIMIT, pgusher, pooled, until, whoami};

#[tokio::test]
async fn five_hundred_logins_at_once_all_get_in() {
    let process =
        "auth_file = \"users\"\nclient_login_timeout = \"60s\"\nmax_concurrent_logins = 20";
    let sections = format!("{}pool_size = 5\n", pooled("app"));
    let pgusher = pgusher(process, &sections).file("users", "\"known\" \"right\"\n").start();
    let port = pgusher.port();
    let logins: Vec<_> = (0..500)
        .map(|_| {
            tokio::spawn(async move {
                let mut client = RawClient::connect(port).await;
                client.set_time_limit(Duration::from_secs(60));
                client.startup(0, &[("user", "known"), ("database", "app")]).await;
                client.authenticate("known", "right").await.map(|()| client)
            })
        })
        .collect();
    let mut clients = Vec::new();
    for login in logins {
        let login = tokio::time::timeout(Duration::from_secs(60), login).await.unwrap().unwrap();
        clients.push(login.unwrap_or_else(|error| panic!("{error:?}")));
    }
    for client in &mut clients {
        assert_eq!(client.query("select 1").await.value(), "1");
    }
}

#[tokio::test]
async fn clients_that_say_nothing_take_nobodys_place() {
    let process =
        "auth_file = \"users\"\nmax_concurrent_logins = 1\nclient_login_timeout = \"20s\"";
    let pgusher = pgusher(process, &pooled("app")).file("users", "\"known\" \"right\"\n").start();
    let mut silent = Vec::new();
    for _ in 0..50 {
        let mut client = RawClient::connect(pgusher.port()).await;
        client.startup(0, &[("user", "known"), ("database", "app")]).await;
        client.recv().await;
        silent.push(client);
    }
    let begun = Instant::now();
    assert_eq!(whoami(&pgusher, "app", "known", "right").await, "pooled");
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn broken_proofs_end_with_an_error_and_leave_nothing_behind() {
    let sections = pooled("app");
    for auth_type in ["scram-sha-256", "md5", "plain"] {
        let process =
            format!("auth_file = \"users\"\nauth_type = \"{auth_type}\"\nauth_failure_limit = 0");
        let users = "\"known\" \"right\"\n\"dba\" \"x\"\n";
        let pgusher = pgusher(&process, &sections).file("users", users).start();
        let mut big = vec![b'p', 0x7f, 0xff, 0xff, 0xff];
        big.extend_from_slice(&[b'x'; 100]);
        let hostile: Vec<Vec<u8>> = vec![
            vec![b'p', 0, 0, 0, 4],
            vec![b'p', 0, 0, 0, 0],
            vec![b'p', 0xff, 0xff, 0xff, 0xff],
            big,
            frontend::password(""),
            frontend::sasl_initial("SCRAM-SHA-256", b"").to_vec(),
            frontend::sasl_initial("SCRAM-SHA-256", b"n,,n=,r=").to_vec(),
            frontend::sasl_initial("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abc")
                .to_vec(),
            frontend::sasl_initial("X", &[0xff; 3_000]).to_vec(),
            frontend::query("select 1"),
            vec![
                b'p', 0, 0, 0, 20, b'S', b'C', 0, 0x7f, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9,
            ],
        ];
        for bytes in hostile {
            let mut client = RawClient::connect(pgusher.port()).await;
            client.set_time_limit(LIMIT);
            client.startup(0, &[("user", "known"), ("database", "app")]).await;
            client.recv().await;
            let _ = client.try_send(&bytes).await;
            let error = client.recv_until(b'E').await;
            let code = error.last().unwrap().error().code().to_owned();
            assert!(matches!(&*code, "08P01" | "28P01" | "28000"), "{code} for {bytes:?}");
        }
        // Everybody has left, and the counts with them.
        assert_eq!(whoami(&pgusher, "app", "known", "right").await, "pooled");
        until("nobody is counted", || pgusher.log().matches("client disconnected").count() >= 1)
            .await;
    }
}
