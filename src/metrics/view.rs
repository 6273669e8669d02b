//! A snapshot on its way to a page.

use super::text::Labels;
use crate::stats::{PoolFacts, Snapshot};

/// A snapshot, and the labels that most series have.
pub(super) struct View<'a> {
    pub(super) snapshot: &'a Snapshot,
    /// Those of each pool.
    labels: Vec<Labels>,
}

impl<'a> View<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let labels =
            |pool: &PoolFacts| Labels::new(&[("database", &pool.database), ("user", &pool.user)]);
        View { snapshot, labels: snapshot.pools.iter().map(labels).collect() }
    }

    /// Each pool with its labels.
    pub(super) fn pools(&self) -> impl Iterator<Item = (&'a PoolFacts, &Labels)> {
        self.snapshot.pools.iter().zip(&self.labels)
    }
}
