//! A batch job floods the pool that a web application uses, too.

use std::time::Duration;

use pgusher_testkit::Cluster;

use crate::load::{Answer, again_and_again, percentile};
use crate::site::{self, SERVERS};
use crate::{Bar, Bound};

const WEB: (u32, &str, Duration) = (20, "select pg_sleep(0.002)", Duration::from_millis(20));
const BATCH: (u32, &str, Duration) = (200, "select pg_sleep(0.02)", Duration::ZERO);

const CLASS: &str = "[classes.batch]\napplication_names = [\"batch\"]\nmax_servers = 5\n";

/// Measures the web's response times alone, beside the batch, and beside the batch in a class of its own.
pub(crate) async fn measure(cluster: &Cluster, time: Duration) -> Vec<Bar> {
    println!(
        "## A flood\n\n{} web clients (2 ms of work, then a pause of 20 ms) and {} batch clients (20 ms of work, no pause) \
         on {SERVERS} servers.\n",
        WEB.0, BATCH.0
    );
    println!(
        "| | web p50 | web p99 | web requests/s | batch requests/s |\n|---|---:|---:|---:|---:|"
    );
    let alone = row(cluster, "web alone", "", false, time).await;
    row(cluster, "with the batch, one queue", "", true, time).await;
    let apart =
        row(cluster, "with the batch in a class (max_servers = 5)", CLASS, true, time).await;
    println!();
    vec![Bar {
        what: "p99 of the web beside a flooding batch class, to the web alone",
        ratio: apart.as_secs_f64() / alone.as_secs_f64(),
        bound: Bound::AtMost(2.0),
    }]
}

/// A row of the table; gives the web's 99th percentile.
async fn row(
    cluster: &Cluster,
    name: &str,
    classes: &str,
    batch: bool,
    time: Duration,
) -> Duration {
    let pgusher = site::pgusher(cluster, "", classes);
    let (mut web, mut flood) = (Vec::new(), Vec::new());
    for _ in 0..WEB.0 {
        web.push(site::client(&pgusher, "web").await);
    }
    for _ in 0..if batch { BATCH.0 } else { 0 } {
        flood.push(site::client(&pgusher, "batch").await);
    }
    let (web, flood) = tokio::join!(
        again_and_again(web, WEB.1, WEB.2, time),
        again_and_again(flood, BATCH.1, BATCH.2, time),
    );
    let at = |percent| percentile(web.iter().map(|answer| answer.took), percent);
    let (p50, p99) = (at(50), at(99));
    let per_second = |answers: &[Answer]| answers.len() as f64 / time.as_secs_f64();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    println!(
        "| {name} | {:.1} ms | {:.1} ms | {:.0} | {:.0} |",
        millis(p50),
        millis(p99),
        per_second(&web),
        per_second(&flood),
    );
    p99
}
