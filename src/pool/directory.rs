//! All pools, by database and user.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dashmap::DashMap;
use parking_lot::{Mutex, RwLock};
use tokio::runtime::Handle;

use super::departed::Departed;
use super::make_way::Siblings;
use super::pauses::Pauses;
use super::pool::Guests;
use super::{AuthQueries, CapTable, Caps, CloseReason, Connects, Exchanges, Pool};
use crate::auth::ServerCredential;
use crate::config::{Config, Database};
use crate::net::Dialler;
use crate::server::{Blueprint, Means};
use crate::session::params::ParamSets;
use crate::stats::{Buckets, ErrorBook, Records, Totals};
use crate::tls::Keyring;
use crate::types::{Name, Timeout};

/// Whose servers a pool holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PoolKey {
    /// The database as clients call it.
    pub database: Name,
    /// The user on the server.
    pub user: Name,
}

impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.database, self.user)
    }
}

/// What all pools share.
#[derive(Debug)]
pub struct PoolsContext {
    /// Where dials, tests and clean-ups run.
    pub control: Handle,
    /// Where sets of parameters are interned.
    pub param_sets: Arc<ParamSets>,
    /// Every pool, so that one can ask the others for something.
    pub siblings: Siblings,
    /// Where notifications are handed on, by database.
    pub exchanges: Exchanges,
    /// What TLS is begun with.
    pub keyring: Arc<Keyring>,
    /// How servers are reached.
    pub dialler: Arc<Dialler>,
    /// Who is there.
    pub records: Arc<Records>,
    /// Bounds of the time histograms.
    pub buckets: Buckets,
    /// How many threads relay traffic.
    pub workers: usize,
    /// Logins to servers.
    pub connects: Connects,
    /// Errors, by database.
    pub errors: ErrorBook,
    /// `cancel_wait_timeout`.
    pub cancel_wait_timeout: RwLock<Option<Duration>>,
    /// How long pools stay that nobody uses.
    pub patience: RwLock<Patience>,
}

/// How long pools stay that nobody uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Patience {
    /// `pool_idle_timeout`.
    pub any: Timeout,
    /// `autodb_idle_timeout`: those of databases that only the fallback knows.
    pub auto: Timeout,
}

impl PoolsContext {
    /// What logins to servers share.
    pub(super) fn means(&self) -> Means {
        Means {
            param_sets: Arc::clone(&self.param_sets),
            keyring: Arc::clone(&self.keyring),
            dialler: Arc::clone(&self.dialler),
        }
    }

    /// How long a cancel request may take.
    pub fn cancel_wait(&self) -> Duration {
        self.cancel_wait_timeout.read().unwrap_or(Duration::from_secs(10))
    }
}

/// All pools, and how new ones are made.
#[derive(Debug)]
pub struct Pools {
    pools: DashMap<PoolKey, Arc<Pool>, ahash::RandomState>,
    /// What they share.
    pub context: Arc<PoolsContext>,
    /// Users that no file knows.
    pub auth_queries: AuthQueries,
    database_caps: CapTable,
    user_caps: CapTable,
    departed: Arc<Departed>,
    pub(super) pauses: Mutex<Pauses>,
    /// Pools made so far.
    made: AtomicU64,
}

impl Pools {
    /// No pools yet.
    pub fn new(context: PoolsContext) -> Arc<Self> {
        let context = Arc::new(context);
        Arc::new(Pools {
            pools: DashMap::default(),
            auth_queries: AuthQueries::new(&context),
            context,
            database_caps: CapTable::default(),
            user_caps: CapTable::default(),
            departed: Arc::default(),
            pauses: Mutex::default(),
            made: AtomicU64::new(0),
        })
    }

    /// The pool that serves `user` in `database`, made if it is the first to come. `credential` is what proves the
    /// user to the server where the database has no user of its own.
    pub fn get(
        &self,
        config: &Config,
        database: &Arc<Database>,
        name: &Name,
        user: &Name,
        credential: impl FnOnce() -> ServerCredential,
    ) -> Arc<Pool> {
        let key = PoolKey {
            database: Name::clone(name),
            user: Name::clone(database.user.as_ref().unwrap_or(user)),
        };
        if let Some(pool) = self.pools.get(&key) {
            return Arc::clone(&pool);
        }
        let is_auto = !config.databases.contains_key(name);
        if is_auto && self.of_database(name).is_empty() {
            tracing::info!(database = ?name, "registered new auto-database");
        }
        let entry = self.pools.entry(key.clone());
        let pool = Arc::clone(&entry.or_insert_with(|| {
            self.made.fetch_add(1, Ordering::Relaxed);
            let settings = config.pool_settings(database, &key.user);
            let blueprint = blueprint(database, &key, credential());
            Pool::new(
                key.clone(),
                Arc::clone(&self.context),
                Arc::clone(&self.departed),
                self.caps(config, database, &key),
                settings,
                blueprint,
            )
        }));
        pool.is_auto.store(is_auto, Ordering::Relaxed);
        pool.set_guests(guests(config, database, &pool.key));
        self.join_pause(&pool);
        pool
    }

    fn caps(&self, config: &Config, database: &Database, key: &PoolKey) -> Caps {
        let of_user = config.max_user_connections(&key.user);
        Caps {
            database: self.database_caps.get(&key.database, database.max_db_connections),
            user: self.user_caps.get(&key.user, of_user),
        }
    }

