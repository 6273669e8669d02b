//! Messages that fit no buffer.

use std::time::Duration;

use pgusher_testkit::frontend::{bind_formats, copy_data, copy_done, execute, parse, query, sync};
use pgusher_testkit::processes::rss_kib;

use super::kit::{Site, site};

const MIB: usize = 1 << 20;
/// What pgusher may grow by while a message of any size passes.
const GROWTH_KIB: u64 = 20 * 1024;

/// Watches pgusher's memory while something runs; gives its growth in KiB.
struct Gauge {
    before: u64,
    peak: tokio::task::JoinHandle<()>,
    seen: std::sync::Arc<std::sync::atomic::AtomicU64>,
}

impl Gauge {
    fn start(site: &Site) -> Self {
        let pid = site.pgusher.pid();
        let before = rss_kib(pid).expect("pgusher runs");
        let seen = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(before));
        let shared = std::sync::Arc::clone(&seen);
        let peak = tokio::spawn(async move {
            loop {
                let now = rss_kib(pid).unwrap_or_default();
                shared.fetch_max(now, std::sync::atomic::Ordering::Relaxed);
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        Gauge { before, peak, seen }
    }

    fn assert_bounded(self) {
        self.peak.abort();
        let grown = self.seen.load(std::sync::atomic::Ordering::Relaxed) - self.before;
        assert!(grown < GROWTH_KIB, "pgusher grew by {grown} KiB");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_any_size_stream_through() {
    let site = site(1);
    let mut client = site.client().await;
    let mut other = site.client().await;
    client.set_time_limit(Duration::from_secs(120));
    let gauge = Gauge::start(&site);

    client.send(&query(&format!("select repeat('r', {})", 200 * MIB))).await;
    let row = client.recv_until(b'D').await.pop().unwrap();
    assert_eq!(row.body.len(), 2 + 4 + 200 * MIB);
    assert!(row.body[6..].iter().all(|byte| *byte == b'r'));
    drop(row);
    client.read_ready().await;
    assert_eq!(other.query("select 'between'").await.value(), "between");

    let parameter = vec![b'p'; 100 * MIB];
    let bind = bind_formats("", "", &[1], &[Some(&parameter)], &[]);
    let length = parse("", "select length($1::bytea)", &[]);
    client.send(&[length, bind, execute("", 0), sync()].concat()).await;
    assert_eq!(client.read_result().await.value(), (100 * MIB).to_string());
    assert_eq!(other.query("select 'between'").await.value(), "between");

    client.send(&query(&format!("select length('{}')", "q".repeat(50 * MIB)))).await;
    assert_eq!(client.read_result().await.value(), (50 * MIB).to_string());

    client
        .send(&query("begin; create temp table c (a text) on commit drop; copy c from stdin"))
        .await;
    client.recv_until(b'G').await;
    client.send(&[copy_data(&parameter), copy_data(b"\n"), copy_done()].concat()).await;
    assert_eq!(client.read_result().await.tags, ["COPY 1"]);
    assert_eq!(client.query("select length(a) from c").await.value(), (100 * MIB).to_string());
    client.query("rollback").await;

    gauge.assert_bounded();
    assert_eq!(other.query("select 'after'").await.value(), "after");
    site.assert_calm();
}

#[tokio::test]
async fn many_tiny_messages_cost_no_memory() {
    let site = site(1);
    let mut client = site.client().await;
    let gauge = Gauge::start(&site);
    client.query("create table tiny (a text)").await;
    client.send(&query("copy tiny from stdin")).await;
    client.recv_until(b'G').await;
    let piece = [copy_data(b""), copy_data(b"x"), copy_data(b"\n")].concat().repeat(10_000);
    for _ in 0..20 {
        client.send(&piece).await;
    }
    client.send(&copy_done()).await;
    client.set_time_limit(super::kit::PATIENCE);
    assert_eq!(client.read_result().await.tags, ["COPY 200000"]);
    // Empty batches, answered here, and empty queries, answered there.
    for _ in 0..10 {
        client.send(&sync().repeat(5_000)).await;
        for _ in 0..5_000 {
            client.read_ready().await;
        }
        client.send(&query("").repeat(1_000)).await;
        for _ in 0..1_000 {
            assert_eq!(client.read_ready().await.len(), 2);
        }
    }
    gauge.assert_bounded();
    site.assert_calm();
}
