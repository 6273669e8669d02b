//! What a client's batches leave that a later message needs to know.

use std::sync::Arc;

use crate::sql::Verdict;

/// The verdicts on a client's unnamed statement and on its portals, as far as they concern the session, and what else
/// few clients have.
#[derive(Debug, Default)]
pub struct Portals {
    /// A name that a statement made on purpose takes on the server; it is closed behind the next Sync.
    pub stray: Option<Box<[u8]>>,
    unnamed_statement: Option<Arc<Verdict>>,
    bound: Vec<Bound>,
}

/// A portal.
#[derive(Debug)]
struct Bound {
    portal: Box<[u8]>,
    verdict: Arc<Verdict>,
    /// The batch that bound it.
    batch: u64,
}

impl Portals {
    /// The unnamed statement is another one.
    pub fn set_unnamed_statement(&mut self, verdict: Option<Arc<Verdict>>) {
        self.unnamed_statement = verdict;
    }

    /// The verdict on the unnamed statement.
    pub fn unnamed_statement(&self) -> Option<&Arc<Verdict>> {
        self.unnamed_statement.as_ref()
    }

    /// A portal is bound to another statement, in this batch.
    pub fn bind(&mut self, portal: &[u8], verdict: Option<Arc<Verdict>>, batch: u64) {
        self.bound.retain(|known| *known.portal != *portal);
        self.bound.extend(verdict.map(|verdict| Bound { portal: portal.into(), verdict, batch }));
    }

    /// The verdict on what a portal executes.
    pub fn get(&self, portal: &[u8]) -> Option<&Arc<Verdict>> {
        self.bound.iter().find(|known| *known.portal == *portal).map(|known| &known.verdict)
    }

    /// Portals end with their transaction, which was over before batch `next`. What was sent behind it is yet to come.
    pub fn end_transaction(&mut self, next: u64) {
        self.bound.retain(|known| known.batch >= next);
    }

    /// True when there is nothing to know.
    pub fn is_empty(&self) -> bool {
        self.bound.is_empty() && self.unnamed_statement.is_none() && self.stray.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bound_behind_a_transaction_outlives_it() {
        let mut portals = Portals::default();
        let verdict = || Some(Arc::new(Verdict::default()));
        portals.bind(b"", verdict(), 1);
        portals.bind(b"a", verdict(), 2);
        portals.end_transaction(2);
        assert!(portals.get(b"").is_none() && portals.get(b"a").is_some());
        portals.end_transaction(3);
        assert!(portals.is_empty());
    }
}
