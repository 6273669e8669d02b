//! Clients that left, by reason.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a client left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// It said goodbye.
    Terminated,
    /// It closed the connection without a word.
    Closed,
    /// Its connection failed.
    Failed,
    /// pgusher sent it away with an error.
    Told,
    /// Its server sent it away with an error.
    ByServer,
}

impl Departure {
    /// All of them, in the order of their numbers.
    pub const ALL: [Departure; 5] = [
        Departure::Terminated,
        Departure::Closed,
        Departure::Failed,
        Departure::Told,
        Departure::ByServer,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Departure::Terminated => "terminated",
            Departure::Closed => "closed",
            Departure::Failed => "failed",
            Departure::Told => "told",
            Departure::ByServer => "server",
        }
    }
}

/// Clients that left a pool.
#[derive(Debug, Default)]
pub struct DepartureCounts([AtomicU64; Departure::ALL.len()]);

impl DepartureCounts {
    /// One more.
    pub fn count(&self, why: Departure) {
        if let Some(count) = self.0.get(why as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many left, by reason.
    pub fn all(&self) -> [(&'static str, u64); Departure::ALL.len()] {
        let count = |why: Departure| self.0.get(why as usize).map(|n| n.load(Ordering::Relaxed));
        Departure::ALL.map(|why| (why.as_str(), count(why).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_counts_for_itself() {
        let counts = DepartureCounts::default();
        counts.count(Departure::ByServer);
        counts.count(Departure::Closed);
        counts.count(Departure::Closed);
        let expected =
            [("terminated", 0), ("closed", 2), ("failed", 0), ("told", 0), ("server", 1)];
        assert_eq!(counts.all(), expected);
    }
}
