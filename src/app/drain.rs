//! Stopping: transactions finish, idle clients are told goodbye, nobody new comes in.

use std::time::{Duration, Instant};

use super::process::{Ending, Process};
use crate::control::Order;

/// How often clients are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long clients that are cut off may take to hear why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Sees everybody off, within `drain_timeout` or until a second signal.
pub(super) async fn drain(process: &Process) {
    let gate = &process.gate;
    gate.close();
    let limit = gate.config().process.drain_timeout;
    tracing::info!(clients = gate.counts.total(), timeout = ?limit, "draining: no new clients, transactions finish");
    let patience = async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = everybody_leaves(process, Order::CloseWhenIdle) => tracing::info!("drained"),
        () = patience => tracing::warn!(clients = gate.counts.total(), "drain_timeout is over: clients are cut off"),
        () = process.ended(Ending::Now) => tracing::warn!(clients = gate.counts.total(), "stopping at once: clients are cut off"),
    }
    // Cut off what is left, with a word of explanation.
    let _ =
        tokio::time::timeout(LAST_WORDS, everybody_leaves(process, Order::CloseForShutdown)).await;
    for pool in gate.pools.all() {
        pool.pause();
    }
}

/// Gives the order again and again: somebody may have been logging in.
async fn everybody_leaves(process: &Process, order: Order) {
    let started = Instant::now();
    while process.gate.counts.total() > 0 {
        for client in process.gate.pools.context.records.clients() {
            if client.control.order() < order {
                client.control.give(order);
            }
        }
        tokio::time::sleep(LOOK).await;
    }
    tracing::debug!(took = ?started.elapsed(), "everybody left");
}
