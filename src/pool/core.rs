//! The schedule of one pool: who gets which server next. Pure; time comes in as an argument.
//!
//! Every server is counted in exactly one of `idle`, `busy`, `incoming` (being dialled or tested) or `leaving` (told
//! goodbye, but still one of PostgreSQL's connections), so the limit is one addition away. Idle servers are a stack, the
//! warmest on top; those who wait stand in the queues of their classes.

use std::time::{Duration, Instant};

use super::class::{ClassRules, OVERTAKE_PLACES};
use super::queues::{ClassId, PlaceFacts, Queues, TicketNumber, Use};
use crate::stats::{Buckets, ClassFacts};
use crate::types::{Name, WorkerId};

/// How many servers a pool may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// `pool_size`.
    pub size: usize,
    /// `reserve_pool_size`.
    pub reserve: usize,
    /// The reserve opens when somebody has waited this long.
    pub reserve_after: Option<Duration>,
    /// `min_pool_size`.
    pub min: usize,
    /// `server_round_robin`: the coldest server is used next.
    pub oldest_first: bool,
}

/// What became of a server that was offered.
#[derive(Debug, PartialEq, Eq)]
pub enum Offer<S, W> {
    /// It goes to this waiter, on the account of its class.
    Taken(W, S, Use),
    /// It is idle now.
    Kept,
    /// There is no place for it: close it. It counts until it has [gone](Core::gone).
    Surplus(S),
}

/// A server nobody uses.
#[derive(Debug)]
struct Idle<S> {
    server: S,
    home: WorkerId,
}

/// Servers `S` and those who wait for them, `W`.
#[derive(Debug)]
pub struct Core<S, W> {
    limits: Limits,
    idle: Vec<Idle<S>>,
    busy: usize,
    incoming: usize,
    leaving: usize,
    queues: Queues<W>,
    paused: bool,
    integrals: Integrals,
}

/// Exact sums over time, in microseconds times the number of things.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Integrals {
    /// Waiters.
    pub queue: u64,
    /// Servers in use.
    pub busy: u64,
    /// Whether every server the pool may have was in use.
    pub saturated: u64,
    since: Option<Instant>,
}

/// Numbers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Free servers.
    pub idle: usize,
    /// Servers in use.
    pub busy: usize,
    /// Servers being dialled or tested.
    pub incoming: usize,
    /// Servers told goodbye that have not gone yet.
    pub leaving: usize,
    /// Waiters.
    pub waiting: usize,
    /// How long the first of them has waited.
    pub oldest_wait: Duration,
    /// Nobody is served for now.
    pub paused: bool,
    /// Sums over time.
    pub integrals: Integrals,
}

impl<S, W> Core<S, W> {
    /// An empty pool.
    pub fn new(limits: Limits) -> Self {
        Core {
            limits,
            idle: Vec::new(),
            busy: 0,
            incoming: 0,
            leaving: 0,
            queues: Queues::new(),
            paused: false,
            integrals: Integrals::default(),
        }
    }

    /// All servers, those on their way and those leaving included.
    pub fn total(&self) -> usize {
        self.staying() + self.leaving
    }

    /// The servers that will be there when those that are leaving have gone.
    pub fn staying(&self) -> usize {
        self.idle.len() + self.busy + self.incoming
    }

    /// How many servers there are beyond the pool's size.
    pub fn beyond_size(&self) -> usize {
        self.total().saturating_sub(self.limits.size)
    }

    /// How many are waiting.
    pub fn waiting(&self) -> usize {
        self.queues.waiting()
    }

    /// True while nobody is served.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Changes the limits. Servers beyond them go when they are given back.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Changes what classes are entitled to. Their waits are counted in these buckets.
    pub fn set_classes(&mut self, rules: &[ClassRules], buckets: &Buckets) {
        self.queues.set_rules(rules, buckets);
    }

    /// The class of this name; that of everybody if there is none.
    pub fn class(&self, name: &str) -> ClassId {
        self.queues.id(name)
    }

    /// What a class is called.
    pub fn class_name(&self, id: ClassId) -> Name {
        self.queues.name(id)
    }

    /// Stops serving, or serves again.
    pub fn set_paused(&mut self, paused: bool) {
        self.paused = paused;
    }

    /// A free server for a client of this class on `worker`, unless somebody was there before.
    pub fn checkout(&mut self, class: ClassId, worker: WorkerId, now: Instant) -> Option<(S, Use)> {
        if self.paused || !self.queues.may_pass(class) {
            return None;
        }
        let server = self.take_idle(worker, now)?;
        Some((server, self.queues.serve(class)))
    }

