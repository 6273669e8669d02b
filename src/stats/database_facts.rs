//! What a snapshot knows of a database, of its hosts and of a user.

use std::time::Duration;

use super::{HistogramTotal, Totals};
use crate::types::{LoadBalance, Name, PoolMode};

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
