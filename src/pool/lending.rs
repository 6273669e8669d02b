//! Servers are asked for, and come back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use parking_lot::MutexGuard;

use super::core::{Core, Offer};
use super::{
    ClassId, CloseReason, Lease, Pool, PoolError, Pooled, Standing, Ticket, TicketNumber, Use,
    Waiting,
};
use crate::server::drain_news;
use crate::stats::ServerState;
use crate::types::WorkerId;

/// What came of asking for a server.
#[derive(Debug)]
pub enum Checkout {
    /// Here it is.
    Now(Lease),
    /// Wait for it.
    Later(Ticket),
    /// There will be none.
    Never(PoolError),
}

impl Pool {
    /// Asks for a server for a client of this standing. `waiting` gives the place where it is put down if it does not come at once.
    pub fn checkout(
        self: &Arc<Self>,
        standing: Standing,
        worker: WorkerId,
        now: Instant,
        waiting: impl FnOnce() -> Arc<Waiting>,
    ) -> Checkout {
        let class = standing.class;
        loop {
            let mut core = self.core.lock();
            let Some((mut pooled, used)) = core.checkout(class, worker, now) else {
                let refusal = || standing.refusal(&core, now);
                if let Some(error) = self.refusal(&core, now).or_else(refusal) {
                    return Checkout::Never(error);
                }
                let ticket = self.queue_up(core, class, worker, now, waiting());
                self.pump();
                return Checkout::Later(ticket);
            };
            if self.needs_check(&pooled, now) {
                core.revoke(used);
                core.needs_test(now);
                let ticket = self.queue_up(core, class, worker, now, waiting());
                self.test_later(pooled);
                return Checkout::Later(ticket);
            }
            core.lent_at_once(class);
            drop(core);
            pooled.used = Some(used);
            let mut lease = Lease::new(pooled, Arc::clone(self), now);
            if !lease.stream.has_news() || drain_news(&mut lease).is_ok() {
                return Checkout::Now(lease);
            }
            lease.condemn(CloseReason::Error);
        }
    }

    fn queue_up(
        self: &Arc<Self>,
        mut core: MutexGuard<'_, Core<Pooled, Arc<Waiting>>>,
        class: ClassId,
        worker: WorkerId,
        now: Instant,
        waiting: Arc<Waiting>,
    ) -> Ticket {
        let number = core.enqueue(class, Arc::clone(&waiting), worker, now);
        Ticket { pool: Arc::clone(self), number, waiting, since: now }
    }

    /// An error for everybody while the servers cannot be reached at all.
    fn refusal(&self, core: &Core<Pooled, Arc<Waiting>>, now: Instant) -> Option<PoolError> {
        if core.staying() > 0 || core.is_paused() {
            return None;
        }
        let failure = self.failure.lock();
        let failure = failure
            .as_ref()
            .filter(|failure| failure.retry_at > now && !failure.error.is_temporary())?;
        Some(PoolError::ServersFailing(Arc::clone(&failure.error)))
    }

    fn needs_check(&self, pooled: &Pooled, now: Instant) -> bool {
        let settings = self.settings.read();
        let rest = now.saturating_duration_since(pooled.server.last_used);
        settings.server_check_delay.is_some_and(|delay| rest > delay)
            && !settings.server_check_query.is_empty()
    }

    pub(super) fn leave_queue(&self, number: TicketNumber) {
        self.core.lock().forget(number, Instant::now());
    }

    /// Takes a server back from a client.
    pub(super) fn take_back(self: &Arc<Self>, mut pooled: Pooled) {
        let server = &mut pooled.server;
        // Whoever had it may have said when its use ended.
        let ended = Some(server.last_used).filter(|ended| *ended > pooled.since);
        let now = ended.unwrap_or_else(Instant::now);
        let fresh = std::mem::take(&mut server.is_reset);
        let reset = server.needs_reset || !fresh && self.always_resets.load(Ordering::Relaxed);
        if !server.progress.is_settled() || reset || server.backend.is_being_canceled() {
            self.finish(&mut pooled, now);
            return self.clean_later(pooled);
        }
        server.last_used = now;
        if let Some(reason) = self.worn_out(&pooled, now) {
            return self.retire(pooled, reason);
        }
        if self.is_audit_due(&mut pooled.server) {
            self.finish(&mut pooled, now);
            return self.audit_later(pooled);
        }
        self.offer(pooled, now);
    }

    /// The client that had the server has let go of it.
    pub(super) fn finish(&self, pooled: &mut Pooled, now: Instant) {
        if let Some(used) = pooled.used.take() {
            let held = now.saturating_duration_since(pooled.since);
            self.core.lock().finish(used, held);
        }
    }

    /// Gives a server at rest to the next waiter, or keeps it, or closes it if there is no place for it.
    pub(super) fn offer(self: &Arc<Self>, mut pooled: Pooled, now: Instant) {
        let worker = pooled.server.home;
        let id = Arc::clone(&pooled.server.record);
        let (used, held) = (pooled.used.take(), now.saturating_duration_since(pooled.since));
        let mut core = self.core.lock();
        if let Some(used) = used {
            core.finish(used, held);
        }
        match core.give_back(pooled, worker, now) {
            Offer::Taken(waiting, mut pooled, used) => {
                pooled.used = Some(used);
                let waker = waiting.grant(Lease::new(pooled, Arc::clone(self), now));
                drop(core);
                if let Some(waker) = waker {
                    waker.wake();
                }
            }
            Offer::Kept => id.enter(ServerState::Idle, 0),
            Offer::Surplus(pooled) => {
                drop(core);
                self.close(pooled, CloseReason::Surplus);
            }
        }
    }

    /// Offers a server that was free: it may have been for long.
    pub(super) fn offer_again(self: &Arc<Self>, pooled: Pooled, now: Instant) {
        if self.needs_check(&pooled, now) {
            self.core.lock().needs_test(now);
            return self.test_later(pooled);
        }
        self.offer(pooled, now);
    }

    fn worn_out(&self, pooled: &Pooled, now: Instant) -> Option<CloseReason> {
        if pooled.generation != self.generation() {
            return Some(CloseReason::Reconnect);
        }
        if pooled.server.record.close_needed.load(Ordering::Relaxed) {
            return Some(CloseReason::Moved);
        }
        if self.is_too_old(&pooled.server, now) {
            return Some(CloseReason::Lifetime);
        }
        self.caps.want_back(self, now).then_some(CloseReason::Evicted)
    }

    /// Closes a server that was in use.
    pub(super) fn retire(self: &Arc<Self>, mut pooled: Pooled, reason: CloseReason) {
        let now = Instant::now();
        self.finish(&mut pooled, now);
        self.core.lock().retire(now);
        self.close(pooled, reason);
    }

    /// A server in use was lost without a word.
    pub(super) fn forget_server(&self, used: Option<Use>, since: Instant) {
        let now = Instant::now();
        {
            let mut core = self.core.lock();
            core.lost(now);
            let held = now.saturating_duration_since(since);
            used.into_iter().for_each(|used| core.finish(used, held));
        }
        self.pump_later();
    }

    /// Everybody in the queue gets this error.
    pub fn dismiss_waiters(&self, error: &PoolError) {
        let dismissed = self.core.lock().dismiss_all(Instant::now());
        dismissed.iter().for_each(|waiting| waiting.fail(error.clone()));
    }
}
