//! The nonce oracle on a real PostgreSQL.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use pgusher_testkit::{RawClient, frontend, processes};
use tokio::task::JoinSet;

use crate::actor::{Actor, Habits};
use crate::ledger::Ledger;
use crate::peer::Peer;
use crate::proxy::{Sessions, Weather};
use crate::script::Writer;
use crate::stage::Stage;

/// How long chaos reigns; the full length is for the long run of CI.
fn duration() -> Duration {
    let seconds = std::env::var("PGUSHER_ORACLE_SECONDS").ok();
    Duration::from_secs(seconds.and_then(|text| text.parse().ok()).unwrap_or(30))
}

fn clients() -> usize {
    let clients = std::env::var("PGUSHER_ORACLE_CLIENTS").ok();
    clients.and_then(|text| text.parse().ok()).unwrap_or(2000)
}

/// Until then a pool that became smaller is small.
const SHRINKING: Duration = Duration::from_secs(6);

const SETTINGS: &str =
    "query_wait_timeout = \"3s\"\nmax_prepared_statements = 5\nserver_login_retry = \"100ms\"";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_client_gets_its_own_answers() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let weather =
        Weather { cut: 30, cut_after: 100_000, pieces: 0, late_cancels: Duration::from_millis(20) };
    let stage = Stage::set(10, SETTINGS, weather, seed).await;
    let fds = processes::open_fds(stage.pgusher.pid()).expect("pgusher runs");
    let ledger = Arc::new(Ledger::default());
    let mut actors = JoinSet::new();
    for client in 0..clients() {
        let writer = Writer::new(client, seed ^ (client as u64));
        let habits = Habits { pause: Duration::from_millis(1500), vanish: 3, cancel: 4 };
        let ledger = Arc::clone(&ledger);
        actors.spawn(Actor { port: stage.pgusher.port(), writer, habits, ledger }.live());
    }
    let sampler = tokio::spawn(sample(Arc::clone(&stage.proxy.sessions), Arc::clone(&ledger)));
    bring_chaos(&stage, &ledger).await;
    ledger.stop();
    while let Some(ended) = actors.join_next().await {
        ended.expect("no panic in a client");
    }
    sampler.await.expect("the sampler");
    let sessions = &stage.proxy.sessions;
    println!(
        "{ledger}; {} connections cut; at most {} servers",
        sessions.cuts.load(Ordering::SeqCst),
        sessions.most.load(Ordering::SeqCst)
    );
    ledger.judge(&stage.pgusher.log());
    let excesses = sessions.excesses.lock().expect("the excesses").clone();
    assert!(excesses.is_empty(), "more servers than allowed: {excesses:?}");
    all_is_whole(&stage, 12).await;
    back_to_normal(&stage, fds).await;
    ledger.judge(&stage.pgusher.log());
}

