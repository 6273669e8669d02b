//! Many handshakes, handshakes that never end, and what is logged of logins.

use std::path::Path;

use pgusher_testkit::{Pgusher, RawClient, frontend, self_signed, wait_for};

use crate::stage::{LIMIT, ON, alice, cluster, config, configured, psql};
use crate::tunnel;

/// A pgusher with more lines in its first section.
fn with(lines: &str) -> pgusher_testkit::PgusherBuilder {
    configured(&config(cluster().port(), ON, "").replace("[http]", &format!("{lines}\n[http]")))
}

/// Processor time and nice value of the threads whose name begins so.
fn threads(pgusher: &Pgusher, name: &str) -> Vec<(u64, i64)> {
    let tasks = Path::new("/proc").join(pgusher.pid().to_string()).join("task");
    let stats = std::fs::read_dir(tasks).unwrap().filter_map(|task| {
        let stat = std::fs::read_to_string(task.ok()?.path().join("stat")).ok()?;
        let (named, fields) = stat.rsplit_once(')')?;
        let fields: Vec<i64> =
            fields.split_whitespace().skip(1).map(|field| field.parse().unwrap_or(0)).collect();
        // utime, stime and nice are the 14th, 15th and 19th of all fields; these begin with the 4th.
        let ticks = u64::try_from(fields[10] + fields[11]).unwrap();
        named.rsplit_once('(')?.1.starts_with(name).then_some((ticks, fields[15]))
    });
    stats.collect()
}

#[tokio::test]
async fn handshakes_are_made_by_threads_of_their_own_that_stand_back() {
    let heavy = self_signed("localhost", &["-newkey", "rsa:4096"]);
    let pgusher = with("login_threads = 2\nworker_threads = 1")
        .file("own.crt", &heavy.certificate)
        .file("own.key", &heavy.key)
        .start();
    let port = pgusher.port();
    let storm: Vec<_> = (0..60).map(|_| tokio::spawn(tunnel::connect(port))).collect();
    for handshake in storm {
        let made = tokio::time::timeout(LIMIT, handshake).await.unwrap().unwrap();
        made.unwrap_or_else(|error| panic!("{error}\n{}", pgusher.log()));
    }
    let (desks, workers) = (threads(&pgusher, "login-"), threads(&pgusher, "worker-"));
    assert_eq!((desks.len(), workers.len()), (2, 1));
    let busy: u64 = desks.iter().map(|(ticks, _)| ticks).sum();
    assert!(busy > 2 * workers[0].0, "login threads {desks:?}, worker {workers:?}");
    // 19 is as far back as there is.
    let expected = (workers[0].1 + 6).min(19);
    assert!(desks.iter().all(|(_, nice)| *nice == expected), "{desks:?} beside {workers:?}");
}

#[tokio::test]
async fn handshakes_that_stall_take_nobodys_place() {
    let pgusher =
        with("login_threads = 1\nmax_concurrent_logins = 1\nclient_login_timeout = \"60s\"")
            .start();
    let mut stalled = Vec::new();
    for _ in 0..50 {
        let mut client = RawClient::connect(pgusher.port()).await;
        client.send(&frontend::ssl_request()).await;
        assert_eq!(client.recv_byte().await, b'S');
        // The beginning of a ClientHello.
        client.send(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]).await;
        stalled.push(client);
    }
    let said = psql(&alice(&pgusher, "sslmode=require"), "select 42");
    assert_eq!(said.as_deref(), Ok("42"), "{}", pgusher.log());
    drop(stalled);
}

#[tokio::test]
async fn arrivals_and_departures_are_logged_with_tls_and_method() {
    let pgusher = with("log_format = \"text\"").start();
    psql(&alice(&pgusher, "sslmode=require"), "select 1").unwrap();
    psql(&alice(&pgusher, "sslmode=disable"), "select 1").unwrap();
    let line = |event: &str, tls: &str| {
        pgusher.log().lines().any(|line| {
            ["database=postgres", "user=alice", tls, "method=\"scram-sha-256\"", event]
                .iter()
                .all(|part| line.contains(part))
        })
    };
    for event in ["client connected", "client disconnected"] {
        for tls in ["tls=\"TLSv1.3\"", "tls=\"off\""] {
            let found = wait_for(LIMIT, || line(event, tls)).await;
            assert!(found, "{event} {tls}\n{}", pgusher.log());
        }
    }
}
