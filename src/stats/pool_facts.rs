//! What a snapshot knows of a pool.

use std::sync::Arc;
use std::time::Duration;

use super::{HistogramTotal, ServerRecord, Total, Totals, WaitOutcome};
use crate::types::{Name, PoolMode};

/// One pool.
#[derive(Clone, Debug, Default)]
pub struct PoolFacts {
    /// The database as clients call it.
    pub database: Name,
    /// The user on the server.
    pub user: Name,
    /// When a server goes back to the pool.
    pub mode: PoolMode,
    /// `pool_size`.
    pub size: usize,
    /// `reserve_pool_size`.
    pub reserve: usize,
    /// `min_pool_size`.
    pub least: usize,
    /// The size that is advised, if one is.
    pub advised: Option<usize>,
    /// Nobody is served for now.
    pub is_paused: bool,
    /// Clients by state.
    pub clients: ClientsByState,
    /// Servers by state.
    pub in_state: ServersByState,
    /// The servers, by number.
    pub servers: Vec<Arc<ServerRecord>>,
    /// Cancel requests on their way to them, each over a connection of its own.
    pub cancels: usize,
    /// Places taken in the queue.
    pub queue: usize,
    /// How long the first of the queue has waited.
    pub oldest_wait: Duration,
    /// Integral of the queue's length, in microseconds.
    pub queue_micros: u64,
    /// Integral of the servers in use, in microseconds.
    pub busy_micros: u64,
    /// Time with every server in use, in microseconds.
    pub saturated_micros: u64,
    /// Time servers waited for their clients inside transactions, in microseconds.
    pub idle_in_transaction_micros: u64,
    /// The sums of SHOW STATS.
    pub totals: Totals,
    /// Assignments that did not have to wait.
    pub assigned_at_once: u64,
    /// Assignments that came after a wait.
    pub assigned_queued: u64,
    /// Transactions that were undone at the end of their blocks.
    pub rolled_back: u64,
    /// Transactions of a single statement that failed.
    pub failed: u64,
    /// Bytes received from servers that clients held.
    pub server_received: u64,
    /// Bytes sent to them.
    pub server_sent: u64,
    /// Prepared statements that were closed on a server to make room.
    pub evictions: u64,
    /// Checkouts that had to restore parameters.
    pub replays: u64,
    /// Ended waits, in the order of [`WaitOutcome::ALL`].
    pub waits: [HistogramTotal; WaitOutcome::ALL.len()],
    /// How long clients held their servers.
    pub hold: HistogramTotal,
    /// How long queries took.
    pub query: HistogramTotal,
    /// Clients that kept their servers, by cause.
    pub pins: Vec<PinsByCause>,
    /// Audits.
    pub audits: u64,
    /// What they found, by kind.
    pub leaks: Vec<(&'static str, u64)>,
    /// Closed servers by reason.
    pub closes: Vec<(&'static str, u64)>,
    /// Clients that left, by reason.
    pub departures: Vec<(&'static str, u64)>,
    /// Active clients that keep their servers, but for those that are idle in transactions.
    pub pinned: usize,
    /// Its classes; empty where there is but one.
    pub classes: Vec<ClassFacts>,
}

/// Clients that kept their servers for one cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PinsByCause {
    /// Why.
    pub cause: &'static str,
    /// How often it began.
    pub begun: u64,
    /// How long it lasted in all, in microseconds.
    pub micros: u64,
    /// How often it was let through with a warning instead.
    pub warned: u64,
}

/// Clients of a pool by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientsByState {
    /// Connected, and asking nothing.
    pub idle: usize,
    /// With a server.
    pub active: usize,
    /// Waiting for a server.
    pub waiting: usize,
}

/// Servers of a pool by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServersByState {
    /// Free.
    pub idle: usize,
    /// Free for so long that they are to be checked before they are used.
    pub used: usize,
    /// Working for a client.
    pub active: usize,
    /// With a client that is in a transaction and asks nothing.
    pub idle_in_transaction: usize,
    /// Being checked or cleaned.
    pub tested: usize,
    /// Waiting for a cancel request to be over.
    pub being_canceled: usize,
    /// Being connected.
    pub login: usize,
    /// Told goodbye, and not gone yet; in none of PgBouncer's counts.
    pub closing: usize,
}

impl ServersByState {
    /// All servers but those that are closing.
    pub fn total(&self) -> usize {
        let ServersByState {
            idle,
            used,
            active,
            idle_in_transaction,
            tested,
            being_canceled,
            login,
            closing: _,
        } = self;
        idle + used + active + idle_in_transaction + tested + being_canceled + login
    }
}

impl PoolFacts {
    /// Ended waits of one outcome.
    pub fn waits_of(&self, outcome: WaitOutcome) -> &HistogramTotal {
        // One for each outcome.
        &self.waits[outcome as usize]
    }

    /// Transactions by result.
    pub fn transactions(&self) -> [(&'static str, u64); 3] {
        let all = self.totals.get(Total::Transactions);
        [
            // The three are not read at one moment.
            ("commit", all.saturating_sub(self.rolled_back + self.failed)),
            ("rollback", self.rolled_back),
            ("error", self.failed),
        ]
    }
}

/// What a class of clients has and wants in one pool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClassFacts {
    /// What it is called.
    pub name: Name,
    /// Clients of it that wait.
    pub waiting: usize,
    /// How long the first of them has waited.
    pub oldest_wait: Duration,
    /// Servers in its clients' hands.
    pub servers: usize,
    /// Servers given to its clients.
    pub assigned: u64,
    /// How long those waited who were given one, 0 for those who did not wait.
    pub waits: HistogramTotal,
}