/// Looks continuously at how many servers there are.
async fn sample(sessions: Arc<Sessions>, ledger: Arc<Ledger>) {
    while !ledger.is_over() {
        sessions.check();
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

/// Ends servers and changes the pool's size until the time is over.
async fn bring_chaos(stage: &Stage, ledger: &Ledger) {
    let mut admin = RawClient::login(stage.cluster.port(), "postgres", "postgres", "").await;
    let limit = &stage.proxy.sessions.limit;
    let sizes = [4, 12, 10];
    let (began, step) = (Instant::now(), duration() / 7);
    let mut resized = 0;
    while began.elapsed() < duration() && !ledger.is_over() {
        tokio::time::sleep(Duration::from_millis(150)).await;
        let killed = admin
            .query(
                "select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app' \
                 order by random() limit 1",
            )
            .await;
        ledger.kills.fetch_add(killed.rows.len() as u64, Ordering::Relaxed);
        let due = (began.elapsed().as_millis() / step.as_millis()) as usize;
        if due > resized {
            let size = sizes[resized % sizes.len()];
            resized = due;
            if size > limit.load(Ordering::SeqCst) {
                limit.store(size, Ordering::SeqCst);
            }
            stage.resize(size);
            // Transactions that run keep their servers until they end, and are cleaned up after for at most 5 s.
            tokio::time::sleep(Duration::from_secs(1)).await;
            let shrunk = tokio::time::Instant::now();
            while stage.proxy.sessions.count() > size && shrunk.elapsed() < SHRINKING {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            println!(
                "{} servers of {size} after {:?}",
                stage.proxy.sessions.count(),
                shrunk.elapsed()
            );
            limit.store(size, Ordering::SeqCst);
        }
    }
    limit.store(limit.load(Ordering::SeqCst).max(12), Ordering::SeqCst);
    stage.resize(12);
    tokio::time::sleep(Duration::from_millis(200)).await;
    admin.terminate().await;
}

/// No slot is lost and none is too many: exactly `size` clients can hold a transaction.
pub(crate) async fn all_is_whole(stage: &Stage, size: usize) {
    let open = "select count(*) from pg_stat_activity where usename = 'app' and \
                (state <> 'idle' or xact_start is not null)";
    stage.await_answer(open, "0").await;
    let params = [("user", "app"), ("database", "app")];
    let mut holders = Vec::new();
    for index in 0..size {
        let mut peer = Peer::login(stage.pgusher.port(), &params).await.expect("login");
        peer.send(&frontend::query("begin")).await.expect("begin");
        let answer = peer.recv().await.expect("an answer");
        assert_eq!(answer.tag, b'C', "holder {index}: {answer:?}\n{}", stage.pgusher.log());
        assert_eq!(peer.recv().await.expect("an answer").body[..], *b"T");
        holders.push(peer);
    }
    let mut one_more = Peer::login(stage.pgusher.port(), &params).await.expect("login");
    one_more.send(&frontend::query("begin")).await.expect("begin");
    loop {
        let answer = one_more.recv().await.expect("an answer");
        if answer.tag == b'E' {
            assert_eq!(answer.error().code(), "53300", "{answer:?}");
            break;
        }
        assert_eq!(answer.tag, b'N', "one server too many: {answer:?}");
    }
    let backends = stage.ask("select count(*) from pg_stat_activity where usename = 'app'");
    assert_eq!(backends, size.to_string());
    for holder in &mut holders {
        holder.send(&frontend::query("rollback")).await.expect("rollback");
        assert_eq!(holder.recv().await.expect("an answer").tag, b'C');
        holder.send(&frontend::terminate()).await.expect("goodbye");
        while holder.recv().await.is_ok() {}
    }
    one_more.send(&frontend::terminate()).await.expect("goodbye");
    while one_more.recv().await.is_ok() {}
    stage.await_answer(open, "0").await;
    counts_are_zero(stage).await;
}

/// The console knows of no client of the pool, and of no server that is not idle.
async fn counts_are_zero(stage: &Stage) {
    let mut console = RawClient::login(stage.pgusher.port(), "pgusher", "admin", "").await;
    let busy =
        ["cl_active", "cl_waiting", "sv_active", "sv_being_canceled", "sv_tested", "sv_login"];
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let pools = console.query("show pools").await;
        let of = |row: &[Option<String>], name: &str| {
            let index = pools.columns.iter().position(|column| column == name);
            row[index.expect("a column of SHOW POOLS")].clone().unwrap_or_default()
        };
        let app = pools.rows.iter().find(|row| of(row, "database") == "app").expect("the pool");
        let left: Vec<_> = busy
            .into_iter()
            .filter(|name| of(app, name) != "0")
            .map(|name| (name, of(app, name)))
            .collect();
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "counts that are not zero: {left:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let clients = console.query("show clients").await;
    assert!(clients.rows.is_empty(), "clients that are gone: {:?}", clients.rows);
    console.terminate().await;
}

/// Nobody is there any more: descriptors and memory are what they were, within reason.
async fn back_to_normal(stage: &Stage, fds_before: usize) {
    let pid = stage.pgusher.pid();
    let slack = 12 + 8;
    let came = pgusher_testkit::wait_for(Duration::from_secs(20), || {
        processes::open_fds(pid).is_some_and(|fds| fds <= fds_before + slack)
    })
    .await;
    assert!(came, "{fds_before} descriptors before, {:?} after", processes::open_fds(pid));
    let rss = processes::rss_kib(pid).expect("pgusher runs");
    println!("{rss} KiB resident afterwards");
    assert!(rss < 200 * 1024, "{rss} KiB resident");
}
