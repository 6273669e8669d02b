//! What pools had counted when they went, so that the statistics of a database never go back.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use super::Pool;
use crate::stats::Totals;
use crate::types::Name;

/// Sums of pools that are not in the directory any more.
#[derive(Debug, Default)]
pub(super) struct Departed {
    gone: Mutex<BTreeMap<Name, Totals>>,
    /// Out of the directory, but still counting: their last clients have not left.
    leaving: Mutex<Vec<Weak<Pool>>>,
}

impl Departed {
    /// A pool was taken out of the directory.
    pub(super) fn watch(&self, pool: &Arc<Pool>) {
        let mut leaving = self.leaving.lock();
        leaving.retain(|known| known.strong_count() > 0);
        leaving.push(Arc::downgrade(pool));
    }

    /// A pool has ended with these sums.
    pub(super) fn add(&self, database: &Name, totals: &Totals) {
        self.gone.lock().entry(Name::clone(database)).or_default().add(totals);
    }

    /// Sums by database.
    pub(super) fn totals(&self) -> BTreeMap<Name, Totals> {
        // Held while the ended pools are read: none of these can end, and be counted twice, in between.
        let leaving: Vec<_> = self.leaving.lock().iter().filter_map(Weak::upgrade).collect();
        let mut totals = self.gone.lock().clone();
        for pool in &leaving {
            totals.entry(Name::clone(&pool.key.database)).or_default().add(&pool.stats.totals());
        }
        totals
    }
}
