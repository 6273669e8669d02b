//! The keeper: looks after idle servers and waiting clients, away from the hot path.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::{CloseReason, Pool, Pools};
use crate::server::{Server, drain_news};
use crate::stats::{ServerRecord, ServerState};
use crate::types::ServerAddress;

/// How often it makes its round.
const ROUND: Duration = Duration::from_millis(100);

/// In each so many rounds it looks whether names have to be looked up again.
const LOOK_AT_NAMES: u64 = 10;

/// Makes rounds for ever.
pub async fn keep(pools: Arc<Pools>) {
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut moves = 0;
    for number in 0_u64.. {
        round.tick().await;
        if number.is_multiple_of(LOOK_AT_NAMES) {
            renew_names(&pools);
            check_zones(&pools);
        }
        let now = pools.context.dialler.names.moves();
        if std::mem::replace(&mut moves, now) != now {
            pools.all().iter().for_each(|pool| pool.leave_old_addresses());
        }
        if pools.context.records.is_suspended() {
            continue;
        }
        for pool in pools.all() {
            pool.look_after();
        }
        pools.forget_idle();
        pools.forget_unused();
        pools.auth_queries.tidy();
    }
}

/// Asks again for names of servers whose time is over: a name that moves takes its servers along, whether or not a new
/// one is wanted.
fn renew_names(pools: &Pools) {
    let servers = pools.all().into_iter().flat_map(|pool| pool.census().servers);
    let names: BTreeSet<String> = servers
        .filter_map(|server| match &server.address {
            ServerAddress::Tcp { host, .. } if host.parse::<IpAddr>().is_err() => {
                Some(host.to_string())
            }
            _ => None,
        })
        .collect();
    for name in pools.context.dialler.names.take_due(names.iter().map(String::as_str)) {
        let dialler = Arc::clone(&pools.context.dialler);
        pools.context.control.spawn(async move { dialler.names.renew(&name).await });
    }
}

/// A zone that has changed brings the time of its names forward.
fn check_zones(pools: &Pools) {
    if pools.context.dialler.names.zones_are_due() {
        let dialler = Arc::clone(&pools.context.dialler);
        pools.context.control.spawn(async move { dialler.names.check_zones().await });
    }
}

impl Pool {
    /// Hears what idle servers have to say, closes those that are past their time, and dials for those who wait.
    pub(super) fn look_after(self: &Arc<Self>) {
        self.hear_idle();
        let now = Instant::now();
        let settings = self.settings();
        let (idle_timeout, minimum) = (settings.server_idle_timeout, settings.min_pool_size);
        self.close_idle(CloseReason::Lifetime, |server| self.is_too_old(server, now));
        let mut spare = self.core.lock().staying().saturating_sub(minimum);
        self.close_idle(CloseReason::Idle, |server| {
            let over = idle_timeout.is_some_and(|limit| idle_for(server, now) > limit) && spare > 0;
            spare -= usize::from(over);
            over
        });
        self.note_unchecked(now);
        self.pump();
    }

    /// Notes which idle servers have become such that they are to be checked first. Under the lock: whoever takes one
    /// enters what it is then.
    fn note_unchecked(&self, now: Instant) {
        let Some(delay) = self.settings().server_check_delay else { return };
        let core = self.core.lock();
        let unchecked = core.idle_servers().filter(|pooled| idle_for(&pooled.server, now) > delay);
        for record in unchecked.map(|pooled| &pooled.server.record) {
            if record.state() == ServerState::Idle {
                record.enter(ServerState::Used, 0);
            }
        }
    }

    /// Servers at addresses that their names do not stand for any more are replaced.
    fn leave_old_addresses(&self) {
        let names = &self.context.dialler.names;
        let has_left = |server: &ServerRecord| match (&server.address, server.peer) {
            (ServerAddress::Tcp { host, .. }, Some(peer)) => {
                names.has_left(host, peer.ip().to_canonical())
            }
            _ => false,
        };
        let servers: Vec<_> = self.servers.lock().values().cloned().collect();
        servers.iter().filter(|server| has_left(server)).for_each(|server| self.condemn(server));
        self.close_idle(CloseReason::Moved, |server| {
            server.record.close_needed.load(Ordering::Relaxed)
        });
    }

    /// The server has to go when its client lets go of it. The client may have to be told.
    pub(super) fn condemn(&self, server: &ServerRecord) {
        server.close_needed.store(true, Ordering::Relaxed);
        if let Some(client) = self.context.records.client(server.link()) {
            client.control.wake();
        }
    }

    /// How long nobody has used the pool.
    pub(super) fn unused_for(&self, now: Instant) -> Option<Duration> {
        let mut since = self.unused_since.lock();
        let is_used = self.clients.load(Ordering::Relaxed) > 0 || self.core.lock().waiting() > 0;
        if is_used {
            *since = None;
            return None;
        }
        Some(now.saturating_duration_since(*since.get_or_insert(now)))
    }

    /// An idle server with news is taken out, heard, and put back unless it said goodbye.
    fn hear_idle(self: &Arc<Self>) {
        let now = Instant::now();
        let talking = {
            let mut core = self.core.lock();
            let talking = core.remove_idle(now, |pooled| pooled.server.stream.has_news());
            talking.iter().for_each(|_| core.begin_test());
            talking
        };
        for mut pooled in talking {
            self.core.lock().arrived(now);
            match drain_news(&mut pooled.server) {
                Ok(()) => self.offer(pooled, now),
                Err(error) => {
                    let id = pooled.server.record.id;
                    tracing::info!(pool = %self.key, server = id, %error, "idle server lost");
                    self.retire(pooled, CloseReason::Error);
                }
            }
        }
    }
}

fn idle_for(server: &Server, now: Instant) -> Duration {
    now.saturating_duration_since(server.last_used)
}
