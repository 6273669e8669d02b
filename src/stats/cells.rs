//! What is counted for each pool.

use std::time::{Duration, Instant};

use super::{Buckets, Counter, Histogram, HistogramTotal};
use crate::types::WorkerId;

/// How a wait for a server ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitOutcome {
    /// A server came.
    Assigned,
    /// `query_wait_timeout` or `queue_deadline` came first, or the server could not be reached.
    Timeout,
    /// The client cancelled its request.
    Cancelled,
    /// The client went away.
    Gone,
    /// It was refused at once: it would have waited too long, or too many waited already.
    Shed,
}

impl WaitOutcome {
    /// All outcomes, in the order of their numbers.
    pub const ALL: [WaitOutcome; 5] = [
        WaitOutcome::Assigned,
        WaitOutcome::Timeout,
        WaitOutcome::Cancelled,
        WaitOutcome::Gone,
        WaitOutcome::Shed,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            WaitOutcome::Assigned => "assigned",
            WaitOutcome::Timeout => "timeout",
            WaitOutcome::Cancelled => "cancelled",
            WaitOutcome::Gone => "gone",
            WaitOutcome::Shed => "shed",
        }
    }
}

/// One thread's counts of one pool.
#[derive(Debug)]
#[allow(missing_docs, reason = "the names say it; times are in microseconds")]
pub struct PoolCells {
    pub transactions: Counter,
    /// Of these, blocks that were undone.
    pub rolled_back: Counter,
    /// Of these, single statements that failed.
    pub failed: Counter,
    pub queries: Counter,
    /// Bytes received from clients.
    pub client_received: Counter,
    /// Bytes passed on to clients.
    pub client_sent: Counter,
    /// Bytes received from servers that clients hold.
    pub server_received: Counter,
    /// Bytes sent to them.
    pub server_sent: Counter,
    pub transaction_micros: Counter,
    pub query_micros: Counter,
    pub wait_micros: Counter,
    pub assigned_at_once: Counter,
    pub assigned_queued: Counter,
    pub client_parses: Counter,
    pub server_parses: Counter,
    pub binds: Counter,
    pub evictions: Counter,
    pub replays: Counter,
    pub logins: Counter,
    pub idle_in_transaction_micros: Counter,
    pub waits: [Histogram; WaitOutcome::ALL.len()],
    pub hold: Histogram,
    pub query: Histogram,
}

impl PoolCells {
    fn new(buckets: &Buckets) -> Self {
        let counter = Counter::default;
        PoolCells {
            transactions: counter(),
            rolled_back: counter(),
            failed: counter(),
            queries: counter(),
            client_received: counter(),
            client_sent: counter(),
            server_received: counter(),
            server_sent: counter(),
            transaction_micros: counter(),
            query_micros: counter(),
            wait_micros: counter(),
            assigned_at_once: counter(),
            assigned_queued: counter(),
            client_parses: counter(),
            server_parses: counter(),
            binds: counter(),
            evictions: counter(),
            replays: counter(),
            logins: counter(),
            idle_in_transaction_micros: counter(),
            waits: WaitOutcome::ALL.map(|_| Histogram::new(buckets)),
            hold: Histogram::new(buckets),
            query: Histogram::new(buckets),
        }
    }

    /// A transaction, if there was one, ended with its client, which may have been silent in it.
    pub fn cut_short(&self, transaction: Option<Instant>, silence: Option<Instant>) {
        let Some(since) = transaction else { return };
        let micros =
            |since: Instant| u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.transaction_micros.add(micros(since));
        if let Some(since) = silence {
            self.idle_in_transaction_micros.add(micros(since));
        }
    }

    /// A wait has ended. Every assignment counts, zero waits included, so that a percentile is one of transactions.
    pub fn waited(&self, outcome: WaitOutcome, wait: Duration, queued: bool) {
        if let Some(histogram) = self.waits.get(outcome as usize) {
            histogram.observe(wait);
        }
        self.wait_micros.add(u64::try_from(wait.as_micros()).unwrap_or(u64::MAX));
        if outcome == WaitOutcome::Assigned {
            if queued { self.assigned_queued.add(1) } else { self.assigned_at_once.add(1) }
        }
    }
}

/// A pool's counts, one share per thread.
#[derive(Debug)]
pub struct PoolStats {
    shares: Box<[PoolCells]>,
}

impl PoolStats {
    /// Shares for `workers` threads.
    pub fn new(workers: usize, buckets: &Buckets) -> Self {
        PoolStats { shares: (0..workers.max(1)).map(|_| PoolCells::new(buckets)).collect() }
    }

    /// The share of a thread.
    ///
    /// # Panics
    /// Never for a worker that exists.
    pub fn of(&self, worker: WorkerId) -> &PoolCells {
        let last = self.shares.len() - 1;
        &self.shares[usize::from(worker.0).min(last)]
    }

    pub(super) fn shares(&self) -> &[PoolCells] {
        &self.shares
    }

    /// The sum over all threads of one counter.
    pub fn sum(&self, counter: impl Fn(&PoolCells) -> &Counter) -> u64 {
        self.shares.iter().map(|share| counter(share).get()).sum()
    }

    /// The sum over all threads of one histogram.
    pub fn total(&self, histogram: impl Fn(&PoolCells) -> &Histogram) -> HistogramTotal {
        let mut total = HistogramTotal::default();
        self.shares.iter().for_each(|share| histogram(share).add_to(&mut total));
        total
    }

    /// The sum over all threads of the waits that ended in one way.
    pub fn waits(&self, outcome: WaitOutcome) -> HistogramTotal {
        let mut total = HistogramTotal::default();
        let shares = self.shares.iter().filter_map(|share| share.waits.get(outcome as usize));
        shares.for_each(|histogram| histogram.add_to(&mut total));
        total
    }
}
