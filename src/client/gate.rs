//! What every login needs to know and to count.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use super::{Admitted, ClientCounts, Identities, WorkerHandle};
use crate::cancel::CancelKeys;
use crate::config::Config;
use crate::pool::Pools;
use crate::session::statement::Statements;
use crate::stats::{Buckets, Histogram, HistogramTotal};
use crate::types::Name;

/// The door: shared by all logins, and by those who look at them.
#[derive(Debug)]
pub struct Gate {
    /// All pools.
    pub pools: Arc<Pools>,
    /// How many clients there are.
    pub counts: Arc<ClientCounts>,
    /// Cancel keys in use.
    pub cancel_keys: Arc<CancelKeys>,
    /// Prepared statements in use.
    pub statements: Arc<Statements>,
    /// Logins by result.
    pub logins: LoginCounts,
    workers: Vec<WorkerHandle>,
    current: RwLock<Current>,
    closed: AtomicBool,
    disabled: Mutex<BTreeSet<Name>>,
}

#[derive(Clone, Debug)]
struct Current {
    config: Arc<Config>,
    identities: Arc<Identities>,
}

/// What a gate is made of.
#[derive(Debug)]
pub struct GateParts {
    /// All pools.
    pub pools: Arc<Pools>,
    /// Where admitted clients go.
    pub workers: Vec<WorkerHandle>,
    /// The configuration in force.
    pub config: Arc<Config>,
    /// The users.
    pub identities: Arc<Identities>,
    /// Bounds of the login histogram.
    pub buckets: Buckets,
}

impl Gate {
    /// An open gate.
    pub fn new(parts: GateParts) -> Arc<Self> {
        let memory = parts.config.process.prepared_statements_memory;
        Arc::new(Gate {
            pools: parts.pools,
            counts: Arc::default(),
            cancel_keys: Arc::default(),
            statements: Statements::new(memory),
            logins: LoginCounts::new(&parts.buckets),
            workers: parts.workers,
            current: RwLock::new(Current { config: parts.config, identities: parts.identities }),
            closed: AtomicBool::new(false),
            disabled: Mutex::default(),
        })
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.current.read().config)
    }

    /// The users in force.
    pub fn identities(&self) -> Arc<Identities> {
        Arc::clone(&self.current.read().identities)
    }

    /// Puts a new configuration in force for the logins from now on.
    pub fn reconfigure(&self, config: Arc<Config>, identities: Arc<Identities>) {
        self.statements.set_limit(config.process.prepared_statements_memory);
        *self.current.write() = Current { config, identities };
    }

    /// Admits nobody any more.
    pub fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }

    /// True when nobody is admitted any more.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Admits nobody to a database, or admits them again.
    pub fn set_disabled(&self, database: &Name, disabled: bool) {
        let mut all = self.disabled.lock();
        if disabled {
            all.insert(Name::clone(database));
        } else {
            all.remove(database);
        }
    }

    /// True when nobody is admitted to a database.
    pub fn is_disabled(&self, database: &str) -> bool {
        self.disabled.lock().contains(database)
    }

    /// Hands an admitted client to the worker with the fewest.
    pub fn hand_over(&self, client: Box<Admitted>) {
        if let Some(calmest) = self.workers.iter().min_by_key(|worker| worker.clients()) {
            calmest.hand_over(client);
        }
    }
}

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginResult {
    /// The client is in.
    Ok,
    /// It could not prove who it is.
    AuthFailed,
    /// A limit on clients.
    Limit,
    /// `client_login_timeout`.
    Timeout,
    /// It came without TLS where there is no session without.
    TlsRequired,
    /// No such database, or it is disabled.
    NoDatabase,
    /// The server could not be reached, or refused.
    Server,
    /// It broke the protocol, or went away.
    Protocol,
}

impl LoginResult {
    /// All results, in the order of their numbers.
    pub const ALL: [LoginResult; 8] = [
        LoginResult::Ok,
        LoginResult::AuthFailed,
        LoginResult::Limit,
        LoginResult::Timeout,
        LoginResult::TlsRequired,
        LoginResult::NoDatabase,
        LoginResult::Server,
        LoginResult::Protocol,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            LoginResult::Ok => "ok",
            LoginResult::AuthFailed => "auth_failed",
            LoginResult::Limit => "limit",
            LoginResult::Timeout => "timeout",
            LoginResult::TlsRequired => "tls_required",
            LoginResult::NoDatabase => "no_database",
            LoginResult::Server => "server",
            LoginResult::Protocol => "protocol",
        }
    }
}

/// Logins by result, and how long they took.
#[derive(Debug)]
pub struct LoginCounts {
    results: [AtomicU64; LoginResult::ALL.len()],
    took: Mutex<Histogram>,
}

impl LoginCounts {
    fn new(buckets: &Buckets) -> Self {
        LoginCounts { results: Default::default(), took: Mutex::new(Histogram::new(buckets)) }
    }

    /// A login ended.
    pub(super) fn count(&self, result: LoginResult, took: std::time::Duration) {
        if let Some(count) = self.results.get(result as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if result == LoginResult::Ok {
            self.took.lock().observe(took);
        }
    }

    /// How many logins ended this way.
    pub fn get(&self, result: LoginResult) -> u64 {
        self.results.get(result as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// How long successful logins took.
    pub fn took(&self) -> HistogramTotal {
        let mut total = HistogramTotal::default();
        self.took.lock().add_to(&mut total);
        total
    }
}
