//! A pool in numbers, for the console and the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::core::Census;
use super::{Facts, Holder, Holding, Pool};
use crate::stats::{ClassFacts, ServerRecord, ServerState};

/// So many holders are named in an error.
const LONGEST: usize = 3;

/// Why a server was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// `server_lifetime`.
    Lifetime,
    /// `server_idle_timeout`.
    Idle,
    /// The connection failed, or the server ended it.
    Error,
    /// RECONNECT, or the configuration changed.
    Reconnect,
    /// There was no place for it.
    Surplus,
    /// Another pool needed its place.
    Evicted,
    /// It did not come to rest after its client left.
    Unclean,
    /// Its conversation could not be accounted for. Must not happen with clients and servers that keep the protocol.
    OutOfSync,
    /// PAUSE, KILL or shutdown.
    Paused,
    /// Its replication client left.
    Replication,
    /// The name it was reached by stands for other addresses now.
    Moved,
}

impl CloseReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [CloseReason; 11] = [
        CloseReason::Lifetime,
        CloseReason::Idle,
        CloseReason::Error,
        CloseReason::Reconnect,
        CloseReason::Surplus,
        CloseReason::Evicted,
        CloseReason::Unclean,
        CloseReason::OutOfSync,
        CloseReason::Paused,
        CloseReason::Replication,
        CloseReason::Moved,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            CloseReason::Lifetime => "lifetime",
            CloseReason::Idle => "idle",
            CloseReason::Error => "error",
            CloseReason::Reconnect => "reload",
            CloseReason::Surplus => "surplus",
            CloseReason::Evicted => "evicted",
            CloseReason::Unclean => "unclean",
            CloseReason::OutOfSync => "out_of_sync",
            CloseReason::Paused => "admin",
            CloseReason::Replication => "replication",
            CloseReason::Moved => "moved",
        }
    }
}

/// Closed servers by reason.
#[derive(Debug, Default)]
pub struct CloseCounts([AtomicU64; CloseReason::ALL.len()]);

impl CloseCounts {
    pub(super) fn count(&self, reason: CloseReason) {
        if let Some(count) = self.0.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many were closed for this reason.
    pub fn get(&self, reason: CloseReason) -> u64 {
        self.0.get(reason as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

/// A pool at one moment.
#[derive(Clone, Debug, Default)]
pub struct PoolCensus {
    /// The schedule's numbers.
    pub core: Census,
    /// Its servers, by number.
    pub servers: Vec<Arc<ServerRecord>>,
    /// Its classes; empty where there is but one.
    pub classes: Vec<ClassFacts>,
}

impl PoolCensus {
    /// Servers in this state.
    pub fn servers_in(&self, state: ServerState) -> usize {
        self.servers.iter().filter(|server| server.state() == state).count()
    }

    /// Cancel requests on their way to its servers.
    pub fn cancels(&self) -> usize {
        self.servers.iter().map(|server| server.cancels.load(Ordering::Relaxed)).sum()
    }

    /// Servers being connected: on their way, and not yet counted among [`servers`](PoolCensus::servers).
    pub fn logging_in(&self) -> usize {
        let known = self.servers.len();
        (self.core.idle + self.core.busy + self.core.incoming).saturating_sub(known)
    }
}

impl Pool {
    /// The pool now.
    pub fn census(&self) -> PoolCensus {
        let servers = self.servers.lock().values().map(Arc::clone).collect();
        let (mut core, now) = (self.core.lock(), Instant::now());
        PoolCensus { core: core.census(now), classes: core.classes(now), servers }
    }

    /// What a client that waited in vain should know.
    pub fn facts(&self, waited: Duration) -> Facts {
        let (census, holders) = (self.census(), self.holders());
        let count = |is: fn(&Holding) -> bool| holders.iter().filter(|h| is(&h.holding)).count();
        Facts {
            pool: self.key.to_string(),
            waited,
            size: self.settings().pool_size,
            busy: census.core.busy,
            idle_in_transaction: count(|holding| *holding == Holding::IdleInTransaction),
            pinned: count(|holding| matches!(holding, Holding::Pinned(_))),
            connecting: census.core.incoming,
            waiting: census.core.waiting,
            longest: holders.iter().filter_map(Holder::outline).take(LONGEST).collect(),
            paused: census.core.paused,
        }
    }
}
