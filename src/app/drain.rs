//! Stopping: transactions finish, idle clients are told goodbye, nobody new comes in.

use std::time::{Duration, Instant};

use super::process::{Ending, Process};
use crate::config::Compat;
use crate::control::Order;
use crate::pool::PoolError;

/// How often clients are looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long clients that are cut off may take to hear why.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Waits until the last client has left, or until there is no time for that. Nobody new comes in.
pub(super) async fn await_clients(process: &Process) {
    process.gate.close();
    let everybody = async {
        while process.gate.counts.total() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = everybody => process.end(Ending::Drain),
        () = process.ended(Ending::Drain) => {}
    }
}

/// Sees everybody off, within `drain_timeout` or until a second signal.
pub(super) async fn drain(process: &Process) {
    let gate = &process.gate;
    if *process.ending.borrow() == Ending::Silent {
        return;
    }
    if gate.config().process.compat == Compat::PgBouncer {
        let pools = gate.pools.all();
        pools.iter().for_each(|pool| pool.dismiss_waiters(&PoolError::ShuttingDown));
    }
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
    if *process.ending.borrow() == Ending::Silent {
        return;
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
