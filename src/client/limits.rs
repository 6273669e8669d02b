//! How many clients there are: over all, by database, by user. A limit is never exceeded, not for a moment.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use dashmap::DashMap;

use crate::pool::Pool;
use crate::types::Name;

/// Counts of clients.
#[derive(Debug, Default)]
pub struct ClientCounts {
    total: Arc<AtomicUsize>,
    by_database: DashMap<Name, Arc<AtomicUsize>, ahash::RandomState>,
    by_user: DashMap<Name, Arc<AtomicUsize>, ahash::RandomState>,
}

impl ClientCounts {
    /// One more client; `None` when `limit` clients are there.
    pub fn enter(&self, limit: usize) -> Option<Counted> {
        Counted::within(&self.total, Some(limit))
    }

    /// One more client of a database.
    pub fn enter_database(&self, name: &Name, limit: Option<usize>) -> Option<Counted> {
        let count = Arc::clone(&self.by_database.entry(Name::clone(name)).or_default());
        Counted::within(&count, limit)
    }

    /// One more client of a user.
    pub fn enter_user(&self, name: &Name, limit: Option<usize>) -> Option<Counted> {
        let count = Arc::clone(&self.by_user.entry(Name::clone(name)).or_default());
        Counted::within(&count, limit)
    }

    /// Clients over all.
    pub fn total(&self) -> usize {
        self.total.load(Ordering::Relaxed)
    }

    /// Clients of a database.
    pub fn of_database(&self, name: &str) -> usize {
        self.by_database.get(name).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Clients of a user.
    pub fn of_user(&self, name: &str) -> usize {
        self.by_user.get(name).map_or(0, |count| count.load(Ordering::Relaxed))
    }
}

/// A client that is counted. Dropping it counts it off.
#[derive(Debug)]
pub struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn within(count: &Arc<AtomicUsize>, limit: Option<usize>) -> Option<Self> {
        let one_more = |now: usize| limit.is_none_or(|limit| now < limit).then_some(now + 1);
        let entered = count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok();
        entered.then(|| Counted(Arc::clone(count)))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client among those of its worker. Dropping it takes it off.
#[derive(Debug)]
pub(super) struct Present(Arc<AtomicUsize>);

impl Present {
    /// One more.
    pub(super) fn enter(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Present(Arc::clone(count))
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A client's pool, which counts it. Dropping it counts it off.
#[derive(Debug)]
pub(super) struct Guest(Arc<Pool>);

impl Guest {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        pool.clients.fetch_add(1, Ordering::Relaxed);
        Guest(pool)
    }
}

impl Deref for Guest {
    type Target = Arc<Pool>;

    fn deref(&self) -> &Arc<Pool> {
        &self.0
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.0.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_holds_under_a_race_and_places_come_back() {
        let counts = ClientCounts::default();
        let entered: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8)
                .map(|_| {
                    scope.spawn(|| (0..100).filter_map(|_| counts.enter(50)).collect::<Vec<_>>())
                })
                .collect();
            threads.into_iter().flat_map(|thread| thread.join().expect("no panic")).collect()
        });
        assert_eq!((entered.len(), counts.total()), (50, 50));
        drop(entered);
        assert_eq!(counts.total(), 0);
    }

    #[test]
    fn no_limit_is_no_limit() {
        let counts = ClientCounts::default();
        let name: Name = "a".into();
        let entered: Vec<_> = (0..10).map(|_| counts.enter_user(&name, None)).collect();
        assert!(entered.iter().all(Option::is_some));
        assert_eq!(counts.of_user("a"), 10);
    }
}
