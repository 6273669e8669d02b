//! What has a name of its own: databases, users and peers, checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::resolved_auth::AuthLookup;
use super::resolved_pool::PoolOverrides;
use super::resolved_tls::ServerTlsSettings;
use crate::secret::Secret;
use crate::types::{LoadBalance, Name, ServerAddress};

/// Another process that shares this one's ports; cancel requests for its clients go there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Where it listens alone.
    pub address: ServerAddress,
    /// Cancel requests on their way to it at the same time; `None`: `default_pool_size`.
    pub pool_size: Option<usize>,
}

/// One `[databases.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Database {
    /// The name clients ask for; `*` for the fallback.
    pub name: Name,
    /// Where the servers are; tried in order until one accepts.
    pub addresses: Vec<ServerAddress>,
    /// The database's name on the server; `None`: as the client calls it.
    pub dbname: Option<Name>,
    /// Another name, for clients that want a server of their own out of the same pool.
    pub session_alias: Option<Name>,
    /// Server user for all clients (one shared pool); `None`: each client's own.
    pub user: Option<Name>,
    /// Password of the server user.
    pub password: Option<Secret>,
    /// How its users are looked up that no file knows; what is missing is inherited.
    pub auth_lookup: AuthLookup,
    /// Which of several addresses comes first.
    pub load_balance: LoadBalance,
    /// Sent to every new server of the database; empty: nothing.
    pub connect_query: String,
    /// How its servers are reached by TLS; `[tls.server]` unless the database has settings of its own.
    pub tls: Arc<ServerTlsSettings>,
    /// Parameters for the server connection's start-up packet.
    pub startup_parameters: BTreeMap<String, String>,
    /// Servers of this database over all users; `None`: no limit.
    pub max_db_connections: Option<usize>,
    /// Clients of this database; `None`: no limit.
    pub max_db_client_connections: Option<usize>,
    /// What this database sets for its pools.
    pub overrides: PoolOverrides,
}

/// One `[users.NAME]`.
#[derive(Clone, Debug, PartialEq)]
pub struct User {
    /// The name clients log in with.
    pub name: Name,
    /// Password (or verifier) of the client, in userlist notation; wins over `auth_file`.
    pub password: Option<Secret>,
    /// Servers of this user over all databases; `None`: no limit.
    pub max_user_connections: Option<usize>,
    /// Clients of this user; `None`: no limit.
    pub max_user_client_connections: Option<usize>,
    /// What this user sets for its pools.
    pub overrides: PoolOverrides,
}
