//! The shared statements one server holds.

use std::sync::Arc;

use ahash::AHashMap;

use super::progress::{Entry, Origin, Request};
use crate::session::statement::Statement;

/// Statements on one server, the least recently used first to go.
#[derive(Debug, Default)]
pub struct Prepared {
    held: AHashMap<u64, Held>,
    clock: u64,
}

#[derive(Debug)]
struct Held {
    statement: Arc<Statement>,
    generation: u32,
    used: u64,
    /// The batch that makes it.
    batch: u64,
    /// The [age](Statement::schema_age) of schemas when it was made.
    schema_age: u64,
    /// The number of the copy among all servers' copies.
    copy: u64,
    /// What its rows look like; 0: it was not described here.
    shape: u64,
}

/// Whether a server holds a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holding {
    /// It does.
    Current,
    /// It holds a copy from before the statement went stale.
    Stale,
    /// It does not.
    Missing,
}

impl Prepared {
    /// Looks a statement up and counts it as used.
    pub fn touch(&mut self, statement: &Statement) -> Holding {
        self.clock += 1;
        match self.held.get_mut(&statement.id()) {
            Some(held) => {
                held.used = self.clock;
                if held.generation == statement.generation() {
                    Holding::Current
                } else {
                    Holding::Stale
                }
            }
            None => Holding::Missing,
        }
    }

    /// True when no client has changed a schema since the server's copy was made.
    pub fn is_fresh(&self, statement: &Statement) -> bool {
        let made = self.held.get(&statement.id()).map(|held| held.schema_age);
        made == Some(statement.schema_age())
    }

    /// What the rows of the server's copy look like, if it is current and was described.
    pub fn shape(&self, statement: &Statement) -> Option<u64> {
        let held = self.held.get(&statement.id())?;
        let known = held.generation == statement.generation() && held.shape != 0;
        known.then_some(held.shape)
    }

    /// The [number](Statement::new_copy) of the server's copy; 0 without one.
    pub fn copy(&self, statement: &Statement) -> u64 {
        self.held.get(&statement.id()).map_or(0, |held| held.copy)
    }

    /// The server has described its copy.
    pub fn describe(&mut self, statement: &Statement, shape: u64) {
        if let Some(held) = self.held.get_mut(&statement.id()) {
            held.shape = shape;
        }
    }

    /// True when the statement of this id is held, in whatever state.
    pub fn holds(&self, id: u64) -> bool {
        self.held.contains_key(&id)
    }

    /// The batch that makes a statement, while it is held.
    pub fn batch(&self, statement: &Statement) -> Option<u64> {
        self.held.get(&statement.id()).map(|held| held.batch)
    }

    /// Enters a statement that is being parsed, in this batch.
    pub fn insert(&mut self, statement: &Arc<Statement>, batch: u64) {
        self.clock += 1;
        let held = Held {
            statement: Arc::clone(statement),
            generation: statement.generation(),
            used: self.clock,
            batch,
            schema_age: statement.schema_age(),
            copy: statement.new_copy(),
            shape: 0,
        };
        self.held.insert(statement.id(), held);
    }

    /// Forgets a statement.
    pub fn remove(&mut self, statement: &Statement) {
        self.held.remove(&statement.id());
    }

    /// Takes back what was entered for a request that failed or was never executed.
    pub fn undo(&mut self, entry: &Entry) {
        let Some(statement) = &entry.statement else { return };
        match (entry.request, entry.origin) {
            // A later batch may have made it again.
            (Request::Parse, Origin::Client | Origin::Injected)
                if self.batch(statement) == Some(entry.batch) =>
            {
                self.remove(statement);
            }
            (Request::Close, Origin::Injected) if !self.holds(statement.id()) => {
                self.insert(statement, entry.batch);
            }
            _ => {}
        }
    }

    /// Forgets all statements.
    pub fn clear(&mut self) {
        self.held.clear();
    }

    /// Takes out the least recently used statement if there are `limit` or more.
    pub fn evict(&mut self, limit: usize) -> Option<Arc<Statement>> {
        if self.held.len() < limit.max(1) {
            return None;
        }
        let oldest = self.held.iter().min_by_key(|(_, held)| held.used).map(|(&id, _)| id)?;
        self.held.remove(&oldest).map(|held| held.statement)
    }

    /// How many statements the server holds.
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// True when it holds none.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::session::statement::Statements;

    #[test]
    fn the_least_recently_used_goes_first() {
        let statements = Statements::new(1 << 20);
        let make = |text: &str| statements.intern(text.as_bytes(), b"").expect("fits");
        let (a, b, c) = (make("a"), make("b"), make("c"));
        let mut prepared = Prepared::default();
        prepared.insert(&a, 0);
        prepared.insert(&b, 0);
        assert_eq!(prepared.touch(&a), Holding::Current);
        assert_eq!(prepared.evict(2).map(|statement| statement.id()), Some(b.id()));
        assert!(prepared.evict(2).is_none());
        assert_eq!(prepared.touch(&c), Holding::Missing);
    }

    #[test]
    fn an_outdated_statement_is_stale_until_parsed_again() {
        let statements = Statements::new(1 << 20);
        let a = statements.intern(b"a", b"").expect("fits");
        let mut prepared = Prepared::default();
        prepared.insert(&a, 0);
        a.outdate();
        assert_eq!(prepared.touch(&a), Holding::Stale);
        prepared.insert(&a, 0);
        assert_eq!(prepared.touch(&a), Holding::Current);
    }
}
