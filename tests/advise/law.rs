//! A server of which the law is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pgusher_testkit::{FakeConn, FakeServer, Pgusher};
use tokio::task::JoinSet;

use crate::stage::{Asker, client, config, of, start};

/// The work of the mean request, were it alone.
const WORK: Duration = Duration::from_millis(10);
const SIGMA: f64 = 0.05;
const KAPPA: f64 = 0.03;
/// With so many at work the most is done.
const PEAK: f64 = 5.6;

fn slowdown(working: u32) -> f64 {
    let others = f64::from(working.max(1)) - 1.0;
    1.0 + SIGMA * others + KAPPA * others * f64::from(working)
}

/// Counts a session as working until dropped.
struct Working<'a>(&'a AtomicU32);

impl Drop for Working<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Does some work, the slower the more sessions do: little by little, since they come and go meanwhile.
async fn work(working: &AtomicU32, seconds: f64) {
    working.fetch_add(1, Ordering::Relaxed);
    let _working = Working(working);
    let mut left = seconds;
    let mut since = Instant::now();
    while left > 0.0 {
        let slowdown = slowdown(working.load(Ordering::Relaxed));
        let step = (left * slowdown).min(0.003);
        tokio::time::sleep(Duration::from_secs_f64(step)).await;
        let now = Instant::now();
        left -= now.duration_since(since).as_secs_f64() / slowdown;
        since = now;
    }
}

async fn serve(mut conn: FakeConn, working: Arc<AtomicU32>) {
    conn.login_trust(&[("server_version", "16.0")], 1, &[1, 2, 3, 4]).await;
    while let Some(message) = conn.recv().await {
        if message.tag == b'Q' {
            work(&working, exponential(WORK)).await;
            conn.rows(&["done"], &[&[Some("yes")]]).await;
            conn.ready(b'I').await;
        }
    }
}

fn exponential(mean: Duration) -> f64 {
    -mean.as_secs_f64() * (1.0 - fastrand::f64()).ln()
}

/// Clients that think for a while between two requests; some of them only every other second.
async fn load(pgusher: &Pgusher) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let begun = Instant::now();
    for number in 0..34 {
        let mut client = client(pgusher, "load").await;
        tasks.spawn(async move {
            loop {
                let think = exponential(Duration::from_millis(100));
                tokio::time::sleep(Duration::from_secs_f64(think)).await;
                if number < 16 || begun.elapsed().as_secs().is_multiple_of(2) {
                    assert_eq!(client.query("select").await.value(), "yes");
                }
            }
        });
    }
    tasks
}

#[tokio::test]
async fn the_law_of_a_server_is_found_and_the_advice_comes_true() {
    let working = Arc::new(AtomicU32::new(0));
    let server = FakeServer::start(move |conn| serve(conn, Arc::clone(&working))).await;
    let pgusher = start(&server, 12);
    let mut asker = Asker::new(&pgusher).await;
    assert_eq!(asker.rows().await.len(), 0, "nobody has asked for anything");
    let load = load(&pgusher).await;
    let rows =
        asker.until("saturated", |rows| of(rows, "verdict").subject == "database saturated").await;
    let advised = of(&rows, "verdict").size.expect("a size");
    assert!((PEAK - 3.0..=PEAK + 2.5).contains(&(advised as f64)), "{rows:#?}");
    let peak = of(&rows, "scaling").note.split("the most is done by ").nth(1);
    let peak = peak.and_then(|rest| rest.split(',').next()?.parse::<f64>().ok()).expect("a peak");
    assert!((PEAK * 0.6..PEAK * 1.5).contains(&peak), "{rows:#?}");
    let metrics = pgusher.http_get("/metrics").1;
    assert!(metrics.contains("pgusher_pool_advised_size{database=\"app\",user=\"web\"} "));
    pgusher.rewrite_config(&config(&server, advised));
    asker.order("RELOAD").await;
    let is_measured =
        |rows: &[crate::stage::Row]| rows.iter().any(|row| row.topic == "past measured");
    let rows = asker.until("measured", is_measured).await;
    let (foretold, measured) = (of(&rows, "past forecast"), of(&rows, "past measured"));
    assert_eq!((foretold.size, measured.size), (Some(advised), Some(advised)));
    let ratio = measured.per_second.expect("a rate") / foretold.per_second.expect("a rate");
    assert!((0.7..1.4).contains(&ratio), "{rows:#?}");
    let ratio = measured.p99.expect("a wait") / foretold.p99.expect("a wait");
    assert!((0.4..2.5).contains(&ratio), "{rows:#?}");
    drop(load);
}
