//! One pool: the schedule behind a lock, and the servers it schedules.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Instant;

use parking_lot::{Mutex, RwLock};
use tokio::sync::Notify;

use super::caps::{Caps, Claim, Permit};
use super::census::CloseCounts;
use super::core::{Core, Limits};
use super::departed::Departed;
use super::dial::Failure;
use super::welcome::Welcomes;
use super::{CloseReason, PoolKey, PoolsContext, Use, Waiting, standing};
use crate::auth::ServerCredential;
use crate::config::PoolSettings;
use crate::server::{Blueprint, Server, ServerId};
use crate::stats::{
    Applications, DepartureCounts, ErrorCounts, LeakCounts, PoolPins, PoolStats, ServerRecord,
};
use crate::types::{Name, PoolMode};

/// The servers of one database and user, and the clients that wait for them.
pub struct Pool {
    /// Whose servers these are.
    pub key: PoolKey,
    /// What is counted.
    pub stats: PoolStats,
    /// Errors that passed through or were raised here.
    pub errors: Arc<ErrorCounts>,
    /// Why servers were closed.
    pub closes: CloseCounts,
    /// Why clients left.
    pub departures: DepartureCounts,
    /// Clients that keep their servers.
    pub pins: Arc<PoolPins>,
    /// What audits have found.
    pub leaks: LeakCounts,
    /// The applications of its clients.
    pub applications: Applications,
    /// Clients that use this pool.
    pub clients: AtomicUsize,
    pub(super) context: Arc<PoolsContext>,
    /// The number of the recording of its requests; 0 for none.
    pub(super) recording: AtomicU32,
    departed: Arc<Departed>,
    pub(super) core: Mutex<Core<Pooled, Arc<Waiting>>>,
    pub(super) caps: Caps,
    pub(super) failure: Mutex<Option<Failure>>,
    pub(super) welcomes: Mutex<Welcomes>,
    /// Another welcome is known.
    pub(super) welcomed: Notify,
    pub(super) servers: Mutex<BTreeMap<ServerId, Arc<ServerRecord>>>,
    pub(super) settings: RwLock<Arc<PoolSettings>>,
    /// The same for clients who log in under another name than the pool's, and have timeouts of their own.
    guests: RwLock<Guests>,
    /// That of `settings`, without its lock.
    pub(super) audit_sample: AtomicUsize,
    /// `server_reset_query_always`, likewise.
    pub(super) always_resets: AtomicBool,
    /// Since when the keeper has seen no client; `None` while there are some.
    pub(super) unused_since: Mutex<Option<Instant>>,
    /// Only the fallback knows its database.
    pub(super) is_auto: AtomicBool,
    /// Counts up when `settings` change, so that clients notice cheaply.
    epoch: AtomicU32,
    /// When a long wait was logged last.
    pub(super) wait_logged: Mutex<Option<Instant>>,
    blueprint: RwLock<Arc<Blueprint>>,
    /// Counts up when servers made so far must not be used any more.
    generation: AtomicU32,
    /// Connections begun, so that each may begin with another address.
    pub(super) turns: AtomicUsize,
    this: Weak<Pool>,
}

/// Settings by the names of clients.
pub(super) type Guests = BTreeMap<Name, Arc<PoolSettings>>;

/// A server with what it owes the pool.
#[derive(Debug)]
pub(crate) struct Pooled {
    pub(crate) server: Box<Server>,
    pub(crate) permit: Permit,
    pub(crate) generation: u32,
    /// When it was lent last.
    pub(crate) since: Instant,
    /// On whose account it is in use; `None` while no client has it.
    pub(crate) used: Option<Use>,
}

impl Pool {
    pub(super) fn new(
        key: PoolKey,
        context: Arc<PoolsContext>,
        departed: Arc<Departed>,
        caps: Caps,
        settings: PoolSettings,
        blueprint: Blueprint,
    ) -> Arc<Self> {
        let mut core = Core::new(limits(&settings));
        core.set_classes(&standing::rules(&settings), &context.buckets);
        Arc::new_cyclic(|this| {
            caps.database.join(this);
            caps.user.join(this);
            context.siblings.join(this);
            Pool {
                stats: PoolStats::new(context.workers + 1, &context.buckets),
                errors: context.errors.of(&key.database),
                key,
                closes: CloseCounts::default(),
                departures: DepartureCounts::default(),
                pins: Arc::default(),
                leaks: LeakCounts::default(),
                applications: Applications::default(),
                recording: AtomicU32::new(0),
                audit_sample: AtomicUsize::new(settings.audit_sample),
                always_resets: AtomicBool::new(settings.server_reset_query_always),
                unused_since: Mutex::default(),
                is_auto: AtomicBool::new(false),
                clients: AtomicUsize::new(0),
                context,
                departed,
                core: Mutex::new(core),
                caps,
                failure: Mutex::default(),
                welcomes: Mutex::default(),
                welcomed: Notify::new(),
                servers: Mutex::default(),
                settings: RwLock::new(Arc::new(settings)),
                guests: RwLock::default(),
                epoch: AtomicU32::new(0),
                wait_logged: Mutex::default(),
                blueprint: RwLock::new(Arc::new(blueprint)),
                generation: AtomicU32::new(0),
                turns: AtomicUsize::new(0),
                this: Weak::clone(this),
            }
        })
    }

