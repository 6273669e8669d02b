//! Who waits, class by class, and whose turn is next. Pure; time comes in as an argument.
//!
//! Within a class the first to come is the first to be served. Between classes: one that has fewer servers than its
//! minimum comes first, then the higher priority, and classes of one priority share the servers' time by their weights
//! (start-time fair queueing: a class that is served pays with virtual time, the longer it holds a server the more, and
//! the class that has paid least is next). A class that has as many servers as it may have is passed over, and no
//! server is kept free for a class that does not ask for one.

use std::time::{Duration, Instant};

use super::class::{Class, ClassRules, Place, micros};
use crate::stats::{Buckets, ClassFacts, Histogram};
use crate::types::{Name, WorkerId};

/// A class of a pool's clients, by its place in the pool's list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClassId(u16);

impl ClassId {
    /// The class of those who belong to no other.
    pub const EVERYBODY: ClassId = ClassId(0);
}

/// A place in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TicketNumber {
    class: ClassId,
    number: u64,
}

/// A server in a client's hands, on the account of the client's class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Use {
    /// The class.
    pub class: ClassId,
    /// Virtual time that the class has paid in advance.
    paid: u32,
}

/// A place as others see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceFacts<W> {
    /// Who waits.
    pub waiter: W,
    /// In which class.
    pub class: ClassId,
    /// How many of the class come first.
    pub ahead: usize,
    /// Since when.
    pub since: Instant,
    /// How long the wait is likely to go on; `None` if there is nothing to tell it by.
    pub expected: Option<Duration>,
}

/// The queues of all classes.
#[derive(Debug)]
pub(super) struct Queues<W> {
    classes: Vec<Class<W>>,
    waiting: usize,
    /// Virtual time: what the class that was served last had paid.
    clock: u64,
}

impl<W> Queues<W> {
    /// One class, which everybody belongs to.
    pub(super) fn new() -> Self {
        Queues { classes: vec![Class::new(ClassRules::default())], waiting: 0, clock: 0 }
    }

    /// Puts other rules in force. A class that is not named any more has no rules but keeps its waiters. Waits are
    /// counted in these buckets where there are several classes.
    pub(super) fn set_rules(&mut self, rules: &[ClassRules], buckets: &Buckets) {
        for class in &mut self.classes {
            let name = Name::clone(&class.rules.name);
            class.rules = ClassRules { name, ..ClassRules::default() };
        }
        for rules in rules {
            match self.class_mut(&rules.name) {
                Some(class) => class.rules = rules.clone(),
                None => self.classes.push(Class::new(rules.clone())),
            }
        }
        if self.classes.len() > 1 {
            for class in &mut self.classes {
                class.waits.get_or_insert_with(|| Histogram::new(buckets));
            }
        }
    }

    fn class_mut(&mut self, name: &str) -> Option<&mut Class<W>> {
        self.classes.iter_mut().find(|class| class.rules.name.as_ref() == name)
    }

    /// The class of this name; that of everybody if there is none.
    pub(super) fn id(&self, name: &str) -> ClassId {
        let at = self.classes.iter().position(|class| class.rules.name.as_ref() == name);
        ClassId(at.and_then(|at| u16::try_from(at).ok()).unwrap_or_default())
    }

    /// What a class is called.
    pub(super) fn name(&self, id: ClassId) -> Name {
        let class = self.classes.get(usize::from(id.0));
        class.map_or_else(|| ClassRules::default().name, |class| Name::clone(&class.rules.name))
    }

