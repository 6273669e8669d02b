//! Memory, descriptors and the latency of one calm client, second by second.

use std::time::{Duration, Instant};

use pgusher_testkit::processes::{open_fds, rss_kib};
use tokio_postgres::NoTls;

/// How often the calm client asks.
const PAUSE: Duration = Duration::from_millis(10);
/// How often it is counted.
const SECOND: Duration = Duration::from_secs(1);
/// A second that takes longer is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// What was felt within a second.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beat {
    resident: f64,
    files: f64,
    p50: f64,
    p99: f64,
}

impl Beat {
    /// Resident memory in MiB.
    pub(crate) fn resident(&self) -> f64 {
        self.resident
    }

    /// Open descriptors.
    pub(crate) fn files(&self) -> f64 {
        self.files
    }

    /// Median latency in milliseconds.
    pub(crate) fn p50(&self) -> f64 {
        self.p50
    }

    /// 99th percentile of latency in milliseconds.
    pub(crate) fn p99(&self) -> f64 {
        self.p99
    }
}

/// The median of one number over some beats.
pub(crate) fn median(beats: &[Beat], what: impl Fn(&Beat) -> f64) -> f64 {
    at(beats.iter().map(what).collect(), 50)
}

/// Feels the pulse until the end.
pub(crate) async fn feel(port: u16, pid: u32, until: Instant) -> Vec<Beat> {
    let mut beats = Vec::new();
    while Instant::now() < until {
        let config = format!("host=127.0.0.1 port={port} user=calm dbname=app");
        let Ok((client, connection)) = tokio_postgres::connect(&config, NoTls).await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        tokio::spawn(connection);
        // What happens to its server may end it; it comes again, and the second is missed.
        while Instant::now() < until {
            let Ok(Ok(latencies)) = tokio::time::timeout(PATIENCE, ask(&client)).await else {
                break;
            };
            let [p50, p99] = [50, 99].map(|percent| at(latencies.clone(), percent));
            let resident = rss_kib(pid).expect("it runs") as f64 / 1024.0;
            let files = open_fds(pid).expect("it runs") as f64;
            beats.push(Beat { resident, files, p50, p99 });
        }
    }
    beats
}

/// Latencies of one second, in milliseconds.
async fn ask(client: &tokio_postgres::Client) -> Result<Vec<f64>, tokio_postgres::Error> {
    let (began, mut latencies) = (Instant::now(), Vec::new());
    while began.elapsed() < SECOND {
        let asked = Instant::now();
        client.simple_query("select 1").await?;
        latencies.push(asked.elapsed().as_secs_f64() * 1e3);
        tokio::time::sleep(PAUSE).await;
    }
    Ok(latencies)
}

fn at(mut values: Vec<f64>, percent: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values
        .get((values.len() * percent / 100).min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}
