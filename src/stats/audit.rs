//! What would break under a plain transaction pooler, and what was found left behind: who did it, with what.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::types::Name;

/// Distinct entries that are kept. Those beyond are counted together.
const KEPT: usize = 1_000;

/// What is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offence {
    /// The database as clients call it.
    pub database: Name,
    /// The client's application_name.
    pub application: Name,
    /// The statement, literals left out.
    pub statement: String,
    /// What it does to the session.
    pub cause: String,
}

/// Offences with their counts.
#[derive(Debug, Default)]
pub struct AuditTable(Mutex<BTreeMap<Offence, u64>>);

impl AuditTable {
    /// Counts one; true when it is the first of its kind.
    pub fn note(&self, offence: Offence) -> bool {
        let mut table = self.0.lock();
        if let Some(count) = table.get_mut(&offence) {
            *count += 1;
            false
        } else if table.len() < KEPT {
            table.insert(offence, 1);
            true
        } else {
            let statement = "(more than are kept)".to_owned();
            let rest = Offence { application: "".into(), statement, ..offence };
            *table.entry(rest).or_default() += 1;
            false
        }
    }

    /// All of them, the most frequent first.
    pub fn all(&self) -> Vec<(Offence, u64)> {
        let mut all: Vec<_> = self.0.lock().iter().map(|(o, &count)| (o.clone(), count)).collect();
        all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        all
    }
}

/// Leaks that audits have found, by kind.
#[derive(Debug, Default)]
pub struct LeakCounts {
    audits: AtomicU64,
    found: Mutex<BTreeMap<&'static str, u64>>,
}

impl LeakCounts {
    /// There was an audit.
    pub fn audited(&self) {
        self.audits.fetch_add(1, Ordering::Relaxed);
    }

    /// It found something.
    pub fn count(&self, kind: &'static str) {
        *self.found.lock().entry(kind).or_default() += 1;
    }

    /// How many audits there were.
    pub fn audits(&self) -> u64 {
        self.audits.load(Ordering::Relaxed)
    }

    /// What they found.
    pub fn all(&self) -> Vec<(&'static str, u64)> {
        self.found.lock().iter().map(|(kind, count)| (*kind, *count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offence(statement: String) -> Offence {
        let (database, application) = ("d".into(), "a".into());
        Offence { database, application, statement, cause: "listen".into() }
    }

    #[test]
    fn the_table_is_bounded_and_loses_no_count() {
        let table = AuditTable::default();
        for number in 0..KEPT + 500 {
            table.note(offence(number.to_string()));
        }
        table.note(offence("7".to_owned()));
        let all = table.all();
        assert_eq!(all.len(), KEPT + 1);
        assert_eq!(all.first().map(|(_, count)| *count), Some(500));
        assert_eq!(all.iter().map(|(_, count)| count).sum::<u64>(), KEPT as u64 + 501);
        assert_eq!(all.get(1).map(|(o, count)| (o.statement.as_str(), *count)), Some(("7", 2)));
    }
}
