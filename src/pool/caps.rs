//! Limits that several pools share: servers per database and per user.

use std::collections::VecDeque;
use std::sync::{Arc, Weak};

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
    /// Pools that wanted a server and got none, in the order they asked.
    starved: VecDeque<Weak<Pool>>,
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

    fn try_take(&self) -> bool {
        let mut state = self.state.lock();
        let fits = state.limit.is_none_or(|limit| state.used < limit);
        if fits {
            state.used += 1;
        }
        fits
    }

    /// Gives one back; returns the pools that wait for it, the first one first.
    fn give_back(&self) -> Vec<Arc<Pool>> {
        let mut state = self.state.lock();
        state.used -= 1;
        state.starved.drain(..).filter_map(|pool| pool.upgrade()).collect()
    }

    fn starve(&self, pool: &Arc<Pool>) {
        let mut state = self.state.lock();
        let pool = Arc::downgrade(pool);
        if !state.starved.iter().any(|known| known.ptr_eq(&pool)) {
            state.starved.push_back(pool);
        }
    }

    /// True when a pool that has `own` servers and gets one back should let others have it: more are used than
    /// allowed, or others starve while this one has more than an even share (or no use for it).
    fn wants_back(&self, own: usize, in_demand: bool) -> bool {
        let state = self.state.lock();
        let Some(limit) = state.limit else { return false };
        if state.used > limit {
            return true;
        }
        let starving = state.starved.iter().filter(|pool| pool.strong_count() > 0).count();
        starving > 0 && (!in_demand || own > limit.div_ceil(starving + 1))
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
        let mut permit = Permit { held: [None, None] };
        for (slot, cap) in permit.held.iter_mut().zip([&self.database, &self.user]) {
            if !take_or_evict(cap, pool) {
                cap.starve(pool);
                // Room may have come between the refusal and the entry in the list of the starved.
                if !cap.try_take() {
                    return None;
                }
            }
            *slot = Some(Arc::clone(cap));
        }
        Some(permit)
    }

    pub(super) fn want_back(&self, own: usize, in_demand: bool) -> bool {
        self.database.wants_back(own, in_demand) || self.user.wants_back(own, in_demand)
    }
}

/// Takes room; if there is none, an idle server of another pool gives way.
fn take_or_evict(cap: &Cap, asking: &Arc<Pool>) -> bool {
    if cap.try_take() {
        return true;
    }
    let others = cap.members().into_iter().filter(|pool| !Arc::ptr_eq(pool, asking));
    let evicted = others.into_iter().any(|pool| pool.evict_idle());
    evicted && cap.try_take()
}

/// Room for one server under every limit. Dropping it wakes the pools that starve.
#[derive(Debug)]
pub(crate) struct Permit {
    held: [Option<Arc<Cap>>; 2],
}

impl Drop for Permit {
    fn drop(&mut self) {
        for cap in self.held.iter_mut().filter_map(Option::take) {
            for pool in cap.give_back() {
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
