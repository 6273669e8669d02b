//! Who is at the console.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::stats::ClientRecord;

/// The sessions at the console, by number.
#[derive(Debug, Default)]
pub struct Consoles(Mutex<BTreeMap<u64, Arc<ClientRecord>>>);

impl Consoles {
    /// Enters a session; it is there until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>, record: ClientRecord) -> AtConsole {
        let record = Arc::new(record);
        self.0.lock().insert(record.id, Arc::clone(&record));
        AtConsole { record, consoles: Arc::clone(self) }
    }

    /// All sessions.
    pub(super) fn all(&self) -> Vec<Arc<ClientRecord>> {
        self.0.lock().values().map(Arc::clone).collect()
    }

    /// One session.
    pub(super) fn find(&self, id: u64) -> Option<Arc<ClientRecord>> {
        self.0.lock().get(&id).map(Arc::clone)
    }

    /// True when nobody is there.
    pub(super) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }
}

/// A session's entry in [`Consoles`]; dropping it takes the session off.
#[derive(Debug)]
pub(super) struct AtConsole {
    /// The record.
    pub(super) record: Arc<ClientRecord>,
    consoles: Arc<Consoles>,
}

impl Drop for AtConsole {
    fn drop(&mut self) {
        self.consoles.0.lock().remove(&self.record.id);
    }
}
