//! What a client listens to: LISTEN and UNLISTEN take effect when their transaction is committed, or never.

use std::collections::BTreeSet;

use super::exchange::Listener;
use crate::sql::{Action, Ident};

/// The channels of one client.
#[derive(Debug, Default)]
pub struct Channels {
    listening: BTreeSet<Ident>,
    /// What the open transaction has done, in order.
    pending: Vec<Change>,
    /// Savepoints, the innermost last, with the number of changes before them.
    savepoints: Vec<(Box<[u8]>, usize)>,
    failed: bool,
}

#[derive(Clone, Debug)]
enum Change {
    Listen(Ident),
    Unlisten(Ident),
    UnlistenAll,
}

impl Channels {
    /// What the client listens to.
    pub fn listening(&self) -> &BTreeSet<Ident> {
        &self.listening
    }

    /// True when there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.listening.is_empty() && self.pending.is_empty() && self.savepoints.is_empty()
    }

    /// A statement has succeeded.
    pub fn completed(&mut self, action: &Action) {
        match action {
            Action::Listen(name) => self.pending.push(Change::Listen(name.clone())),
            Action::Unlisten(Some(name)) => self.pending.push(Change::Unlisten(name.clone())),
            Action::Unlisten(None) | Action::Discard(crate::sql::Discard::All) => {
                self.pending.push(Change::UnlistenAll);
            }
            Action::Savepoint(name) => self.savepoints.push((name.clone(), self.pending.len())),
            Action::Release(name) => {
                if let Some(at) = self.position(name) {
                    self.savepoints.truncate(at);
                }
            }
            _ => {}
        }
    }

    /// ROLLBACK TO. A savepoint that is not known was made before anything was changed.
    pub fn back_to(&mut self, name: &[u8]) {
        self.failed = false;
        let Some(at) = self.position(name) else { return self.pending.clear() };
        let kept = self.savepoints.get(at).map_or(0, |(_, kept)| *kept);
        self.savepoints.truncate(at + 1);
        self.pending.truncate(kept);
    }

    /// A statement has failed.
    pub fn fail(&mut self) {
        self.failed = true;
    }

    /// COMMIT.
    pub fn commit(&mut self) {
        for change in self.pending.drain(..) {
            match change {
                Change::Listen(name) => drop(self.listening.insert(name)),
                Change::Unlisten(name) => drop(self.listening.remove(&name)),
                Change::UnlistenAll => self.listening.clear(),
            }
        }
        self.begin();
    }

    /// ROLLBACK.
    pub fn roll_back(&mut self) {
        self.pending.clear();
        self.begin();
    }

    /// The server is not in a transaction any more.
    pub fn end(&mut self) {
        if self.failed { self.roll_back() } else { self.commit() }
    }

    fn begin(&mut self) {
        self.savepoints.clear();
        self.failed = false;
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        self.savepoints.iter().rposition(|(known, _)| **known == *name)
    }
}

/// A client that listens: its channels, and its place at the database's exchange.
#[derive(Debug)]
pub struct Listening {
    /// Its channels.
    pub channels: Channels,
    /// Its place.
    pub listener: Listener,
    /// What the client itself sends to channels.
    pub own: OwnPost,
}

/// Notifications that the client sends: where it listens to their channel, PostgreSQL hands them out before it says that
/// the statement which committed them is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OwnPost {
    /// There are none.
    #[default]
    None,
    /// The open transaction may have sent some.
    Sent,
    /// They are waited for, by the number of a [fence](Listener::fence).
    Awaited(u64),
}

impl Listening {
    /// The transaction was committed. True when what it has sent is not here yet.
    pub fn awaits_own(&mut self) -> bool {
        if self.own == OwnPost::Sent {
            self.own = OwnPost::Awaited(self.listener.fence());
        }
        let OwnPost::Awaited(fence) = self.own else { return false };
        let is_here = self.listener.is_past(fence);
        if is_here {
            self.own = OwnPost::None;
        }
        !is_here
    }

    /// The transaction is over: from here on these are its channels.
    pub fn end_transaction(&mut self) {
        self.channels.end();
        self.listener.settle(self.channels.listening());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn listen(name: &str) -> Action {
        Action::Listen(name.as_bytes().into())
    }

    fn heard(channels: &Channels) -> String {
        channels.listening().iter().map(|name| String::from_utf8_lossy(name)).collect()
    }

    #[test]
    fn only_what_is_committed_counts() {
        let mut channels = Channels::default();
        channels.completed(&listen("a"));
        assert_eq!(heard(&channels), "");
        channels.end();
        assert_eq!(heard(&channels), "a");
        channels.completed(&listen("b"));
        channels.fail();
        channels.end();
        assert_eq!(heard(&channels), "a");
        channels.completed(&Action::Unlisten(None));
        channels.completed(&listen("c"));
        channels.end();
        assert_eq!(heard(&channels), "c");
    }

    #[test]
    fn a_savepoint_takes_back_what_came_after_it() {
        let mut channels = Channels::default();
        channels.completed(&listen("a"));
        channels.completed(&Action::Savepoint(b"s"[..].into()));
        channels.completed(&listen("b"));
        channels.fail();
        channels.back_to(b"s");
        channels.completed(&listen("c"));
        channels.commit();
        assert_eq!(heard(&channels), "ac");
        channels.completed(&listen("d"));
        channels.back_to(b"unseen");
        channels.commit();
        assert_eq!(heard(&channels), "ac");
    }

    proptest! {
        /// Against a model that copies the whole set at each savepoint.
        #[test]
        fn transactions_agree_with_a_model(steps in proptest::collection::vec((0..8_u8, 0..3_u8), 0..60)) {
            let mut channels = Channels::default();
            let mut base: BTreeSet<u8> = BTreeSet::new();
            let mut now = base.clone();
            let mut saved: Vec<(u8, BTreeSet<u8>)> = Vec::new();
            let name = |n: u8| -> Ident { [b'a' + n][..].into() };
            for (what, n) in steps {
                let at = saved.iter().rposition(|(known, _)| *known == n);
                match what {
                    0 | 1 => { channels.completed(&Action::Listen(name(n))); now.insert(n); }
                    2 => { channels.completed(&Action::Unlisten(Some(name(n)))); now.remove(&n); }
                    3 => { channels.completed(&Action::Unlisten(None)); now.clear(); }
                    4 => { channels.completed(&Action::Savepoint(name(n))); saved.push((n, now.clone())); }
                    5 => if let Some(at) = at {
                        channels.back_to(&name(n));
                        now = saved[at].1.clone();
                        saved.truncate(at + 1);
                    },
                    6 => if let Some(at) = at {
                        channels.completed(&Action::Release(name(n)));
                        saved.truncate(at);
                    },
                    _ => {
                        if n == 0 { channels.roll_back(); now = base.clone(); } else { channels.commit(); base = now.clone(); }
                        saved.clear();
                        let expected: String = base.iter().map(|n| char::from(b'a' + n)).collect();
                        prop_assert_eq!(heard(&channels), expected);
                    }
                }
            }
        }
    }
}
