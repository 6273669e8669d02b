//! Clients that rest: they wait without a task, and whatever concerns them reaches them all the same.
//!
//! A client is parked when it has logged in and again behind its first request; one that is back within a second keeps
//! its task for a second of rest.

use std::time::{Duration, Instant};

use pgusher_testkit::{RawClient, Signal, frontend, processes};
use tokio::task::JoinSet;

use crate::stage::{LIMIT, Stage, backend_pid, login, until};

/// Longer than any client keeps its task.
const LONG_REST: Duration = Duration::from_millis(1_300);

/// Databases of the console; `postgres` may give orders.
const ADMIN: &str = "admin_users = [\"postgres\"]";

async fn clients(stage: &Stage, count: usize) -> Vec<RawClient> {
    let mut all = Vec::new();
    for _ in 0..count {
        all.push(stage.client().await);
    }
    all
}

/// Runs two queries, so that the client is one that keeps its task for a while, and lets it rest beyond that.
async fn busy_then_parked(client: &mut RawClient) {
    for _ in 0..2 {
        assert_eq!(client.query("select 1").await.value(), "1");
    }
    tokio::time::sleep(LONG_REST).await;
}

/// What the console shows of the test's clients: their states and numbers.
async fn listed(stage: &Stage) -> Vec<(String, String)> {
    let mut console = login(&stage.pgusher, "pgusher").await;
    let result = console.query("show clients").await;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let rows = result.rows.iter().filter(|row| text(&row[2]) == stage.database);
    rows.map(|row| (text(&row[4]), text(row.last().unwrap()))).collect()
}

#[tokio::test]
async fn many_rest_and_then_all_ask_at_once() {
    rlimit::increase_nofile_limit(8192).unwrap();
    let mut stage = Stage::with("park_many", ADMIN, "pool_size = 5", "");
    let fds = processes::open_fds(stage.pgusher.pid()).unwrap();
    let mut all = clients(&stage, 1000).await;
    for round in 0..3 {
        assert!(listed(&stage).await.iter().all(|(state, _)| state == "idle"));
        let mut asking = JoinSet::new();
        for (number, mut client) in all.drain(..).enumerate() {
            asking.spawn(async move {
                let own = format!("{round} {number}");
                assert_eq!(client.query(&format!("select '{own}'")).await.value(), own);
                client
            });
        }
        all = asking.join_all().await;
        tokio::time::sleep(LONG_REST).await;
    }
    assert_eq!(listed(&stage).await.len(), 1000);
    drop(all);
    let pid = stage.pgusher.pid();
    until("all sockets are closed", || processes::open_fds(pid).unwrap() <= fds + 10).await;
    assert!(listed(&stage).await.is_empty());
    // It waits for whoever is still counted.
    stage.pgusher.signal(Signal::TERM);
    assert_eq!(stage.pgusher.wait_exit(LIMIT).code(), Some(0), "{}", stage.pgusher.log());
}

#[tokio::test]
async fn requests_around_the_moment_of_parking_are_answered() {
    let stage = Stage::new("park_moment", "pool_size = 4");
    let mut asking = JoinSet::new();
    for client in clients(&stage, 150).await {
        asking.spawn(async move {
            let mut client = client;
            for round in 0..8 {
                // Twice, the second time at once: only then its task is kept for a second.
                for half in 0..2 {
                    let own = format!("{round} {half}");
                    assert_eq!(client.query(&format!("select '{own}'")).await.value(), own);
                }
                let pause = Duration::from_micros(fastrand::u64(950_000..1_150_000));
                tokio::time::sleep(pause).await;
            }
        });
    }
    asking.join_all().await;
}

#[tokio::test]
async fn a_request_in_pieces_and_one_with_the_login_are_answered() {
    let stage = Stage::new("park_pieces", "pool_size = 2");
    let mut client = stage.client().await;
    let query = frontend::query("select 'whole'");
    for cut in [1, 5, query.len() - 1] {
        busy_then_parked(&mut client).await;
        client.send(&query[..cut]).await;
        tokio::time::sleep(Duration::from_millis(150)).await;
        client.send(&query[cut..]).await;
        assert_eq!(client.read_result().await.value(), "whole");
    }
    let mut eager = RawClient::connect(stage.pgusher.port()).await;
    let startup = frontend::startup(0, &[("user", "postgres"), ("database", &stage.database)]);
    eager.send(&[startup, frontend::query("select 'early'")].concat()).await;
    eager.recv_until(b'Z').await;
    assert_eq!(eager.read_result().await.value(), "early");
}

/// How many sockets a process watches for one event: those of clients that are parked.
fn parked(pid: u32) -> usize {
    const ONE_SHOT: u32 = 1 << 30;
    let infos = std::fs::read_dir(format!("/proc/{pid}/fdinfo")).unwrap().flatten();
    let texts = infos.filter_map(|info| std::fs::read_to_string(info.path()).ok());
    let count = |text: String| {
        let watched = text.lines().filter(|line| line.starts_with("tfd:"));
        let events = watched.filter_map(|line| line.split_whitespace().nth(3));
        let events = events.filter_map(|events| u32::from_str_radix(events, 16).ok());
        events.filter(|events| events & ONE_SHOT != 0).count()
    };
    texts.map(count).sum()
}

