//! Limits that several pools share: servers per database and per user.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Pool;
use crate::types::Name;

/// One shared limit.
#[derive(Debug)]
pub struct Cap {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    limit: Option<usize>,
    used: usize,
    /// Pools under this limit.
    members: Vec<Weak<Pool>>,
    /// Of those used, servers that were told goodbye and have not closed yet.
    leaving: usize,
    /// Pools that wanted a server and got none, in the order they asked.
    starved: VecDeque<Weak<Pool>>,
}

/// What a pool has, and what it wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim {
    /// Its servers, those on their way included.
    pub(super) servers: usize,
    /// How long its first client has waited; `None` when nobody waits.
    pub(super) waited: Option<Duration>,
}

/// With fewer places than pools they take turns: a pool without any server gets one when its client has waited this
/// much longer than those of the pool that has it. Each turn costs a new connection.
const TURN: Duration = Duration::from_millis(100);

fn is(one: &Weak<Pool>, other: &Pool) -> bool {
    std::ptr::eq(one.as_ptr(), other)
}

impl Cap {
    /// A limit of `limit` servers; `None` is no limit.
    pub fn new(limit: Option<usize>) -> Arc<Self> {
        Arc::new(Cap { state: Mutex::new(State { limit, ..State::default() }) })
    }

    /// Changes the limit. Servers beyond it go when they are given back.
    pub fn set_limit(&self, limit: Option<usize>) {
        self.state.lock().limit = limit;
    }

    pub(super) fn join(&self, pool: &Weak<Pool>) {
        let mut state = self.state.lock();
        state.members.retain(|member| member.strong_count() > 0);
        state.members.push(Weak::clone(pool));
    }

    fn members(&self) -> Vec<Arc<Pool>> {
        self.state.lock().members.iter().filter_map(Weak::upgrade).collect()
    }

    /// Room for one server. Pools whose clients have been refused before come first.
    fn try_take(&self, asking: &Pool) -> bool {
        let starved = self.starved();
        let before = starved.iter().take_while(|pool| !std::ptr::eq(Arc::as_ptr(pool), asking));
        let before = before.filter(|pool| pool.claim(Instant::now()).waited.is_some()).count();
        let mut state = self.state.lock();
        if state.limit.is_some_and(|limit| state.used + before >= limit) {
            return false;
        }
        state.starved.retain(|pool| !is(pool, asking));
        state.used += 1;
        true
    }

    /// The pools that starve, held: to be looked at, and dropped, outside of the lock.
    fn starved(&self) -> Vec<Arc<Pool>> {
        self.state.lock().starved.iter().filter_map(Weak::upgrade).collect()
    }

    /// Gives one back; returns the pools that wait for it, the first one first. They stay in the list until they are
    /// served.
    fn give_back(&self, was_leaving: bool) -> Vec<Arc<Pool>> {
        let mut state = self.state.lock();
        state.used -= 1;
        state.leaving -= usize::from(was_leaving);
        state.starved.retain(|pool| pool.strong_count() > 0);
        state.starved.iter().filter_map(Weak::upgrade).collect()
    }

    fn starve(&self, pool: &Arc<Pool>) {
        let mut state = self.state.lock();
        if !state.starved.iter().any(|known| is(known, pool)) {
            state.starved.push_back(Arc::downgrade(pool));
        }
    }

    /// True when `pool`, which gets a server back, should let others have it: more are used than allowed, or others
    /// starve while this one has no use for it, has more than an even share, or has kept them waiting for long.
    fn wants_back(&self, pool: &Pool, now: Instant) -> bool {
        let limit = {
            let state = self.state.lock();
            let Some(limit) = state.limit else { return false };
            if state.used > limit {
                return true;
            }
            limit
        };
        let starved = self.starved();
        let others = starved.iter().filter(|other| !std::ptr::eq(Arc::as_ptr(other), pool));
        let claims = others.map(|other| other.claim(now)).filter(|claim| claim.waited.is_some());
        let claims: Vec<Claim> = claims.collect();
        if claims.is_empty() {
            return false;
        }
        let own = pool.claim(now);
        let Some(waited) = own.waited else { return true };
        let outstayed = |other: &Claim| {
            other.servers == 0 && other.waited.is_some_and(|wait| wait > waited + TURN)
        };
        own.servers > limit.div_ceil(claims.len() + 1) || claims.iter().any(outstayed)
    }

