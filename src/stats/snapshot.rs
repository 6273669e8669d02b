//! One look at the whole process. The console's tables and the metrics are made from it, so they cannot disagree.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::{ClientRecord, HistogramTotal, ServerRecord, Totals, WaitOutcome};
use crate::types::{LoadBalance, Name, PoolMode};

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

/// One database.
#[derive(Clone, Debug, Default)]
pub struct DatabaseFacts {
    /// The name clients ask for.
    pub name: Name,
    /// Hosts of its servers; empty when it is not configured any more.
    pub host: String,
    /// Which of them a new connection goes to first.
    pub load_balance: LoadBalance,
    /// Nothing says where its servers are.
    pub is_default_host: bool,
    /// Port of the first of them.
    pub port: u16,
    /// The name on the server.
    pub dbname: Name,
    /// The one user for all clients.
    pub force_user: Option<Name>,
    /// `pool_size`.
    pub pool_size: usize,
    /// `min_pool_size`.
    pub min_pool_size: usize,
    /// `reserve_pool_size`.
    pub reserve_pool_size: usize,
    /// `server_lifetime`.
    pub server_lifetime: Option<Duration>,
    /// Its own `pool_mode`.
    pub mode: Option<PoolMode>,
    /// `max_db_connections`.
    pub max_connections: Option<usize>,
    /// Servers in use.
    pub connections: usize,
    /// `max_db_client_connections`.
    pub max_clients: Option<usize>,
    /// Clients.
    pub clients: usize,
    /// Nobody is served for now.
    pub is_paused: bool,
    /// Nobody is served because of its name, and not because everything is paused.
    pub is_paused_by_name: bool,
    /// Nobody is admitted.
    pub is_disabled: bool,
    /// Sums over all its pools, those that are gone included.
    pub totals: Totals,
    /// How long successful logins to its servers took.
    pub connect_took: HistogramTotal,
    /// Its hosts, and those it had.
    pub hosts: Vec<HostFacts>,
}

/// One host of a database's servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Its address.
    pub name: String,
    /// Logins that succeeded.
    pub connected: u64,
    /// Logins that failed.
    pub failed: u64,
    /// Whether the last login succeeded; `None` before the first.
    pub is_up: Option<bool>,
    /// What it said of itself at the last login that succeeded.
    pub role: Role,
}

/// What a server is, by its `in_hot_standby`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It takes changes.
    Primary,
    /// It follows another.
    Standby,
    /// It did not say: nobody has logged in, or it is older than PostgreSQL 14.
    #[default]
    Unknown,
}

impl Role {
    /// By the value of `in_hot_standby`.
    pub fn of(in_hot_standby: Option<&[u8]>) -> Self {
        match in_hot_standby {
            Some(b"off") => Role::Primary,
            Some(b"on") => Role::Standby,
            _ => Role::Unknown,
        }
    }

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Primary => "primary",
            Role::Standby => "standby",
            Role::Unknown => "unknown",
        }
    }
}

impl HostFacts {
    /// A host that has not been tried.
    pub fn unknown(name: String) -> Self {
        HostFacts { name, ..HostFacts::default() }
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

/// One user.
#[derive(Clone, Debug, Default)]
pub struct UserFacts {
    /// Its name.
    pub name: Name,
    /// Its own `pool_size`.
    pub pool_size: Option<usize>,
    /// Its own `reserve_pool_size`.
    pub reserve_pool_size: Option<usize>,
    /// Its own `pool_mode`.
    pub mode: Option<PoolMode>,
    /// `max_user_connections`.
    pub max_connections: Option<usize>,
    /// Servers in use.
    pub connections: usize,
    /// `max_user_client_connections`.
    pub max_clients: Option<usize>,
    /// Clients.
    pub clients: usize,
}
