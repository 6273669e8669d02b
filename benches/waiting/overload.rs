//! Twice as much is asked for as the pool can do: with a deadline the pool does all it can, without one nothing in time.

use std::time::Duration;

use pgusher_testkit::{Cluster, Pgusher};

use crate::load::{Answer, again_and_again, at_rate, percentile};
use crate::site::{self, SERVERS};
use crate::{Bar, Bound};

const SQL: &str = "select pg_sleep(0.02)";

/// An answer that comes later is of no use.
const DEADLINE: Duration = Duration::from_millis(500);

/// More clients than can wait within the deadline.
const CLIENTS: u32 = 1_000;

/// Measures what is served in time, and prints the table.
pub(crate) async fn measure(cluster: &Cluster, time: Duration) -> Vec<Bar> {
    let capacity = capacity(cluster, time / 6).await;
    println!(
        "## Overload\n\n{SERVERS} servers can do {capacity:.0} requests/s; {:.0}/s are asked for during {} s. An answer \
         within {} ms is in time.\n",
        capacity * 2.0,
        time.as_secs(),
        DEADLINE.as_millis()
    );
    println!(
        "| queue | in time/s | of capacity | served too late/s | refused/s | p99 of the served |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    let bounded = "queue_deadline = \"300ms\"";
    let mut good = Vec::new();
    for (name, settings) in [("without a bound", ""), ("queue_deadline = 300 ms", bounded)] {
        let pgusher = site::pgusher(cluster, settings, "");
        let clients = crowd(&pgusher, CLIENTS).await;
        let answers = at_rate(clients, SQL, capacity * 2.0, time).await;
        good.push(put(name, &answers, capacity, time));
    }
    println!();
    let [_, (share, p99)] = good[..] else { return Vec::new() };
    vec![
        Bar {
            what: "goodput at twice the capacity, of capacity",
            ratio: share,
            bound: Bound::AtLeast(0.95),
        },
        Bar {
            what: "p99 of the requests that were let in, of the deadline",
            ratio: p99.as_secs_f64() / DEADLINE.as_secs_f64(),
            bound: Bound::AtMost(1.0),
        },
    ]
}

/// Requests a second with twice as many clients as servers, who wait for nothing else.
async fn capacity(cluster: &Cluster, time: Duration) -> f64 {
    let pgusher = site::pgusher(cluster, "", "");
    let clients = crowd(&pgusher, SERVERS * 2).await;
    let answers = again_and_again(clients, SQL, Duration::ZERO, time).await;
    answers.len() as f64 / time.as_secs_f64()
}

async fn crowd(pgusher: &Pgusher, count: u32) -> Vec<tokio_postgres::Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(site::client(pgusher, "load").await);
    }
    clients
}

/// A row of the table; gives what was served in time as a share of the capacity, and the 99th percentile.
fn put(name: &str, answers: &[Answer], capacity: f64, time: Duration) -> (f64, Duration) {
    let per_second = |count: usize| count as f64 / time.as_secs_f64();
    let served = || answers.iter().filter(|answer| answer.served);
    let in_time = served().filter(|answer| answer.took <= DEADLINE).count();
    let share = per_second(in_time) / capacity;
    let p99 = percentile(served().map(|answer| answer.took), 99);
    println!(
        "| {name} | {:.0} | {:.0} % | {:.0} | {:.0} | {:.0} ms |",
        per_second(in_time),
        share * 100.0,
        per_second(served().count() - in_time),
        per_second(answers.len() - served().count()),
        p99.as_secs_f64() * 1e3,
    );
    (share, p99)
}