    /// The settings in force.
    pub fn settings(&self) -> Arc<PoolSettings> {
        Arc::clone(&self.settings.read())
    }

    /// The settings in force for a client of this name.
    pub fn settings_of(&self, login: &str) -> Arc<PoolSettings> {
        if login == self.key.user.as_ref() {
            return self.settings();
        }
        let own = self.guests.read().get(login).cloned();
        own.unwrap_or_else(|| self.settings())
    }

    /// Changes what clients under other names get.
    pub(super) fn set_guests(&self, guests: Guests) {
        if *self.guests.read() != guests {
            *self.guests.write() = guests;
            self.epoch.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Changes whenever [`settings`](Pool::settings) do.
    pub fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Relaxed)
    }

    /// How its servers are made.
    pub fn blueprint(&self) -> Arc<Blueprint> {
        Arc::clone(&self.blueprint.read())
    }

    pub(super) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    pub(super) fn this(&self) -> Weak<Pool> {
        Weak::clone(&self.this)
    }

    /// Applies changed settings; servers stay.
    pub fn set_settings(&self, settings: PoolSettings) {
        if *self.settings.read().as_ref() == settings {
            return;
        }
        let surplus = {
            let mut core = self.core.lock();
            core.set_limits(limits(&settings));
            core.set_classes(&standing::rules(&settings), &self.context.buckets);
            core.remove_surplus(Instant::now())
        };
        surplus.into_iter().for_each(|pooled| self.close(pooled, CloseReason::Surplus));
        self.audit_sample.store(settings.audit_sample, Ordering::Relaxed);
        self.always_resets.store(settings.server_reset_query_always, Ordering::Relaxed);
        *self.settings.write() = Arc::new(settings);
        self.epoch.fetch_add(1, Ordering::Relaxed);
        self.pump_later();
    }

    /// A client has shown what logs in to its servers.
    pub fn learn_credential(&self, credential: ServerCredential) {
        let known = self.blueprint();
        if !credential.is_verifier() && known.credential != credential {
            self.renew_credential(Blueprint { credential, ..known.as_ref().clone() });
        }
    }

    /// Logs in to the same servers with another proof from now on, and does not wait until the next try is due.
    pub fn renew_credential(&self, blueprint: Blueprint) {
        *self.blueprint.write() = Arc::new(blueprint);
        *self.failure.lock() = None;
        self.pump_later();
    }

    /// Makes servers in another way from now on; those made so far are replaced.
    pub fn set_blueprint(&self, blueprint: Blueprint) {
        *self.blueprint.write() = Arc::new(blueprint);
        self.reconnect();
    }

    /// Replaces every server: idle ones now, the others when they are given back.
    pub fn reconnect(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
        let servers: Vec<_> = self.servers.lock().values().cloned().collect();
        servers.iter().for_each(|server| self.condemn(server));
        self.welcomes.lock().forget();
        *self.failure.lock() = None;
        self.close_idle(CloseReason::Reconnect, |_| true);
        self.pump_later();
    }

    /// Stops serving; idle servers are closed, the others when they are given back.
    pub fn pause(&self) {
        self.core.lock().set_paused(true);
        self.close_idle(CloseReason::Paused, |_| true);
    }

    /// Serves again.
    pub fn resume(&self) {
        self.core.lock().set_paused(false);
        self.pump_later();
    }

    /// True while paused.
    pub fn is_paused(&self) -> bool {
        self.core.lock().is_paused()
    }

    /// Servers, those on their way and those leaving included.
    pub fn total_servers(&self) -> usize {
        self.core.lock().total()
    }

    /// What the pool can claim of a limit that it shares with others.
    pub(super) fn claim(&self, now: Instant) -> Claim {
        let core = self.core.lock();
        let waited = (core.waiting() > 0).then(|| core.oldest_wait(now));
        Claim { servers: core.staying(), waited }
    }

    pub(super) fn is_too_old(&self, server: &Server, now: Instant) -> bool {
        let lifetime = self.settings.read().server_lifetime;
        let age = now.saturating_duration_since(server.connected_at);
        // A share is never less than half; the exact one costs more to work out.
        lifetime.is_some_and(|lifetime| {
            age > lifetime / 2 && age > lifetime.mul_f64(server.lifetime_share)
        })
    }

    /// True when a server of this pool stays with its client until the client leaves.
    pub fn is_session_mode(&self) -> bool {
        self.settings.read().pool_mode == PoolMode::Session
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.departed.add(&self.key.database, &self.stats.totals());
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("key", &self.key).finish_non_exhaustive()
    }
}

fn limits(settings: &PoolSettings) -> Limits {
    Limits {
        size: settings.pool_size,
        reserve: settings.reserve_pool_size,
        reserve_after: settings.reserve_pool_timeout,
        min: settings.min_pool_size,
        oldest_first: settings.server_round_robin,
    }
}
