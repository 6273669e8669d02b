//! What a transaction changes in a session, so that it can be taken back.
//!
//! Sets of parameters are immutable and shared, so what was before is kept by keeping the set: one for the transaction
//! and one for each savepoint.

use std::sync::Arc;

use super::params::ParamSet;

/// Both sides of a session's parameters at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Both {
    /// What the client believes.
    pub wanted: Arc<ParamSet>,
    /// What its server holds.
    pub held: Arc<ParamSet>,
}

/// What is open in a session's transaction.
#[derive(Debug, Default)]
pub struct Changes {
    /// Before the first change.
    base: Option<Both>,
    /// The innermost last.
    savepoints: Vec<(Box<[u8]>, Both)>,
    /// A statement has failed: unless a savepoint saves it, the transaction comes to nothing.
    failed: bool,
    /// Parameters whose values only the server knows.
    unknown: Vec<Box<str>>,
    /// Reported parameters that the server has just reset to its own default, where the client's is another.
    reset: Vec<Box<str>>,
}

impl Changes {
    /// Something is about to be changed; `now` is before that.
    pub fn begin(&mut self, now: impl FnOnce() -> Both) {
        self.base.get_or_insert_with(now);
    }

    /// SAVEPOINT.
    pub fn save(&mut self, name: &[u8], now: Both) {
        self.base.get_or_insert_with(|| now.clone());
        self.savepoints.push((name.into(), now));
    }

    /// RELEASE.
    pub fn release(&mut self, name: &[u8]) {
        if let Some(at) = self.position(name) {
            self.savepoints.truncate(at);
        }
    }

    /// ROLLBACK TO: what it goes back to. A savepoint that is not known was made before anything was changed.
    pub fn back_to(&mut self, name: &[u8]) -> Option<Both> {
        self.failed = false;
        let Some(at) = self.position(name) else { return self.base.clone() };
        self.savepoints.truncate(at + 1);
        self.savepoints.last().map(|(_, then)| then.clone())
    }

    /// COMMIT: what was changed stays.
    pub fn commit(&mut self) {
        self.base = None;
        self.failed = false;
        self.savepoints.clear();
    }

    /// ROLLBACK: what it goes back to.
    pub fn roll_back(&mut self) -> Option<Both> {
        let base = self.base.take();
        self.commit();
        base
    }

    /// A statement has failed.
    pub fn fail(&mut self) {
        self.failed = self.base.is_some();
    }

    /// The transaction is over: what it goes back to, if it failed.
    pub fn end(&mut self) -> Option<Both> {
        self.reset.clear();
        if self.failed {
            return self.roll_back();
        }
        self.commit();
        None
    }

    /// The request is over, the transaction is not.
    pub fn pause(&mut self) {
        self.reset.clear();
    }

    /// A parameter has a value that only the server knows.
    pub fn ask_for(&mut self, name: &str) {
        if !self.unknown.iter().any(|known| **known == *name) {
            self.unknown.push(name.into());
        }
    }

    /// Parameters to ask the server for.
    pub fn unknown(&self) -> &[Box<str>] {
        &self.unknown
    }

    /// They are known now.
    pub fn answered(&mut self) -> Vec<Box<str>> {
        std::mem::take(&mut self.unknown)
    }

    /// The server has reset a reported parameter, and will report its own default.
    pub fn note_reset(&mut self, name: &str) {
        self.reset.push(name.into());
    }

    /// It has been set again.
    pub fn note_set(&mut self, name: &str) {
        self.reset.retain(|reset| **reset != *name);
    }

    /// True when what the server reports of this parameter is not what the client's has become.
    pub fn is_reset(&self, name: &str) -> bool {
        self.reset.iter().any(|reset| **reset == *name)
    }

    /// True when nothing is open, and nothing unknown.
    pub fn is_empty(&self) -> bool {
        self.base.is_none() && self.unknown.is_empty() && self.reset.is_empty()
    }

    fn position(&self, name: &[u8]) -> Option<usize> {
        self.savepoints.iter().rposition(|(known, _)| **known == *name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::params::{ParamSets, Values};

    /// A session whose parameter `x` is a number.
    struct Model {
        sets: ParamSets,
        now: Both,
        changes: Changes,
    }

    impl Model {
        fn new() -> Self {
            let sets = ParamSets::default();
            let none = sets.intern(Values::new());
            let now = Both { wanted: Arc::clone(&none), held: none };
            Model { sets, now, changes: Changes::default() }
        }

        fn set(&mut self, value: &str) {
            self.changes.begin(|| self.now.clone());
            self.now.wanted = self.sets.with(&self.now.wanted, "x", Some(value.as_bytes()));
        }

        fn back(&mut self, then: Option<Both>) {
            self.now = then.unwrap_or_else(|| self.now.clone());
        }

        fn value(&self) -> &str {
            self.now.wanted.get("x").map_or("", |value| str::from_utf8(value).expect("text"))
        }
    }

    #[test]
    fn savepoints_nest_and_may_share_a_name() {
        let mut model = Model::new();
        model.set("1");
        for value in ["2", "3"] {
            model.changes.save(b"s", model.now.clone());
            model.set(value);
        }
        let then = model.changes.back_to(b"s");
        model.back(then);
        assert_eq!(model.value(), "2");
        model.changes.release(b"s");
        let then = model.changes.back_to(b"s");
        model.back(then);
        assert_eq!(model.value(), "1");
        let then = model.changes.roll_back();
        model.back(then);
        assert_eq!(model.value(), "");
        assert!(model.changes.is_empty());
    }

    #[test]
    fn a_failed_transaction_comes_to_nothing_unless_a_savepoint_saves_it() {
        let mut model = Model::new();
        model.set("1");
        model.changes.save(b"s", model.now.clone());
        model.set("2");
        model.changes.fail();
        let then = model.changes.back_to(b"s");
        model.back(then);
        assert_eq!(model.changes.end(), None, "saved");
        assert_eq!(model.value(), "1");
        model.set("2");
        model.changes.fail();
        let then = model.changes.end();
        model.back(then);
        assert_eq!(model.value(), "1");
    }

    #[test]
    fn a_savepoint_from_before_any_change_goes_back_to_the_beginning() {
        let mut model = Model::new();
        model.set("1");
        let then = model.changes.back_to(b"unseen");
        model.back(then);
        assert_eq!(model.value(), "");
    }
}
