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
    bound: Vec<(Box<[u8]>, Arc<Verdict>)>,
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

    /// A portal is bound to another statement.
    pub fn bind(&mut self, portal: &[u8], verdict: Option<Arc<Verdict>>) {
        self.bound.retain(|(known, _)| **known != *portal);
        if let Some(verdict) = verdict {
            self.bound.push((portal.into(), verdict));
        }
    }

    /// The verdict on what a portal executes.
    pub fn get(&self, portal: &[u8]) -> Option<&Arc<Verdict>> {
        self.bound.iter().find(|(known, _)| **known == *portal).map(|(_, verdict)| verdict)
    }

    /// Portals end with their transaction.
    pub fn end_transaction(&mut self) {
        self.bound.clear();
    }

    /// True when there is nothing to know.
    pub fn is_empty(&self) -> bool {
        self.bound.is_empty() && self.unnamed_statement.is_none() && self.stray.is_none()
    }
}
