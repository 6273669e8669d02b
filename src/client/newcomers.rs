//! Clients that have just come in.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

/// How long a newcomer may rest before it is parked. Most ask for something at once, and parking them for that would
/// cost more system calls than their login.
pub(super) const NEWCOMERS_PATIENCE: Duration = Duration::from_millis(200);

/// Newcomers that rest with tasks of their own. In a storm of logins the others are parked when they arrive: so many
/// tasks at once would take memory that is not needed afterwards.
const MOST: usize = 64;

/// The newcomers of one worker that have not asked for anything.
#[derive(Debug, Default)]
pub(super) struct Newcomers(Rc<Cell<usize>>);

/// A newcomer among them. Dropping it makes room for another one.
#[derive(Debug)]
pub(super) struct Newcomer(Rc<Cell<usize>>);

impl Newcomers {
    /// One more; `None` when there are many.
    pub(super) fn enter(&self) -> Option<Newcomer> {
        if self.0.get() >= MOST {
            return None;
        }
        self.0.set(self.0.get() + 1);
        Some(Newcomer(Rc::clone(&self.0)))
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_room_for_so_many_and_it_comes_back() {
        let newcomers = Newcomers::default();
        let mut inside: Vec<_> = std::iter::from_fn(|| newcomers.enter()).collect();
        assert_eq!(inside.len(), MOST);
        inside.pop();
        assert!(newcomers.enter().is_some());
    }
}
