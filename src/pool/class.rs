//! One class of clients in a pool: what it is entitled to, who of it waits, what it has had. Pure.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::stats::Histogram;
use crate::types::{Name, WorkerId};

/// A waiter on the worker that gives a server back may overtake waiters of other workers by this many places: moving a
/// server between threads costs a registration of its socket.
pub(super) const OVERTAKE_PLACES: usize = 64;
/// And by no more than this much waiting time.
pub(super) const OVERTAKE_TIME: Duration = Duration::from_millis(1);

/// One sample counts for this much in a moving average.
const SHARE: u64 = 16;

/// What a class is entitled to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassRules {
    /// What it is called.
    pub name: Name,
    /// Its part of the servers' time, against classes of its priority.
    pub weight: u32,
    /// While it has fewer servers than this and wants one, it is next.
    pub min: usize,
    /// It never has more servers than this.
    pub max: Option<usize>,
    /// A class of a higher priority is served before one of a lower.
    pub priority: u8,
}

impl Default for ClassRules {
    fn default() -> Self {
        ClassRules { name: "default".into(), weight: 1, min: 0, max: None, priority: 0 }
    }
}

/// A waiter and the facts about it.
#[derive(Debug)]
pub(super) struct Place<W> {
    pub(super) waiter: W,
    pub(super) worker: WorkerId,
    pub(super) since: Instant,
}

#[derive(Debug)]
pub(super) struct Class<W> {
    pub(super) rules: ClassRules,
    pub(super) queue: VecDeque<Option<Place<W>>>,
    /// The number of the ticket at the queue's front.
    pub(super) front: u64,
    pub(super) waiting: usize,
    /// Servers in the hands of its clients.
    pub(super) running: usize,
    /// Virtual time that it has paid.
    pub(super) paid: u64,
    /// How long its clients keep a server, in microseconds.
    pub(super) hold: Average,
    /// How long it takes from one turn of the present queue to the next, in microseconds.
    pub(super) pace: Average,
    /// When somebody of the present queue was served last; `None` if nobody was yet.
    pub(super) turned: Option<Instant>,
    /// Servers given to its clients.
    pub(super) assigned: u64,
    /// How long those waited; counted where there are several classes.
    pub(super) waits: Option<Histogram>,
}

/// A moving average of microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Average(pub(super) Option<u64>);

impl Average {
    pub(super) fn add(&mut self, sample: Duration) {
        let sample = micros(sample);
        self.0 = Some(match self.0 {
            // Upwards rounded, or a small average would never grow by small samples.
            Some(old) => (old * (SHARE - 1) + sample).div_ceil(SHARE),
            None => sample,
        });
    }
}

impl<W> Class<W> {
    pub(super) fn new(rules: ClassRules) -> Self {
        Class {
            rules,
            queue: VecDeque::new(),
            front: 0,
            waiting: 0,
            running: 0,
            paid: 0,
            hold: Average::default(),
            pace: Average::default(),
            turned: None,
            assigned: 0,
            waits: None,
        }
    }

    /// Servers that it may have beside those that it has.
    pub(super) fn room(&self) -> usize {
        self.rules.max.map_or(usize::MAX, |max| max.saturating_sub(self.running))
    }

    pub(super) fn first(&self) -> Option<&Place<W>> {
        self.queue.front().and_then(Option::as_ref)
    }

    /// What so many microseconds cost.
    pub(super) fn cost(&self, time: u64) -> u64 {
        // Weights differ by small factors: the scale keeps their quotients apart.
        time.saturating_mul(1024) / u64::from(self.rules.weight.max(1))
    }

    /// Somebody left; the front of the queue is always somebody who is there.
    pub(super) fn left(&mut self) {
        self.waiting -= 1;
        while let Some(None) = self.queue.front() {
            self.queue.pop_front();
            self.front += 1;
        }
    }

    /// The first, or one of `worker`'s own not far behind.
    pub(super) fn take(&mut self, worker: WorkerId, now: Instant) -> Option<Place<W>> {
        let first = self.first()?.since;
        let reach =
            if now.saturating_duration_since(first) > OVERTAKE_TIME { 1 } else { OVERTAKE_PLACES };
        let near = self.queue.iter().take(reach);
        let own = near
            .map(Option::as_ref)
            .position(|place| place.is_some_and(|place| place.worker == worker));
        let place = self.queue.get_mut(own.unwrap_or(0))?.take();
        if let Some(turned) = self.turned.replace(now) {
            self.pace.add(now.saturating_duration_since(turned));
        }
        if let Some(place) = &place {
            self.was_given(now.saturating_duration_since(place.since));
        }
        self.left();
        place
    }

    /// A client of it was given a server after this wait.
    pub(super) fn was_given(&mut self, wait: Duration) {
        self.assigned += 1;
        if let Some(waits) = &self.waits {
            waits.observe(wait);
        }
    }

    /// A queue forms. What was measured of the one before says nothing about it; how long its clients keep their
    /// servers does.
    pub(super) fn begin(&mut self) {
        self.turned = None;
        self.pace = self.usual_pace();
    }

    /// The pace that the servers allow which the class has now.
    fn usual_pace(&self) -> Average {
        let servers = u64::try_from(self.running.max(1)).unwrap_or(1);
        Average(self.hold.0.map(|hold| hold / servers))
    }

    /// How long somebody with so many in front of it is likely to wait yet.
    pub(super) fn expected(&self, ahead: usize, now: Instant) -> Option<Duration> {
        let queue = if self.waiting > 0 { self.pace } else { Average::default() };
        let pace = queue.0.or(self.usual_pace().0)?;
        // A turn that is overdue is a sign that nothing moves.
        let turned = self.turned.into_iter().chain(self.first().map(|first| first.since)).max();
        let since = turned.filter(|_| self.waiting > 0);
        let since = since.map_or(0, |turned| micros(now.saturating_duration_since(turned)));
        let turns = u64::try_from(ahead).unwrap_or(u64::MAX).saturating_add(1);
        let time = pace.saturating_mul(turns).saturating_add(since.saturating_sub(pace));
        Some(Duration::from_micros(time))
    }
}

pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
