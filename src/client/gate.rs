//! What every login needs to know and to count.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};

use super::login_counts::LoginCounts;
use super::throttle::Throttle;
use super::turn::Turns;
use super::{ClientCounts, Crew, Desks, Identities};
use crate::cancel::{CancelKeys, Peers};
use crate::config::Config;
use crate::pool::Pools;
use crate::session::statement::Statements;
use crate::stats::Buckets;
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
    /// Where cancel requests for others go.
    pub peers: Peers,
    /// Prepared statements in use.
    pub statements: Arc<Statements>,
    /// Logins by result.
    pub logins: LoginCounts,
    /// Addresses whose logins keep failing.
    pub(super) throttle: Throttle,
    /// How many logins are worked on at a time.
    pub(super) turns: Turns,
    /// Where logins are worked on that keep a processor busy.
    pub(super) desks: Desks,
    /// Where clients come in and are served.
    pub crew: Arc<Crew>,
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
    /// Where clients come in and are served.
    pub crew: Arc<Crew>,
    /// Where their logins are worked on if that keeps a processor busy.
    pub desks: Desks,
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
            peers: Peers::default(),
            statements: Statements::new(memory),
            logins: LoginCounts::new(&parts.buckets),
            throttle: Throttle::default(),
            turns: Turns::new(parts.config.process.max_concurrent_logins),
            desks: parts.desks,
            crew: parts.crew,
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
        self.turns.set_limit(config.process.max_concurrent_logins);
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
}
