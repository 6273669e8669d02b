//! Memory, descriptors and the latency of one calm client, second by second.

use std::time::{Duration, Instant};

use tokio_postgres::NoTls;

/// How often the calm client asks.
const PAUSE: Duration = Duration::from_millis(10);
/// How often it is counted.
const SECOND: Duration = Duration::from_secs(1);

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
            continue;
        };
        tokio::spawn(connection);
        // A killed server may end it; it comes again.
        while Instant::now() < until {
            let Ok(latencies) = ask(&client).await else { break };
            let [p50, p99] = [50, 99].map(|percent| at(latencies.clone(), percent));
            beats.push(Beat { resident: resident(pid), files: files(pid), p50, p99 });
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

fn resident(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    let kib: f64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kib / 1024.0
}

fn files(pid: u32) -> f64 {
    std::fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count() as f64
}
