//! What one pool has, holds and has done.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Row;
use crate::stats::{PoolFacts, Total, WaitOutcome};

/// One pool: a row of SHOW LOAD. Counters only grow; times end in their unit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Load {
    /// The database as clients call it.
    pub database: String,
    /// The user on the server.
    pub user: String,
    /// When a server goes back to the pool.
    pub mode: String,
    /// `pool_size`.
    pub size: u64,
    /// `reserve_pool_size`.
    pub reserve: u64,
    /// 1 while nobody is served.
    pub paused: u64,
    /// Clients that ask nothing.
    pub cl_idle: u64,
    /// Clients with a server.
    pub cl_active: u64,
    /// Clients in the queue.
    pub waiting: u64,
    /// Servers that are free.
    pub sv_idle: u64,
    /// Servers that work for a client.
    pub sv_active: u64,
    /// Servers whose client is in a transaction and asks nothing.
    pub sv_idle_in_transaction: u64,
    /// Servers that clients keep between transactions.
    pub sv_pinned: u64,
    /// Servers that are being connected, checked, cleaned or cancelled.
    pub sv_other: u64,
    /// How long the first of the queue has waited.
    pub oldest_wait_seconds: f64,
    /// Transactions.
    pub transactions: u64,
    /// Queries.
    pub queries: u64,
    /// Servers given to clients.
    pub assignments: u64,
    /// Waits that ended without a server.
    pub given_up: u64,
    /// Bytes from clients.
    pub received: u64,
    /// Bytes to clients.
    pub sent: u64,
    /// Time spent in the queue by those who left it, over all of them.
    pub wait_us: u64,
    /// Integral of the servers in use.
    pub busy_us: u64,
    /// Time with every server in use.
    pub saturated_us: u64,
    /// Time servers waited for their clients inside transactions.
    pub idle_in_transaction_us: u64,
    /// Integral of the queue's length.
    pub queue_us: u64,
    /// Upper bounds of the queue-time histogram.
    pub wait_bounds_us: Vec<u64>,
    /// Ended waits by bucket, those of 0 included; the last one has no bound.
    pub wait_counts: Vec<u64>,
}

impl Load {
    /// The load of a pool; `bounds` are those of the snapshot.
    pub fn of(pool: &PoolFacts, bounds: &[u64]) -> Self {
        let servers = pool.in_state;
        let (mut counts, mut wait_us) = (vec![0; bounds.len() + 1], 0);
        for wait in &pool.waits {
            wait_us += wait.sum_micros;
            for (sum, count) in counts.iter_mut().zip(&wait.counts) {
                *sum += count;
            }
        }
        let ended = WaitOutcome::ALL.iter().zip(&pool.waits);
        let given_up = ended.filter(|(outcome, _)| **outcome != WaitOutcome::Assigned);
        Load {
            database: pool.database.to_string(),
            user: pool.user.to_string(),
            mode: pool.mode.as_str().to_owned(),
            size: pool.size as u64,
            reserve: pool.reserve as u64,
            paused: u64::from(pool.is_paused),
            cl_idle: pool.clients.idle as u64,
            cl_active: pool.clients.active as u64,
            waiting: pool.queue as u64,
            sv_idle: (servers.idle + servers.used) as u64,
            sv_active: servers.active.saturating_sub(pool.pinned) as u64,
            sv_idle_in_transaction: servers.idle_in_transaction as u64,
            sv_pinned: pool.pinned as u64,
            sv_other: (servers.tested + servers.being_canceled + servers.login) as u64,
            oldest_wait_seconds: pool.oldest_wait.as_secs_f64(),
            transactions: pool.totals.get(Total::Transactions),
            queries: pool.totals.get(Total::Queries),
            assignments: pool.totals.get(Total::Assignments),
            given_up: given_up.map(|(_, waits)| waits.count()).sum(),
            received: pool.totals.get(Total::Received),
            sent: pool.totals.get(Total::Sent),
            wait_us,
            busy_us: pool.busy_micros,
            saturated_us: pool.saturated_micros,
            idle_in_transaction_us: pool.idle_in_transaction_micros,
            queue_us: pool.queue_micros,
            wait_bounds_us: bounds.to_vec(),
            wait_counts: counts,
        }
    }

    /// Reads a row of SHOW LOAD.
    ///
    /// # Errors
    /// A column is missing, or holds something else.
    pub fn from_row(row: Row) -> Result<Self, String> {
        serde_json::from_value(Value::Object(row)).map_err(|error| format!("SHOW LOAD: {error}"))
    }

    /// Servers in somebody's hands, or on their way there.
    pub fn used(&self) -> u64 {
        self.sv_active + self.sv_idle_in_transaction + self.sv_pinned + self.sv_other
    }

    /// The load of the same pool at another look. A pool that was not there had done nothing.
    pub fn among(&self, loads: &[Load]) -> Load {
        let is_same =
            |other: &&Load| (&other.database, &other.user) == (&self.database, &self.user);
        let nothing = || Load { wait_bounds_us: self.wait_bounds_us.clone(), ..Load::default() };
        loads.iter().find(is_same).cloned().unwrap_or_else(nothing)
    }
}
