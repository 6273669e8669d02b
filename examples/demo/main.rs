//! Shows what pgusher is for: 5,000 clients on 20 servers, next to the same clients without a pooler.
//!
//! `make demo`. Starts a PostgreSQL and a pgusher of its own in temporary folders, lets a crowd of clients work first
//! without and then through pgusher, shows both side by side, and stays up to be looked at until Ctrl-C.
//!
//! - `stage`: the servers; `crowd`: the clients, each a `client` that does its `work`;
//! - `tally`, `queue_time`, `report`: what came of it; `progress`: what one sees meanwhile.

mod client;
mod crowd;
mod options;
mod progress;
mod queue_time;
mod report;
mod stage;
mod tally;
mod work;

use crate::crowd::Crowd;
use crate::options::Options;
use crate::progress::{heading, say, step, watch_logins, watch_work};
use crate::queue_time::QueueTime;
use crate::report::{Run, side_by_side};
use clap::Parser;
use pgusher_testkit::{Cluster, Pgusher};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Files that every process needs beside its clients.
const SPARE_FILES: u64 = 300;

fn main() -> ExitCode {
    let options = Options::parse();
    let checked = options.binary().and_then(|binary| {
        enough_files(options.clients)?;
        Ok(binary)
    });
    let binary = match checked {
        Ok(binary) => binary,
        Err(reason) => {
            eprintln!("demo: {reason}");
            return ExitCode::from(2);
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("start a runtime");
    runtime.block_on(show(&options, &binary));
    ExitCode::SUCCESS
}

/// Every client is an open file here, and another one in pgusher.
fn enough_files(clients: u32) -> Result<(), String> {
    let (limit, needed) = (stage::raise_file_limit(), u64::from(clients) + SPARE_FILES);
    if limit >= needed {
        return Ok(());
    }
    Err(format!(
        "{clients} clients need {needed} open files, and the limit is {limit}: raise it with \
         `ulimit -n`, or come with fewer --clients"
    ))
}

async fn show(options: &Options, binary: &Path) {
    say(&heading("pgusher: many clients, few servers"));
    let cluster =
        step("Starting a private PostgreSQL with a million accounts", stage::build_cluster);
    let (count, think) = (options.clients, options.think());

    let limit = stage::MAX_CONNECTIONS;
    say(&heading(&format!("\nWithout a pooler (PostgreSQL admits {limit} connections)")));
    let direct = run(&cluster, cluster.port(), count, think, options.direct_time()).await;

    let size = stage::POOL_SIZE;
    say(&heading(&format!("\nThrough pgusher, on a pool of {size} servers")));
    let pgusher = step("  starting pgusher", || stage::start_pgusher(binary, &cluster, count));
    let before = queue_time(&pgusher);
    let mut pooled = run(&cluster, pgusher.port(), count, think, options.pooled_time()).await;
    pooled.queue = Some(queue_time(&pgusher).since(&before));

    say(&format!("\n{}", side_by_side(count, &direct, &pooled)));
    if !options.no_wait {
        wait_for_goodbye(&pgusher).await;
    }
    // pgusher first, so that it does not see its server go.
    drop(pgusher);
    drop(cluster);
}

/// Lets a crowd log in at a port and work there.
async fn run(cluster: &Cluster, port: u16, count: u32, think: Duration, time: Duration) -> Run {
    let crowd = Crowd::gather(port, count, think);
    watch_logins(&crowd, count).await;
    let end = crowd.work_for(time);
    let middle = end - time / 2;
    let servers = async {
        tokio::time::sleep_until(middle).await;
        tokio::task::block_in_place(|| stage::server_connections(cluster))
    };
    let (tps, servers) = tokio::join!(watch_work(&crowd, end), servers);
    Run { tally: crowd.disperse().await, tps, servers, queue: None }
}

/// The waits so far; none when pgusher does not tell.
fn queue_time(pgusher: &Pgusher) -> QueueTime {
    let page = pgusher.try_http_get("/metrics");
    page.map_or_else(|_| QueueTime::default(), |(_, page)| QueueTime::parse(&page))
}

async fn wait_for_goodbye(pgusher: &Pgusher) {
    say(&heading("Everything is still up: have a look"));
    say(&stage::invitation(pgusher));
    say("Ctrl-C stops everything and leaves nothing behind.");
    let mut terminate = signal(SignalKind::terminate()).expect("listen for SIGTERM");
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.expect("listen for Ctrl-C"),
        _ = terminate.recv() => {}
    }
    say("\nStopping.");
}
