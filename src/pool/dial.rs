//! Making servers: as many at once as are wanted, with a pause after a failure.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::caps::Permit;
use super::{CloseReason, Lease, Pool, PoolError, Pooled};
use crate::server::{self, ConnectError, Server};
use crate::stats::Role;

/// A pause grows up to this many times `server_login_retry`.
const LONGEST_PAUSE: u32 = 16;

/// The last login failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// Why.
    pub(super) error: Arc<ConnectError>,
    /// Not before this moment is another login tried.
    pub(super) retry_at: Instant,
    pause: Duration,
    since: Instant,
}

impl Failure {
    /// A login that `began` then has failed. Those under way together fail together: the pause grows once for all.
    fn after(
        last: Option<&Failure>,
        error: Arc<ConnectError>,
        began: Instant,
        retry: Duration,
    ) -> Self {
        let now = Instant::now();
        match last {
            Some(last) if began < last.since => Failure { error, ..*last },
            Some(last) => {
                let pause = (last.pause * 2).clamp(retry, retry * LONGEST_PAUSE);
                Failure { error, retry_at: now + pause, pause, since: now }
            }
            None => Failure { error, retry_at: now + retry, pause: retry, since: now },
        }
    }
}

impl Pool {
    /// Starts as many logins as the waiters need and the limits allow, behind those who may have a free server.
    pub fn pump(self: &Arc<Self>) {
        let now = Instant::now();
        let recalled = self.core.lock().recall_idle(now);
        recalled.into_iter().for_each(|pooled| self.offer_again(pooled, now));
        if self.failure.lock().as_ref().is_some_and(|failure| failure.retry_at > now) {
            return;
        }
        let (dials, beyond) = {
            let mut core = self.core.lock();
            let dials = core.start_dials(now);
            (dials, core.beyond_size().min(dials))
        };
        for number in 0..dials {
            let slot = Slot::new(self);
            // Without a permit the slot is dropped, and the pool is pumped again when there is room.
            if let Some(permit) = self.caps.acquire(self) {
                if number >= dials - beyond {
                    tracing::warn!(pool = %self.key, "taking connection from reserve_pool");
                }
                self.context.control.spawn(slot.dial(permit));
            }
        }
    }

    /// The same from a place where locks may be held.
    pub fn pump_later(&self) {
        let this = self.this();
        self.context.control.spawn(async move {
            if let Some(pool) = this.upgrade() {
                pool.pump();
            }
        });
    }

    /// Notes the failure and sends the waiters away unless some server may still come.
    fn dial_failed(&self, error: ConnectError, began: Instant) {
        let retry = self.settings().server_login_retry;
        let error = Arc::new(error);
        {
            let mut failure = self.failure.lock();
            let next = Failure::after(failure.as_ref(), Arc::clone(&error), began, retry);
            *failure = Some(next);
        }
        self.note_failed_login(&error);
        let hopeless = self.core.lock().staying() == 0;
        if hopeless && !error.is_temporary() {
            self.dismiss_waiters(&PoolError::ServerDown(error));
        }
    }
}

impl Pool {
    /// Says in the log that a login has failed. Whoever waits for it is told, and counted, where it waits.
    pub(super) fn note_failed_login(&self, error: &ConnectError) {
        let (severity, reason) = (&error.fields.severity, &error.fields.message);
        let (server, stage) = (error.id, error.stage.as_str());
        let address = error.address.as_ref().map(tracing::field::display);
        tracing::warn!(pool = %self.key, server, address, stage, %severity, %reason, error = %error.fields, "server login failed");
        if error.by_server {
            tracing::debug!(target: super::SERVERS, pool = %self.key, server, address, age_seconds = 0, reason = "login", "server closed");
        }
    }
}

/// A place in the pool for a server that is being made. Dropping it gives the place back.
pub(super) struct Slot {
    pool: Arc<Pool>,
    armed: bool,
}

impl Slot {
    /// For a server that the schedule counts as on its way.
    pub(super) fn new(pool: &Arc<Pool>) -> Self {
        Slot { pool: Arc::clone(pool), armed: true }
    }

