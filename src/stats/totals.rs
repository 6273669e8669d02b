//! What SHOW STATS counts for a database, as plain numbers that can be added and compared.

use super::{Counter, PoolCells, PoolStats};

/// One of the sums of SHOW STATS. Times are in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// Servers given to clients.
    Assignments,
    /// Transactions.
    Transactions,
    /// Queries.
    Queries,
    /// Bytes received from clients.
    Received,
    /// Bytes sent to clients.
    Sent,
    /// Time in transactions.
    TransactionTime,
    /// Time in queries.
    QueryTime,
    /// Time spent waiting for a server.
    WaitTime,
    /// Parse messages of clients.
    ClientParses,
    /// Parse messages sent to servers.
    ServerParses,
    /// Bind messages.
    Binds,
    /// Clients that came.
    Logins,
}

impl Total {
    /// All of them, in the order of their numbers, which is that of SHOW STATS.
    pub const ALL: [Total; 12] = [
        Total::Assignments,
        Total::Transactions,
        Total::Queries,
        Total::Received,
        Total::Sent,
        Total::TransactionTime,
        Total::QueryTime,
        Total::WaitTime,
        Total::ClientParses,
        Total::ServerParses,
        Total::Binds,
        Total::Logins,
    ];

    fn of(self, cells: &PoolCells) -> u64 {
        let get = Counter::get;
        match self {
            Total::Assignments => get(&cells.assigned_at_once) + get(&cells.assigned_queued),
            Total::Transactions => get(&cells.transactions),
            Total::Queries => get(&cells.queries),
            Total::Received => get(&cells.client_received),
            Total::Sent => get(&cells.client_sent),
            Total::TransactionTime => get(&cells.transaction_micros),
            Total::QueryTime => get(&cells.query_micros),
            Total::WaitTime => get(&cells.wait_micros),
            Total::ClientParses => get(&cells.client_parses),
            Total::ServerParses => get(&cells.server_parses),
            Total::Binds => get(&cells.binds),
            Total::Logins => get(&cells.logins),
        }
    }
}

/// The sums of one pool, one database or the whole process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals([u64; Total::ALL.len()]);

impl Totals {
    /// One of the sums.
    pub fn get(&self, which: Total) -> u64 {
        self.0.get(which as usize).copied().unwrap_or_default()
    }

    /// Adds other sums.
    pub fn add(&mut self, other: &Totals) {
        self.0.iter_mut().zip(other.0).for_each(|(sum, more)| *sum += more);
    }

    /// What has come since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Totals) -> Totals {
        let mut difference = *self;
        let pairs = difference.0.iter_mut().zip(earlier.0);
        pairs.for_each(|(now, before)| *now = now.saturating_sub(before));
        difference
    }

    /// These sums with one of them changed.
    #[must_use]
    pub fn with(mut self, which: Total, value: u64) -> Totals {
        if let Some(sum) = self.0.get_mut(which as usize) {
            *sum = value;
        }
        self
    }
}

impl PoolStats {
    /// The sums over all threads.
    pub fn totals(&self) -> Totals {
        Totals(Total::ALL.map(|which| self.shares().iter().map(|share| which.of(share)).sum()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Buckets;
    use crate::types::WorkerId;

    #[test]
    fn shares_are_summed_and_differences_are_exact() {
        let stats = PoolStats::new(2, &Buckets::new(&[]));
        stats.of(WorkerId(0)).queries.add(3);
        stats.of(WorkerId(1)).queries.add(4);
        stats.of(WorkerId(1)).assigned_queued.add(1);
        let before = stats.totals();
        assert_eq!((before.get(Total::Queries), before.get(Total::Assignments)), (7, 1));
        stats.of(WorkerId(0)).queries.add(5);
        let since = stats.totals().since(&before);
        assert_eq!(since, Totals::default().with(Total::Queries, 5));
    }

    #[test]
    fn numbers_follow_the_list() {
        for (at, which) in Total::ALL.into_iter().enumerate() {
            assert_eq!(which as usize, at);
        }
    }
}
