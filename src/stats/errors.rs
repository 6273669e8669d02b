//! Errors by SQLSTATE. They are rare, so a lock is cheap.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::types::Name;

/// Errors counted by origin and SQLSTATE.
#[derive(Debug, Default)]
pub struct ErrorCounts {
    counts: Mutex<BTreeMap<(&'static str, String), u64>>,
    healed: Mutex<BTreeMap<String, u64>>,
}

impl ErrorCounts {
    /// An error that a server raised. Only its class is kept, so that the number of series stays small.
    pub fn from_server(&self, sqlstate: &[u8]) {
        self.count("server", plain(sqlstate.get(..2).unwrap_or(b"XX")));
    }

    /// An error that pgusher raised.
    pub fn from_pgusher(&self, sqlstate: &str) {
        self.count("pgusher", sqlstate.to_owned());
    }

    /// An error that no client was told: its batch was sent once more.
    pub fn healed(&self, sqlstate: &[u8]) {
        *self.healed.lock().entry(plain(sqlstate)).or_default() += 1;
    }

    fn count(&self, origin: &'static str, sqlstate: String) {
        *self.counts.lock().entry((origin, sqlstate)).or_default() += 1;
    }

    /// All that clients were told: origin, SQLSTATE (or class), count.
    pub fn all(&self) -> Vec<(&'static str, String, u64)> {
        let counts = self.counts.lock();
        counts.iter().map(|((origin, state), &count)| (*origin, state.clone(), count)).collect()
    }

    /// All that were healed: SQLSTATE, count.
    pub fn all_healed(&self) -> Vec<(String, u64)> {
        self.healed.lock().iter().map(|(state, &count)| (state.clone(), count)).collect()
    }
}

fn plain(sqlstate: &[u8]) -> String {
    sqlstate.iter().map(|&byte| char::from(byte)).filter(char::is_ascii_alphanumeric).collect()
}

/// The errors of each database, which outlive its pools.
#[derive(Debug, Default)]
pub struct ErrorBook(Mutex<BTreeMap<Name, Arc<ErrorCounts>>>);

impl ErrorBook {
    /// Where a database's errors are counted; those of the empty name belong to none.
    pub fn of(&self, database: &Name) -> Arc<ErrorCounts> {
        Arc::clone(self.0.lock().entry(Name::clone(database)).or_default())
    }

    /// All of them, by database.
    pub fn all(&self) -> Vec<(Name, Arc<ErrorCounts>)> {
        let books = self.0.lock();
        books.iter().map(|(name, counts)| (Name::clone(name), Arc::clone(counts))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_errors_are_kept_by_class_and_healed_ones_apart() {
        let book = ErrorBook::default();
        let app = Name::from("app");
        book.of(&app).from_server(b"42P01");
        book.of(&app).from_server(b"42601");
        book.of(&app).from_pgusher("53300");
        book.of(&app).healed(b"26000");
        let all = book.all();
        assert_eq!(all.len(), 1);
        let counts = &all[0].1;
        let told = [("pgusher", "53300".to_owned(), 1), ("server", "42".to_owned(), 2)];
        assert_eq!(counts.all(), told);
        assert_eq!(counts.all_healed(), [("26000".to_owned(), 1)]);
    }
}