    async fn dial(self, permit: Permit) {
        let pool = Arc::clone(&self.pool);
        let (blueprint, generation) = (pool.blueprint(), pool.generation());
        let limit = pool.settings().server_connect_timeout;
        let id = pool.context.records.ids.next();
        let started = Instant::now();
        let turn = pool.turns.fetch_add(1, Ordering::Relaxed);
        match server::connect(&blueprint, limit, &pool.context.means(), id, turn).await {
            Ok(mut server) => {
                pool.greet(&blueprint.connect_query, &mut server).await;
                let (database, address) = (&pool.key.database, &server.record.address);
                let role = Role::of(server.reported.get("in_hot_standby"));
                pool.context.connects.succeeded(database, address, started.elapsed(), role);
                self.arrived(Pooled { server, permit, generation, since: started, used: None });
            }
            Err(error) => {
                pool.context.connects.failed(&pool.key.database, error.address.as_ref());
                drop(self);
                drop(permit);
                pool.dial_failed(error, started);
            }
        }
    }

    fn arrived(self, pooled: Pooled) {
        *self.pool.failure.lock() = None;
        self.pool.welcomes.lock().set_base(&pooled.server.reported);
        self.pool.welcomed.notify_waiters();
        drop(self.seat(pooled));
    }

    /// Gives the place to the server that was made for it.
    pub(super) fn seat(mut self, pooled: Pooled) -> Lease {
        self.armed = false;
        let pool = Arc::clone(&self.pool);
        let record = Arc::clone(&pooled.server.record);
        let local = record.local.map_or_else(|| "unix".to_owned(), |local| local.to_string());
        tracing::debug!(target: super::SERVERS, pool = %pool.key, server = record.id, pid = record.pid, address = %record.address, %local, "server connected");
        {
            // Under the lock, so that RECONNECT either finds the server here or has counted up before.
            let mut servers = pool.servers.lock();
            let outdated = pooled.generation != pool.generation();
            record.close_needed.store(outdated, std::sync::atomic::Ordering::Relaxed);
            servers.insert(record.id, record);
        }
        let now = Instant::now();
        pool.core.lock().arrived(now);
        Lease::new(pooled, pool, now)
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if self.armed {
            self.pool.core.lock().dial_failed(Instant::now());
        }
    }
}

impl Pool {
    /// Sends `connect_query`, if there is one. A server that refuses it serves nevertheless.
    pub(super) async fn greet(&self, connect_query: &str, server: &mut Server) {
        if connect_query.is_empty() {
            return;
        }
        let limit = self.settings().server_connect_timeout.unwrap_or(TEST_LIMIT);
        let greeted = tokio::time::timeout(limit, server::run_sql(server, connect_query)).await;
        let error = match greeted {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(_) => format!("no answer within {limit:?}"),
        };
        tracing::warn!(pool = %self.key, server = server.record.id, address = %server.record.address, %error, "connect_query failed");
    }

    /// Asks a server that was idle for long whether it still lives, then offers it.
    pub(super) fn test_later(self: &Arc<Self>, pooled: Pooled) {
        let pool = Arc::clone(self);
        self.context.control.spawn(async move {
            let now = Instant::now();
            pool.core.lock().arrived(now);
            let mut lease = Lease::new(pooled, Arc::clone(&pool), now);
            lease.condemn(CloseReason::Error);
            lease.record.enter(crate::stats::ServerState::Tested, 0);
            let limit = pool.settings().server_connect_timeout.unwrap_or(TEST_LIMIT);
            let query = check_query(&pool.settings().server_check_query);
            let test = server::run_sql(&mut lease, &query);
            if let Ok(Ok(())) = tokio::time::timeout(limit, test).await {
                lease.pardon();
            }
        });
    }
}

/// What an idle server is asked.
fn check_query(setting: &str) -> String {
    if setting == "<empty>" { String::new() } else { setting.to_owned() }
}

/// A test that takes longer means that the server is gone.
const TEST_LIMIT: Duration = Duration::from_secs(5);
