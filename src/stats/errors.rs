//! Errors by SQLSTATE. They are rare, so a lock is cheap.

use std::collections::BTreeMap;

use parking_lot::Mutex;

/// Errors counted by origin and SQLSTATE.
#[derive(Debug, Default)]
pub struct ErrorCounts {
    counts: Mutex<BTreeMap<(&'static str, String), u64>>,
}

impl ErrorCounts {
    /// An error that a server raised. Only its class is kept, so that the number of series stays small.
    pub fn from_server(&self, sqlstate: &[u8]) {
        let class = sqlstate.get(..2).unwrap_or(b"XX");
        let class: String = class
            .iter()
            .map(|&byte| char::from(byte))
            .filter(char::is_ascii_alphanumeric)
            .collect();
        self.count("server", class);
    }

    /// An error that pgusher raised.
    pub fn from_pgusher(&self, sqlstate: &str) {
        self.count("pgusher", sqlstate.to_owned());
    }

    fn count(&self, origin: &'static str, sqlstate: String) {
        *self.counts.lock().entry((origin, sqlstate)).or_default() += 1;
    }

    /// All counts: origin, SQLSTATE (or class), count.
    pub fn all(&self) -> Vec<(&'static str, String, u64)> {
        let counts = self.counts.lock();
        counts.iter().map(|((origin, state), &count)| (*origin, state.clone(), count)).collect()
    }
}
