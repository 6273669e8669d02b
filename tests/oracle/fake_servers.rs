//! The oracle on fake servers: replies come byte by byte and late, and end at any byte.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pgusher_testkit::{FakeServer, Pgusher};
use tokio::task::JoinSet;

use crate::actor::{Actor, Habits};
use crate::ledger::Ledger;
use crate::proxy::{Proxy, Weather};
use crate::script::Writer;
use crate::stage::{PGUSHER, config};

const SIZE: usize = 8;
const LENGTH: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_in_pieces_reach_whom_they_are_for() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let server = FakeServer::echo().await;
    server.set_delay(Duration::from_millis(2));
    let late_cancels = Duration::from_millis(50);
    let weather = Weather { cut: 50, cut_after: 20_000, pieces: 1, late_cancels };
    let proxy = Proxy::start(server.port(), weather, seed).await;
    proxy.sessions.limit.store(SIZE, Ordering::SeqCst);
    let settings = format!("pool_size = {SIZE}\nserver_login_retry = \"50ms\"");
    let config = config(proxy.port, &settings);
    let pgusher = Pgusher::start(Path::new(PGUSHER), &config);
    let ledger = Arc::new(Ledger::default());
    let mut actors = JoinSet::new();
    for client in 0..150 {
        let writer = Writer::for_echo(client, seed ^ (client as u64));
        let habits = Habits { pause: Duration::from_millis(100), vanish: 4, cancel: 10 };
        let ledger = Arc::clone(&ledger);
        actors.spawn(Actor { port: pgusher.port(), writer, habits, ledger }.live());
    }
    tokio::time::sleep(LENGTH).await;
    ledger.stop();
    while let Some(ended) = actors.join_next().await {
        ended.expect("no panic in a client");
    }
    println!("{ledger}; {} connections cut", proxy.sessions.cuts.load(Ordering::SeqCst));
    ledger.judge(&pgusher.log());
    let excesses = proxy.sessions.excesses.lock().expect("the excesses").clone();
    assert!(excesses.is_empty(), "more servers than allowed: {excesses:?}");
    let cancels = ledger.cancels.load(Ordering::SeqCst);
    assert!(cancels > 50 && ledger.checked.load(Ordering::SeqCst) > 1000, "{ledger}");
}
