//! One look at the whole process. The console's tables and the metrics are made from it, so they cannot disagree.

use std::sync::Arc;
use std::time::SystemTime;

use super::{ClientRecord, DatabaseFacts, HistogramTotal, PoolFacts, ServerRecord, UserFacts};
use crate::types::Name;

/// Everything at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The process.
    pub process: ProcessFacts,
    /// Bounds of the time histograms, in microseconds.
    pub bounds: Vec<u64>,
    /// Other processes that cancel requests are handed on to.
    pub peers: PeersByState,
    /// Names of servers that were looked up.
    pub names: usize,
    /// Zones that they are in.
    pub zones: usize,
    /// Names that are being looked up.
    pub names_asked: usize,
    /// Pools, by database and user.
    pub pools: Vec<PoolFacts>,
    /// Databases, by name: those of the configuration, and those that clients asked for.
    pub databases: Vec<DatabaseFacts>,
    /// Users, by name: those of the configuration, and those that have pools.
    pub users: Vec<UserFacts>,
    /// Clients, by number.
    pub clients: Vec<Arc<ClientRecord>>,
    /// Requests to cancel a client's query, by number.
    pub cancels: Vec<Arc<ClientRecord>>,
    /// Where notifications are handed on, by database.
    pub exchanges: Vec<ExchangeFacts>,
    /// Connections over which users are looked up.
    pub auth_servers: Vec<AuthServerFacts>,
    /// What was sent to a collector; `None`: there is none.
    pub exports: Option<ExportFacts>,
    /// Errors, by database; those of logins to none have the empty name.
    pub errors: Vec<ErrorFacts>,
}

/// What was sent to a collector.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportFacts {
    /// Exports: signal, result, count.
    pub exports: [(&'static str, &'static str, u64); 4],
    /// Spans that did not reach it.
    pub spans_dropped: u64,
}

/// Peers by how they took the last cancel request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PeersByState {
    /// It was handed on, or they are this process.
    pub up: usize,
    /// They could not be reached.
    pub down: usize,
    /// There was none yet.
    pub unknown: usize,
}

impl PeersByState {
    /// All peers.
    pub fn total(self) -> usize {
        self.up + self.down + self.unknown
    }
}

/// The errors of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorFacts {
    /// The database as clients call it.
    pub database: Name,
    /// What clients were told: origin, SQLSTATE, count.
    pub told: Vec<(&'static str, String, u64)>,
    /// What was healed instead: SQLSTATE, count.
    pub healed: Vec<(String, u64)>,
}

/// A connection over which users are looked up (`auth_query`); it belongs to no pool.
#[derive(Clone, Debug)]
pub struct AuthServerFacts {
    /// The database on the server.
    pub database: Name,
    /// Who asks.
    pub user: Name,
    /// The connection.
    pub server: Arc<ServerRecord>,
}

/// The exchange of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExchangeFacts {
    /// The database as clients call it.
    pub database: Name,
    /// Channels that somebody listens to.
    pub channels: usize,
    /// Connections made so far.
    pub connects: u64,
    /// Notifications received so far.
    pub notifications: u64,
}

impl Snapshot {
    /// PgBouncer's lists. Those of spare memory and of zones have nothing in them here.
    pub fn lists(&self) -> [(&'static str, usize); 14] {
        let pools = || self.pools.iter();
        [
            ("databases", self.databases.len()),
            ("users", self.users.len()),
            ("peers", self.peers.total()),
            ("pools", self.pools.len()),
            ("peer_pools", self.peers.total()),
            ("free_clients", 0),
            // Those who are logging in are among them.
            ("used_clients", self.process.clients),
            ("login_clients", self.logging_in()),
            ("free_servers", 0),
            ("used_servers", pools().map(|pool| pool.in_state.total()).sum()),
            ("dns_names", self.names),
            ("dns_zones", self.zones),
            ("dns_queries", self.names_asked),
            ("dns_pending", 0),
        ]
    }

    /// Clients that are logging in: counted at the door, and not on record yet.
    pub fn logging_in(&self) -> usize {
        self.process.clients.saturating_sub(self.clients.len())
    }
}

/// The process as a whole.
#[derive(Clone, Debug, Default)]
pub struct ProcessFacts {
    /// Clients, those logging in included.
    pub clients: usize,
    /// `max_client_conn`.
    pub max_clients: usize,
    /// `max_user_connections` of users who have none of their own.
    pub max_user_connections: Option<usize>,
    /// True while it stops gracefully.
    pub is_draining: bool,
    /// True when everything is paused.
    pub is_paused: bool,
    /// True when everything stands still.
    pub is_suspended: bool,
    /// Logins, counted.
    pub logins: Vec<LoginCount>,
    /// How long successful logins took.
    pub login_took: HistogramTotal,
    /// Cancel requests by what became of them.
    pub cancels: Vec<(&'static str, u64)>,
    /// The last reload, or the start.
    pub reload: ReloadFacts,
    /// When certificates of our own expire, by the side they are shown to.
    pub certificates: Vec<(&'static str, SystemTime)>,
}

/// Logins of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoginCount {
    /// How they ended.
    pub result: &'static str,
    /// How clients proved who they were.
    pub method: &'static str,
    /// The database, if it is one of the configuration's; else empty: strangers choose names.
    pub database: Name,
    /// How many.
    pub count: u64,
}

/// The last time the configuration was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReloadFacts {
    /// False when the file was refused and the running configuration is not the file's.
    pub is_current: bool,
    /// When a configuration was last put in force.
    pub succeeded_at: Option<SystemTime>,
}
