//! What executing a client's portals would do to its session.

use std::sync::Arc;

use crate::sql::Verdict;

/// The verdicts on a client's unnamed statement and on its portals, as far as they concern the session: for most
/// clients there are none.
#[derive(Debug, Default)]
pub struct Portals {
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

    /// True when no portal concerns the session, nor does the unnamed statement.
    pub fn is_empty(&self) -> bool {
        self.bound.is_empty() && self.unnamed_statement.is_none()
    }
}