    fn is_exceeded(&self) -> bool {
        let state = self.state.lock();
        state.limit.is_some_and(|limit| state.used - state.leaving > limit)
    }

    fn leave(&self) {
        self.state.lock().leaving += 1;
    }

    fn is_one_leaving(&self) -> bool {
        self.state.lock().leaving > 0
    }

    /// Servers in use under this limit.
    pub fn used(&self) -> usize {
        self.state.lock().used
    }
}

/// The limits a pool is under.
#[derive(Debug)]
pub struct Caps {
    /// `max_db_connections`.
    pub database: Arc<Cap>,
    /// `max_user_connections`.
    pub user: Arc<Cap>,
}

impl Caps {
    /// Room for one server, or the limit that has none left. A pool that got none is remembered and
    /// [pumped](Pool::pump) when there is room again.
    pub(super) fn acquire(&self, pool: &Arc<Pool>) -> Option<Permit> {
        let mut permit = Permit { held: [None, None], leaving: false };
        for (slot, cap) in permit.held.iter_mut().zip([&self.database, &self.user]) {
            if !take_or_evict(cap, pool) {
                cap.starve(pool);
                // Room may have come between the refusal and the entry in the list of the starved.
                if !cap.try_take(pool) {
                    return None;
                }
            }
            *slot = Some(Arc::clone(cap));
        }
        Some(permit)
    }

    pub(super) fn want_back(&self, pool: &Pool, now: Instant) -> bool {
        self.database.wants_back(pool, now) || self.user.wants_back(pool, now)
    }

    /// Closes idle servers while more are in use than allowed.
    pub(super) fn shed(&self) {
        for cap in [&self.database, &self.user] {
            while cap.is_exceeded() && cap.members().iter().any(|pool| pool.evict_idle()) {}
        }
    }
}

/// Takes room; if there is none, an idle server of another pool gives way. Its place is free when it has closed: then
/// the asking pool is pumped again.
fn take_or_evict(cap: &Cap, asking: &Arc<Pool>) -> bool {
    if cap.try_take(asking) {
        return true;
    }
    // Only for somebody who waits: two pools that keep a minimum would evict each other for ever.
    if asking.claim(Instant::now()).waited.is_some() && !cap.is_one_leaving() {
        let others = cap.members().into_iter().filter(|pool| !Arc::ptr_eq(pool, asking));
        let _evicted = others.into_iter().any(|pool| pool.evict_idle());
    }
    false
}

/// Room for one server under every limit. Dropping it wakes the pools that starve.
#[derive(Debug)]
pub(crate) struct Permit {
    held: [Option<Arc<Cap>>; 2],
    leaving: bool,
}

impl Permit {
    fn caps(&self) -> impl Iterator<Item = &Arc<Cap>> {
        self.held.iter().flatten()
    }

    /// The server was told goodbye.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.caps().for_each(|cap| cap.leave());
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        for cap in self.held.iter_mut().filter_map(Option::take) {
            for pool in cap.give_back(self.leaving) {
                pool.pump_later();
            }
        }
    }
}

/// The caps of all databases and users.
#[derive(Debug, Default)]
pub struct CapTable {
    caps: Mutex<ahash::AHashMap<Name, Arc<Cap>>>,
}

impl CapTable {
    /// The cap of `name`, with this limit from now on.
    pub fn get(&self, name: &Name, limit: Option<usize>) -> Arc<Cap> {
        let mut caps = self.caps.lock();
        let cap = caps.entry(Name::clone(name)).or_insert_with(|| Cap::new(limit));
        cap.set_limit(limit);
        Arc::clone(cap)
    }

    /// Servers in use under the cap of `name`.
    pub fn used(&self, name: &str) -> usize {
        self.caps.lock().get(name).map_or(0, |cap| cap.used())
    }
}