    /// A free server for `worker`; warm ones first, and of those its own.
    fn take_idle(&mut self, worker: WorkerId, now: Instant) -> Option<S> {
        let warm = self.idle.len().saturating_sub(OVERTAKE_PLACES);
        let own = (warm..self.idle.len()).rev().find(|&at| self.idle[at].home == worker);
        let at = own.or(self.idle.len().checked_sub(1))?;
        let at = if self.limits.oldest_first { 0 } else { at };
        self.account(now);
        let taken = self.idle.remove(at);
        self.busy += 1;
        Some(taken.server)
    }

    /// Takes out free servers for those in the queue who may have one: there are none but where a class was at its
    /// limit. They are `busy` from here on: give them back to offer them.
    pub fn recall_idle(&mut self, now: Instant) -> Vec<S> {
        let wanted = self.queues.eligible().saturating_sub(self.incoming).min(self.idle.len());
        if self.paused || wanted == 0 {
            return Vec::new();
        }
        self.account(now);
        self.busy += wanted;
        let warm = self.idle.len() - wanted;
        self.idle.drain(warm..).map(|idle| idle.server).collect()
    }

    /// Takes a place in the queue.
    pub fn enqueue(
        &mut self,
        class: ClassId,
        waiter: W,
        worker: WorkerId,
        now: Instant,
    ) -> TicketNumber {
        self.account(now);
        self.queues.enqueue(class, waiter, worker, now)
    }

    /// How many of a class wait, and how long one who came now is likely to; `None` if there is nothing to tell it by.
    pub fn outlook(&self, class: ClassId, now: Instant) -> (usize, Option<Duration>) {
        self.queues.outlook(class, now)
    }

    /// Everybody who waits.
    pub fn places(&self, now: Instant) -> Vec<PlaceFacts<W>>
    where
        W: Clone,
    {
        self.queues.places(now)
    }

    /// Gives a place up. `None`: its turn had already come.
    pub fn forget(&mut self, ticket: TicketNumber, now: Instant) -> Option<W> {
        self.account(now);
        self.queues.forget(ticket)
    }

    /// Everybody in the queue is sent away.
    pub fn dismiss_all(&mut self, now: Instant) -> Vec<W> {
        self.account(now);
        self.queues.dismiss_all()
    }

    /// A client lets go of its server, which stays busy until it is given back, retired or lost.
    pub fn finish(&mut self, used: Use, held: Duration) {
        self.queues.finish(used, held);
    }

    /// A server that [`checkout`](Core::checkout) gave is lent.
    pub fn lent_at_once(&mut self, class: ClassId) {
        self.queues.lent_at_once(class);
    }

    /// A server that [`checkout`](Core::checkout) gave is not lent after all; it stays busy.
    pub fn revoke(&mut self, used: Use) {
        self.queues.revoke(used);
    }

    /// A server in use is given back by `worker`.
    pub fn give_back(&mut self, server: S, worker: WorkerId, now: Instant) -> Offer<S, W> {
        self.account(now);
        if self.staying() <= self.allowed(now)
            && !self.paused
            && let Some((waiter, used)) = self.queues.next(worker, now)
        {
            return Offer::Taken(waiter, server, used);
        }
        self.busy -= 1;
        // Without this one the others already fill the pool, or nobody is to be served: it has to go.
        if self.staying() >= self.limits.size || self.paused {
            self.leaving += 1;
            return Offer::Surplus(server);
        }
        self.idle.push(Idle { server, home: worker });
        Offer::Kept
    }

    /// A server that was dialled or tested has arrived. It is `busy` from here on: give it back to offer it.
    pub fn arrived(&mut self, now: Instant) {
        self.account(now);
        self.incoming -= 1;
        self.busy += 1;
    }

    /// Enters a server that nobody in the queue asked for as on its way, if there is a place for one more.
    pub fn claim_place(&mut self, now: Instant) -> bool {
        let has_place = !self.paused && self.total() < self.limits.size;
        self.account(now);
        self.incoming += usize::from(has_place);
        has_place
    }

    /// A server that was being dialled will not come.
    pub fn dial_failed(&mut self, now: Instant) {
        self.account(now);
        self.incoming -= 1;
    }

