//! Which databases are paused. Kept apart from the pools: a pool made later is paused too.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Pool, Pools};
use crate::types::Name;

/// What an administrator has paused.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    everything: bool,
    databases: BTreeSet<Name>,
}

impl Pauses {
    fn hold(&self, database: &str) -> bool {
        self.everything || self.databases.contains(database)
    }
}

impl Pools {
    /// Stops serving one database, or all; false when it was stopped already.
    pub fn pause(&self, database: Option<&Name>) -> bool {
        let mut pauses = self.pauses.lock();
        let fresh = match database {
            None => !std::mem::replace(&mut pauses.everything, true),
            Some(name) => pauses.databases.insert(Name::clone(name)),
        };
        // Under the lock: a pool made meanwhile finds the pause, or is found here.
        self.affected(database).iter().for_each(|pool| pool.pause());
        fresh
    }

    /// Serves one database again, or all but those that are paused by name; false when it was not stopped.
    pub fn resume(&self, database: Option<&Name>) -> bool {
        let mut pauses = self.pauses.lock();
        let was = match database {
            None => std::mem::take(&mut pauses.everything),
            Some(name) => pauses.databases.remove(name),
        };
        let free = |pool: &&Arc<Pool>| !pauses.hold(&pool.key.database);
        self.affected(database).iter().filter(free).for_each(|pool| pool.resume());
        was
    }

    /// Databases that are paused by name.
    pub fn paused_databases(&self) -> Vec<Name> {
        self.pauses.lock().databases.iter().cloned().collect()
    }

    /// True when all databases are paused.
    pub fn is_paused(&self) -> bool {
        self.pauses.lock().everything
    }

    /// True when a database is paused by name.
    pub fn is_paused_by_name(&self, database: &str) -> bool {
        self.pauses.lock().databases.contains(database)
    }

    /// True when a database is paused, by name or with all others.
    pub fn is_database_paused(&self, database: &str) -> bool {
        self.pauses.lock().hold(database)
    }

    /// The pools of one database, or all.
    pub fn affected(&self, database: Option<&Name>) -> Vec<Arc<Pool>> {
        database.map_or_else(|| self.all(), |name| self.of_database(name))
    }

    /// A pool that was just made joins the pause of its database.
    pub(super) fn join_pause(&self, pool: &Pool) {
        let pauses = self.pauses.lock();
        if pauses.hold(&pool.key.database) {
            pool.pause();
        }
    }
}
