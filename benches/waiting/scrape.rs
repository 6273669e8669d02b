//! Prometheus reads the page of hundreds of pools while queries run.

use std::time::{Duration, Instant};

use pgusher_testkit::{Cluster, FakeServer, Pgusher, RawClient};

use crate::load::{again_and_again, percentile};
use crate::{Bar, Bound, site};

const POOLS: usize = 500;

/// Clients with a pause between two queries: there is room for both, as there is where somebody watches latency.
const WEB: (u32, &str, Duration) = (8, "select 1", Duration::from_millis(4));

/// Much more often than Prometheus asks.
const PAUSE: Duration = Duration::from_millis(200);

/// What a page may take.
const BOUND: Duration = Duration::from_millis(50);

/// Measures how long a page takes, and what queries notice of it.
pub(crate) async fn measure(cluster: &Cluster, time: Duration) -> Vec<Bar> {
    println!(
        "## A page of {POOLS} pools\n\n{} clients ask `{}`, with a pause of {} ms; a page is read every {} ms.\n",
        WEB.0,
        WEB.1,
        WEB.2.as_millis(),
        PAUSE.as_millis()
    );
    let servers = FakeServer::echo().await;
    let pgusher = site::pgusher(cluster, "", &sections(servers.port()));
    let other = site::pgusher(cluster, "", &sections(servers.port()));
    let mut guests = Vec::new();
    for number in 0..POOLS {
        let database = format!("d{number}");
        for port in [pgusher.port(), other.port()] {
            guests.push(RawClient::login(port, &database, "guest", "").await);
        }
    }
    println!("| | query p50 | query p99 | page p50 | page p99 |\n|---|---:|---:|---:|---:|");
    row("nobody reads it", &pgusher, None, time).await;
    // Whoever makes and reads megabytes takes a processor from others; that is not what is asked.
    let (elsewhere, _) = row("another process's is read", &pgusher, Some(&other), time).await;
    let (here, page) = row("it is read", &pgusher, Some(&pgusher), time).await;
    println!();
    let ratio = |one: Duration, other: Duration| one.as_secs_f64() / other.as_secs_f64();
    let bar = |what, ratio, bound| Bar { what, ratio, bound: Bound::AtMost(bound) };
    vec![
        bar("a page of 500 pools, to 50 ms", ratio(page, BOUND), 1.0),
        bar("p50 of queries while it is read, to another's", ratio(here[0], elsewhere[0]), 1.1),
        bar("p99 of queries while it is read, to another's", ratio(here[1], elsewhere[1]), 1.5),
    ]
}

fn sections(port: u16) -> String {
    let database = |number| {
        format!("[databases.d{number}]\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"guest\"\n")
    };
    let all: String = (0..POOLS).map(database).collect();
    format!("[http]\nlisten = \"127.0.0.1:{{http_port}}\"\n{all}")
}

/// A row of the table; gives the median and the 99th percentile of queries, and the median of pages.
async fn row(
    name: &str,
    pgusher: &Pgusher,
    read: Option<&Pgusher>,
    time: Duration,
) -> ([Duration; 2], Duration) {
    let mut web = Vec::new();
    for _ in 0..WEB.0 {
        web.push(site::client(pgusher, "web").await);
    }
    let port = read.map(Pgusher::http_port);
    let reading = tokio::task::spawn_blocking(move || {
        let start = Instant::now();
        let mut took = Vec::new();
        while let Some(port) = port.filter(|_| start.elapsed() < time) {
            let asked = Instant::now();
            let (status, page) = pgusher_testkit::http::get(port, "/metrics").expect("a page");
            took.push(asked.elapsed());
            assert!(status == 200 && page.len() > 10_000 * POOLS, "{status} {}", page.len());
            std::thread::sleep(PAUSE);
        }
        took
    });
    let answers = again_and_again(web, WEB.1, WEB.2, time).await;
    let pages = reading.await.expect("pages");
    let at = |percent| percentile(answers.iter().map(|answer| answer.took), percent);
    let page = |percent| percentile(pages.iter().copied(), percent);
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let (p50, p99) = (at(50), at(99));
    let (half, most) = if read.is_some() { (page(50), page(99)) } else { Default::default() };
    println!(
        "| {name} | {:.2} ms | {:.2} ms | {:.1} ms | {:.1} ms |",
        millis(p50),
        millis(p99),
        millis(half),
        millis(most)
    );
    ([p50, p99], half)
}