    /// All pools, in the order of their keys.
    pub fn all(&self) -> Vec<Arc<Pool>> {
        let mut all: Vec<_> = self.pools.iter().map(|entry| Arc::clone(entry.value())).collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }

    /// The pools of one database.
    pub fn of_database(&self, name: &str) -> Vec<Arc<Pool>> {
        self.all().into_iter().filter(|pool| pool.key.database.as_ref() == name).collect()
    }

    /// Servers in use by one database.
    pub fn database_servers(&self, name: &str) -> usize {
        self.database_caps.used(name)
    }

    /// Servers in use by one user.
    pub fn user_servers(&self, name: &str) -> usize {
        self.user_caps.used(name)
    }

    /// Applies a new configuration to the pools that exist. `credential` finds a user's proof for the server.
    pub fn reconfigure(&self, config: &Config, credential: impl Fn(&PoolKey) -> ServerCredential) {
        self.auth_queries.forget();
        for pool in self.all() {
            let Some(database) = config.database(&pool.key.database) else { continue };
            let is_auto = !config.databases.contains_key(&pool.key.database);
            pool.is_auto.store(is_auto, Ordering::Relaxed);
            self.caps(config, database, &pool.key).shed();
            pool.set_settings(config.pool_settings(database, &pool.key.user));
            pool.set_guests(guests(config, database, &pool.key));
            let wanted = blueprint(database, &pool.key, credential(&pool.key));
            if same_servers(&pool.blueprint(), &wanted) {
                pool.renew_credential(wanted);
            } else {
                pool.set_blueprint(wanted);
            }
        }
    }

    /// Takes a pool out of the directory.
    pub fn remove(&self, key: &PoolKey) {
        if let Some((_, pool)) = self.pools.remove(key) {
            self.departed.watch(&pool);
        }
    }

    /// The sums of SHOW STATS by database, pools that are gone included.
    pub fn totals(&self) -> std::collections::BTreeMap<Name, Totals> {
        let all = self.all();
        let mut totals = self.departed.totals();
        for pool in all {
            totals.entry(Name::clone(&pool.key.database)).or_default().add(&pool.stats.totals());
        }
        totals
    }

    /// Empties pools that nobody has used for long, and drops them when they are empty.
    pub(super) fn forget_idle(&self) {
        let (patience, now) = (*self.context.patience.read(), Instant::now());
        let is_over = |pool: &Pool| {
            let auto = patience.auto.filter(|_| pool.is_auto.load(Ordering::Relaxed));
            let limit = patience.any.into_iter().chain(auto).min();
            let unused = pool.unused_for(now);
            limit.zip(unused).is_some_and(|(limit, unused)| unused > limit)
        };
        for pool in self.all() {
            if pool.settings().min_pool_size > 0 || !is_over(&pool) {
                continue;
            }
            pool.close_idle(CloseReason::Idle, |_| true);
            let key = pool.key.clone();
            drop(pool);
            let gone = self.pools.remove_if(&key, |_, pool| {
                Arc::strong_count(pool) == 1 && pool.total_servers() == 0
            });
            if let Some((key, pool)) = gone {
                self.departed.watch(&pool);
                tracing::info!(pool = %key, "cleaning up idle pool");
            }
        }
    }

    /// Drops pools that have neither clients nor servers nor a line in the configuration worth keeping.
    pub(super) fn forget_unused(&self) {
        if self.pools.len() <= MANY_POOLS {
            return;
        }
        self.pools.retain(|_, pool| Arc::strong_count(pool) > 1 || pool.total_servers() > 0);
    }
}

/// Unused pools are kept for their statistics up to this many.
const MANY_POOLS: usize = 1_000;

fn blueprint(database: &Database, key: &PoolKey, credential: ServerCredential) -> Blueprint {
    Blueprint {
        addresses: database.addresses.clone(),
        load_balance: database.load_balance,
        connect_query: database.connect_query.clone(),
        database: Name::clone(database.dbname.as_ref().unwrap_or(&key.database)),
        user: Name::clone(&key.user),
        credential,
        startup_parameters: database.startup_parameters.clone(),
        tls: Arc::clone(&database.tls),
    }
}

/// Where a database has a user of its own, its clients may still have timeouts of theirs.
fn guests(config: &Config, database: &Database, key: &PoolKey) -> Guests {
    if database.user.is_none() {
        return Guests::new();
    }
    let own = config.pool_settings(database, &key.user);
    let settings = |login: &Name| config.client_settings(database, &key.user, login);
    let all = config.users.keys().map(|login| (Name::clone(login), settings(login)));
    let differ = all.filter(|(_, settings)| *settings != own);
    differ.map(|(login, settings)| (login, Arc::new(settings))).collect()
}

/// Whether servers made by one blueprint can serve for the other. A changed password alone concerns only new
/// logins.
fn same_servers(one: &Blueprint, other: &Blueprint) -> bool {
    one.addresses == other.addresses
        && one.database == other.database
        && one.user == other.user
        && one.startup_parameters == other.startup_parameters
        && one.load_balance == other.load_balance
        && one.connect_query == other.connect_query
        && one.tls == other.tls
}
