//! Timeouts of thousands of tasks, from one tick.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::types::Timeout;

/// How exact a deadline is.
pub const TICK: Duration = Duration::from_millis(50);

const NEVER: u64 = u64::MAX;

/// The deadlines of one thread. Arming one is a store; the [tick](Deadlines::tick) looks at all of them, which for
/// ten thousand costs less than one timer system call per query would.
#[derive(Debug)]
pub struct Deadlines {
    start: Instant,
    now: Cell<u64>,
    entries: RefCell<Slab<Entry>>,
}

#[derive(Debug)]
struct Entry {
    due: u64,
    waker: Option<Waker>,
}

impl Default for Deadlines {
    fn default() -> Self {
        Deadlines { start: Instant::now(), now: Cell::new(0), entries: RefCell::default() }
    }
}

impl Deadlines {
    /// A place for one task's deadline.
    pub fn register(self: &Rc<Self>) -> Deadline {
        let key = self.entries.borrow_mut().insert(Entry { due: NEVER, waker: None });
        Deadline { key, due: NEVER, owner: Rc::clone(self) }
    }

    /// How many tasks have a deadline's place.
    pub fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// True without any.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads the clock and wakes the tasks whose deadline has come. To be called every [`TICK`].
    pub fn tick(&self) {
        self.tick_at(Instant::now());
    }

    /// The clock at the last tick, since the deadlines were made.
    pub fn elapsed(&self) -> Duration {
        Duration::from_millis(self.now.get())
    }

    fn tick_at(&self, now: Instant) {
        let now = millis(now.saturating_duration_since(self.start));
        self.now.set(now);
        let mut entries = self.entries.borrow_mut();
        for (_, entry) in entries.iter_mut() {
            if entry.due <= now
                && let Some(waker) = &entry.waker
            {
                waker.wake_by_ref();
            }
        }
    }
}

/// One task's deadline. Dropping it gives its place back.
#[derive(Debug)]
pub struct Deadline {
    key: usize,
    due: u64,
    owner: Rc<Deadlines>,
}

impl Deadline {
    /// Sets the deadline `timeout` from the last tick; `None` clears it.
    pub fn arm(&mut self, timeout: Timeout) {
        let due = match timeout {
            // One tick more, since the clock may be one tick behind: a timeout is never early.
            Some(timeout) => self.owner.now.get() + millis(timeout) + millis(TICK),
            None => NEVER,
        };
        if due != self.due {
            self.due = due;
            if let Some(entry) = self.owner.entries.borrow_mut().get_mut(self.key) {
                entry.due = due;
            }
        }
    }

    /// True while a deadline is set.
    pub fn is_armed(&self) -> bool {
        self.due != NEVER
    }

    /// True once the deadline has passed.
    pub fn is_over(&self) -> bool {
        self.due <= self.owner.now.get()
    }

    /// Remembers whom to wake.
    pub fn watch(&self, cx: &Context<'_>) {
        if let Some(entry) = self.owner.entries.borrow_mut().get_mut(self.key) {
            match &entry.waker {
                Some(waker) if waker.will_wake(cx.waker()) => {}
                _ => entry.waker = Some(cx.waker().clone()),
            }
        }
    }
}

impl Drop for Deadline {
    fn drop(&mut self) {
        self.owner.entries.borrow_mut().try_remove(self.key);
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deadline_is_never_early_and_at_most_two_ticks_late() {
        let deadlines = Rc::new(Deadlines::default());
        let start = deadlines.start;
        let mut deadline = deadlines.register();
        deadline.arm(Some(Duration::from_millis(100)));
        deadlines.tick_at(start + Duration::from_millis(100));
        assert!(!deadline.is_over());
        deadlines.tick_at(start + Duration::from_millis(150));
        assert!(deadline.is_over());
    }

    #[test]
    fn a_cleared_deadline_never_comes() {
        let deadlines = Rc::new(Deadlines::default());
        let mut deadline = deadlines.register();
        deadline.arm(Some(Duration::from_millis(1)));
        deadline.arm(None);
        deadlines.tick_at(deadlines.start + Duration::from_secs(3600));
        assert!(!deadline.is_over());
    }

    #[test]
    fn places_are_given_back() {
        let deadlines = Rc::new(Deadlines::default());
        drop(deadlines.register());
        assert!(deadlines.entries.borrow().is_empty());
    }
}