    /// A server taken by [`checkout`](Core::checkout) has to be tested first.
    pub fn needs_test(&mut self, now: Instant) {
        self.account(now);
        self.busy -= 1;
        self.incoming += 1;
    }

    /// A server that [`remove_idle`](Core::remove_idle) took out is looked at, and may come back.
    pub fn begin_test(&mut self) {
        self.leaving -= 1;
        self.incoming += 1;
    }

    /// A server in use is going to be closed.
    pub fn retire(&mut self, now: Instant) {
        self.account(now);
        self.busy -= 1;
        self.leaving += 1;
    }

    /// A server that was leaving is gone.
    pub fn gone(&mut self) {
        self.leaving -= 1;
    }

    /// A server in use is gone.
    pub fn lost(&mut self, now: Instant) {
        self.account(now);
        self.busy -= 1;
    }

    /// Enters the dials that are wanted now as on their way; returns how many.
    pub fn start_dials(&mut self, now: Instant) -> usize {
        let wanted = self.dials_wanted(now);
        self.account(now);
        self.incoming += wanted;
        wanted
    }

    /// As many as there are waiters without a server on its way, and as fit; and up to the minimum.
    fn dials_wanted(&self, now: Instant) -> usize {
        if self.paused {
            return 0;
        }
        let for_waiters = self.queues.eligible().saturating_sub(self.incoming);
        let for_minimum = self.limits.min.saturating_sub(self.staying());
        let room = self.allowed(now).saturating_sub(self.total());
        let room_for_minimum = self.limits.size.saturating_sub(self.total());
        for_waiters.min(room).max(for_minimum.min(room_for_minimum))
    }

    fn allowed(&self, now: Instant) -> usize {
        let patience = self.limits.reserve_after.unwrap_or(Duration::MAX);
        let reserve =
            if self.queues.eligible_wait(now) > patience { self.limits.reserve } else { 0 };
        self.limits.size + reserve
    }

    /// Takes out idle servers for which `unfit` says so, the coldest first. They count as leaving.
    pub fn remove_idle(&mut self, now: Instant, mut unfit: impl FnMut(&S) -> bool) -> Vec<S> {
        self.account(now);
        let mut removed = Vec::new();
        let mut at = 0;
        while at < self.idle.len() {
            if unfit(&self.idle[at].server) {
                removed.push(self.idle.remove(at).server);
            } else {
                at += 1;
            }
        }
        self.leaving += removed.len();
        removed
    }

    /// The idle servers, the coldest first.
    pub fn idle_servers(&self) -> impl Iterator<Item = &S> {
        self.idle.iter().map(|idle| &idle.server)
    }

    /// Takes out idle servers beyond the pool's size, the coldest first.
    pub fn remove_surplus(&mut self, now: Instant) -> Vec<S> {
        self.account(now);
        let surplus = self.staying().saturating_sub(self.limits.size).min(self.idle.len());
        self.leaving += surplus;
        self.idle.drain(..surplus).map(|idle| idle.server).collect()
    }

    /// Takes out the coldest idle server.
    pub fn evict_idle(&mut self) -> Option<S> {
        let coldest = (!self.idle.is_empty()).then(|| self.idle.remove(0).server);
        self.leaving += usize::from(coldest.is_some());
        coldest
    }

    /// How long the first in the queue has waited.
    pub fn oldest_wait(&self, now: Instant) -> Duration {
        self.queues.oldest_wait(now)
    }

    /// The numbers now.
    pub fn census(&mut self, now: Instant) -> Census {
        self.account(now);
        Census {
            idle: self.idle.len(),
            busy: self.busy,
            incoming: self.incoming,
            leaving: self.leaving,
            waiting: self.queues.waiting(),
            oldest_wait: self.oldest_wait(now),
            paused: self.paused,
            integrals: self.integrals,
        }
    }

    /// What each class has and wants; nothing where there is but one.
    pub fn classes(&self, now: Instant) -> Vec<ClassFacts> {
        self.queues.classes(now)
    }

    fn account(&mut self, now: Instant) {
        let since = self.integrals.since.replace(now).unwrap_or(now);
        let micros = u64::try_from(now.saturating_duration_since(since).as_micros()).unwrap_or(0);
        self.integrals.queue += micros * self.queues.waiting() as u64;
        self.integrals.busy += micros * self.busy as u64;
        if self.busy >= self.limits.size {
            self.integrals.saturated += micros;
        }
    }
}

#[cfg(test)]
#[path = "core_tests.rs"]
mod tests;
