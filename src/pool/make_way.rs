//! Idle servers give way: some statements want a database that nobody uses.

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::{CloseReason, Pool};

/// Every pool there is.
#[derive(Debug, Default)]
pub struct Siblings(Mutex<Vec<Weak<Pool>>>);

impl Siblings {
    pub(super) fn join(&self, pool: &Weak<Pool>) {
        let mut pools = self.0.lock();
        pools.retain(|known| known.strong_count() > 0);
        pools.push(Weak::clone(pool));
    }

    fn all(&self) -> Vec<Arc<Pool>> {
        self.0.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

impl Pool {
    /// Closes the idle servers of a database, by its name on the server this pool's servers are on. Without that,
    /// DROP DATABASE would fail because of servers that nobody uses (55006).
    pub fn close_idle_of(&self, database: &[u8]) {
        let addresses = &self.blueprint().addresses;
        for pool in self.context.siblings.all() {
            let theirs = pool.blueprint();
            let same = theirs.addresses.iter().any(|address| addresses.contains(address));
            if same && theirs.database.as_bytes() == database {
                pool.close_idle(CloseReason::Evicted, |_| true);
            }
        }
    }
}