    fn get(&mut self, id: ClassId) -> Option<&mut Class<W>> {
        self.classes.get_mut(usize::from(id.0))
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// How many wait in a class, and how long one who came now would have to.
    pub(super) fn outlook(&self, id: ClassId, now: Instant) -> (usize, Option<Duration>) {
        let class = self.classes.get(usize::from(id.0));
        class.map_or((0, None), |class| (class.waiting, class.expected(class.waiting, now)))
    }

    /// How many of those who wait could use a server now.
    pub(super) fn eligible(&self) -> usize {
        self.classes.iter().map(|class| class.waiting.min(class.room())).sum()
    }

    /// True when somebody of this class who comes now may take a free server.
    pub(super) fn may_pass(&self, id: ClassId) -> bool {
        let Some(class) = self.classes.get(usize::from(id.0)) else { return false };
        (self.waiting == 0 || (class.waiting == 0 && self.eligible() == 0)) && class.room() > 0
    }

    /// How long the first of those has waited who could use a server now.
    pub(super) fn eligible_wait(&self, now: Instant) -> Duration {
        let able = self.classes.iter().filter(|class| class.room() > 0);
        oldest(able, now)
    }

    /// How long the first of all has waited.
    pub(super) fn oldest_wait(&self, now: Instant) -> Duration {
        oldest(self.classes.iter(), now)
    }

    /// Takes a place.
    pub(super) fn enqueue(
        &mut self,
        id: ClassId,
        waiter: W,
        worker: WorkerId,
        now: Instant,
    ) -> TicketNumber {
        let known = usize::from(id.0) < self.classes.len();
        let class = if known { id } else { ClassId::default() };
        let Some(line) = self.get(class) else { unreachable!("there is always one class") };
        if line.waiting == 0 {
            line.begin();
        }
        line.queue.push_back(Some(Place { waiter, worker, since: now }));
        line.waiting += 1;
        let number = line.front + line.queue.len() as u64 - 1;
        self.waiting += 1;
        TicketNumber { class, number }
    }

    /// Gives a place up. `None`: its turn had already come.
    pub(super) fn forget(&mut self, ticket: TicketNumber) -> Option<W> {
        let class = self.get(ticket.class)?;
        let at = usize::try_from(ticket.number.checked_sub(class.front)?).ok()?;
        let place = class.queue.get_mut(at)?.take()?;
        class.left();
        self.waiting -= 1;
        Some(place.waiter)
    }

    /// Everybody is sent away.
    pub(super) fn dismiss_all(&mut self) -> Vec<W> {
        self.waiting = 0;
        let mut dismissed = Vec::new();
        for class in &mut self.classes {
            class.waiting = 0;
            class.front += class.queue.len() as u64;
            dismissed.extend(class.queue.drain(..).flatten().map(|place| place.waiter));
        }
        dismissed
    }

    /// The next to be served by a server of `worker`'s.
    pub(super) fn next(&mut self, worker: WorkerId, now: Instant) -> Option<(W, Use)> {
        if self.waiting == 0 {
            return None;
        }
        let id = self.whose_turn()?;
        let place = self.get(id)?.take(worker, now)?;
        self.waiting -= 1;
        Some((place.waiter, self.serve(id)))
    }

    fn whose_turn(&self) -> Option<ClassId> {
        if self.classes.len() == 1 {
            return self.classes.first().filter(|class| class.room() > 0).map(|_| ClassId(0));
        }
        let able = self.classes.iter().enumerate();
        let able = able.filter(|(_, class)| class.waiting > 0 && class.room() > 0);
        let rank = |class: &Class<W>| {
            let served = class.running >= class.rules.min;
            let priority = u8::MAX - class.rules.priority;
            (served, priority, class.paid.max(self.clock), class.first().map(|place| place.since))
        };
        let next = able.min_by_key(|(_, class)| rank(class))?.0;
        u16::try_from(next).ok().map(ClassId)
    }

    /// Enters a server as being in the hands of a client of this class.
    pub(super) fn serve(&mut self, id: ClassId) -> Use {
        let clock = self.clock;
        let Some(class) = self.get(id) else { return Use { class: id, paid: 0 } };
        class.running += 1;
        let start = class.paid.max(clock);
        let paid = u32::try_from(class.cost(class.hold.0.unwrap_or_default())).unwrap_or(u32::MAX);
        class.paid = start.saturating_add(paid.into());
        self.clock = start;
        Use { class: id, paid }
    }

    /// A client gives its server back: its class pays for the time it had it.
    pub(super) fn finish(&mut self, used: Use, held: Duration) {
        let Some(class) = self.get(used.class) else { return };
        class.running -= 1;
        class.hold.add(held);
        let due = class.cost(micros(held));
        class.paid = class.paid.saturating_add(due).saturating_sub(used.paid.into());
    }

    /// What each class has and wants; nothing where there is but one.
    pub(super) fn classes(&self, now: Instant) -> Vec<ClassFacts> {
        let classes = self.classes.iter().filter(|_| self.classes.len() > 1);
        let facts = classes.map(|class| ClassFacts {
            name: Name::clone(&class.rules.name),
            waiting: class.waiting,
            oldest_wait: oldest(std::iter::once(class), now),
            servers: class.running,
            assigned: class.assigned,
            waits: class.waits.as_ref().map(Histogram::total).unwrap_or_default(),
        });
        facts.collect()
    }

    /// A client of this class was given a server and did not have to wait.
    pub(super) fn lent_at_once(&mut self, id: ClassId) {
        if let Some(class) = self.get(id) {
            class.was_given(Duration::ZERO);
        }
    }

    /// The server was not given to the client after all.
    pub(super) fn revoke(&mut self, used: Use) {
        let Some(class) = self.get(used.class) else { return };
        class.running -= 1;
        class.paid = class.paid.saturating_sub(used.paid.into());
    }

    /// Everybody who waits, those of one class in the order of their turns.
    pub(super) fn places(&self, now: Instant) -> Vec<PlaceFacts<W>>
    where
        W: Clone,
    {
        let mut all = Vec::with_capacity(self.waiting);
        for (at, class) in self.classes.iter().enumerate() {
            let id = ClassId(u16::try_from(at).unwrap_or_default());
            for (ahead, place) in class.queue.iter().flatten().enumerate() {
                all.push(PlaceFacts {
                    waiter: place.waiter.clone(),
                    class: id,
                    ahead,
                    since: place.since,
                    expected: class.expected(ahead, now),
                });
            }
        }
        all
    }
}

fn oldest<'a, W: 'a>(classes: impl Iterator<Item = &'a Class<W>>, now: Instant) -> Duration {
    let waits = classes.filter_map(|class| class.first());
    waits.map(|place| now.saturating_duration_since(place.since)).max().unwrap_or_default()
}

#[cfg(test)]
#[path = "queues_tests.rs"]
mod tests;
