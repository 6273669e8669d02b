//! What the oracle has seen, and the first thing that was wrong.

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Counts of everybody together.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Replies up to ReadyForQuery that were checked whole.
    pub(crate) checked: AtomicU64,
    /// Clients that were let in.
    pub(crate) logins: AtomicU64,
    /// Clients that went away in the middle.
    pub(crate) vanished: AtomicU64,
    /// Cancel requests, right ones and wrong ones.
    pub(crate) cancels: AtomicU64,
    /// Queries that were cancelled.
    pub(crate) cancelled: AtomicU64,
    /// Requests that got no server in time.
    pub(crate) timeouts: AtomicU64,
    /// Conversations that ended with their server.
    pub(crate) lost: AtomicU64,
    /// Servers that were ended.
    pub(crate) kills: AtomicU64,
    stop: AtomicBool,
    failures: Mutex<Vec<String>>,
}

impl Ledger {
    /// Counts one.
    pub(crate) fn count(&self, counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Something is wrong; everybody stops.
    pub(crate) fn fail(&self, words: String) {
        let mut failures = self.failures.lock().expect("the list of failures");
        failures.push(words);
        self.stop();
    }

    /// Everybody finishes what they do and leaves.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// True when everybody is to leave.
    pub(crate) fn is_over(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Panics with what was wrong.
    pub(crate) fn judge(&self, log: &str) {
        let failures = self.failures.lock().expect("the list of failures");
        if let Some(first) = failures.first() {
            let others: Vec<_> = failures.iter().map(|words| words.lines().next()).collect();
            println!("first failures: {:#?}", others.get(..5));
            let tail: Vec<_> = log
                .lines()
                .rev()
                .filter(|line| !line.contains("cancel request"))
                .take(60)
                .collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            panic!("{} failures; the first:\n{first}\nlog:\n{}", failures.len(), tail.join("\n"));
        }
        assert!(!log.contains("panicked"), "a panic in the log:\n{log}");
    }
}

impl fmt::Display for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        write!(
            f,
            "{} replies checked, {} logins, {} vanished, {} cancel requests, {} cancelled, {} wait timeouts, \
             {} conversations lost, {} kills",
            of(&self.checked),
            of(&self.logins),
            of(&self.vanished),
            of(&self.cancels),
            of(&self.cancelled),
            of(&self.timeouts),
            of(&self.lost),
            of(&self.kills)
        )
    }
}