/// Who listens is parked as others are, and hears what comes.
#[tokio::test]
async fn listening_clients_rest_without_a_task_and_hear_all_the_same() {
    let stage = Stage::new("park_listen", "pool_size = 2");
    let mut all = clients(&stage, 60).await;
    for client in &mut all {
        assert_eq!(client.query("listen news").await.error, None);
    }
    let pid = stage.pgusher.pid();
    until("all are parked", || parked(pid) == all.len()).await;
    let (mut sender, mut odd) = (stage.client().await, stage.client().await);
    for round in 0..5 {
        // Some are awake when it comes, some are being parked.
        odd.query("select 1").await;
        if round % 2 == 1 {
            tokio::time::sleep(LONG_REST).await;
        }
        for text in ["a", "b"] {
            let sql = format!("notify news, '{round}{text}'");
            assert_eq!(sender.query(&sql).await.error, None);
        }
        for client in &mut all {
            for text in ["a", "b"] {
                let message = client.recv().await;
                assert_eq!(message.tag, b'A', "{message:?}");
                assert!(message.body.ends_with(format!("\0{round}{text}\0").as_bytes()));
            }
        }
    }
    // And so are they when they have heard it, with those two.
    until("all are parked again", || parked(pid) == all.len() + 2).await;
}

#[tokio::test]
async fn a_session_outlives_its_rests() {
    let stage = Stage::new("park_session", "pool_size = 2");
    let (mut one, mut two) = (stage.client().await, stage.client().await);
    for (client, zone) in [(&mut one, "Asia/Tokyo"), (&mut two, "America/Lima")] {
        client.query(&format!("set timezone = '{zone}'")).await;
        let batch =
            [frontend::parse("mine", &format!("select '{zone}'"), &[]), frontend::sync()].concat();
        client.send(&batch).await;
        client.read_ready().await;
    }
    tokio::time::sleep(LONG_REST).await;
    for (client, zone) in [(&mut two, "America/Lima"), (&mut one, "Asia/Tokyo")] {
        assert_eq!(client.query("show timezone").await.value(), zone);
        tokio::time::sleep(LONG_REST).await;
        let batch = [frontend::bind("", "mine", &[]), frontend::execute("", 0), frontend::sync()];
        client.send(&batch.concat()).await;
        assert_eq!(client.read_result().await.value(), zone);
    }
}

#[tokio::test]
async fn orders_reach_the_parked() {
    let mut stage = Stage::with("park_orders", ADMIN, "pool_size = 2", "");
    let mut all = clients(&stage, 3).await;
    busy_then_parked(&mut all[1]).await;
    let (_, id) = listed(&stage).await.remove(1);
    let mut console = login(&stage.pgusher, "pgusher").await;
    console.query(&format!("kill_client {id}")).await;
    let error = all.remove(1).expect_fatal().await;
    assert_eq!(error.code(), "57P01", "{error:?}");
    assert_eq!(listed(&stage).await.len(), 2, "the others stay");
    drop(console);
    stage.pgusher.signal(Signal::TERM);
    for mut client in all {
        assert_eq!(client.expect_fatal().await.code(), "57P01");
    }
    assert!(stage.pgusher.wait_exit(LIMIT).success());
}

#[tokio::test]
async fn client_idle_timeout_counts_a_rest_from_its_beginning() {
    let stage = Stage::new("park_timeout", "client_idle_timeout = \"2s\"");
    let (mut fresh, since) = (stage.client().await, Instant::now());
    let mut busy = stage.client().await;
    for _ in 0..2 {
        busy.query("select 1").await;
    }
    let last_asked = Instant::now();
    // The first has been parked since its login, the second is parked half-way through its time.
    for (client, since) in [(&mut fresh, since), (&mut busy, last_asked)] {
        assert_eq!(client.expect_fatal().await.code(), "57P05");
        let after = since.elapsed();
        assert!(after >= Duration::from_millis(1_990), "early: {after:?}");
        assert!(after < Duration::from_secs(6), "late: {after:?}");
    }
}

#[tokio::test]
async fn the_parked_may_leave_in_every_way() {
    let stage = Stage::with("park_leave", ADMIN, "pool_size = 2", "");
    let mut all = clients(&stage, 8).await;
    for client in &mut all[4..] {
        assert_eq!(client.query("select 1").await.value(), "1");
    }
    for (number, mut client) in all.into_iter().enumerate() {
        match number % 4 {
            0 => client.terminate().await,
            1 => client.reset(),
            2 => {
                client.shutdown_write().await;
                client.expect_closed().await;
            }
            _ => drop(client),
        }
    }
    let deadline = Instant::now() + LIMIT;
    while !listed(&stage).await.is_empty() {
        assert!(Instant::now() < deadline, "still there: {:?}", listed(&stage).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn cancelling_the_parked_strikes_nobody() {
    let stage = Stage::new("park_cancel", "pool_size = 1");
    let (mut parked, mut working) = (stage.client().await, stage.client().await);
    busy_then_parked(&mut parked).await;
    working.send(&frontend::query("select pg_sleep(0.5), 'done'")).await;
    stage.eye().await.expect(1).await;
    RawClient::cancel(stage.pgusher.port(), parked.pid(), parked.key()).await;
    assert_eq!(working.read_result().await.rows[0][1].as_deref(), Some("done"));
    // Woken, it can be cancelled again.
    let pid = backend_pid(&mut parked).await;
    parked.send(&frontend::query("select pg_sleep(600)")).await;
    let sleeps = format!(
        "select count(*) from pg_stat_activity where pid = {pid} and wait_event = 'PgSleep'"
    );
    until("the query runs", || stage.cluster.psql(&sleeps) == "1").await;
    RawClient::cancel(stage.pgusher.port(), parked.pid(), parked.key()).await;
    assert_eq!(parked.read_result().await.unwrap_error().code(), "57014");
}
