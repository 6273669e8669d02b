//! Clients that keep their servers: why, since when, and how often it happened.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use super::{PinsByCause, Records};

/// Why a client keeps its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Cause {
    /// `PREPARE`.
    Prepare,
    /// A session's advisory lock.
    AdvisoryLock,
    /// A temporary object.
    TempObject,
    /// A cursor `WITH HOLD`.
    HoldCursor,
    /// What `currval` and `lastval` know.
    Sequence,
    /// `LOAD`.
    Load,
    /// `setseed`.
    Seed,
    /// A replication origin.
    ReplicationOrigin,
    /// `SET SESSION AUTHORIZATION`.
    SessionAuthorization,
    /// A prepared statement of the protocol that cannot be shared.
    Statement,
    /// It cannot be told what the session holds.
    Unknown,
    /// The client asked for a session of its own.
    Session,
}

impl Cause {
    /// All causes, in the order of their numbers.
    pub const ALL: [Cause; 12] = [
        Cause::Prepare,
        Cause::AdvisoryLock,
        Cause::TempObject,
        Cause::HoldCursor,
        Cause::Sequence,
        Cause::Load,
        Cause::Seed,
        Cause::ReplicationOrigin,
        Cause::SessionAuthorization,
        Cause::Statement,
        Cause::Unknown,
        Cause::Session,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::Prepare => "prepare",
            Cause::AdvisoryLock => "advisory_lock",
            Cause::TempObject => "temp_object",
            Cause::HoldCursor => "hold_cursor",
            Cause::Sequence => "sequence",
            Cause::Load => "load",
            Cause::Seed => "setseed",
            Cause::ReplicationOrigin => "replication_origin",
            Cause::SessionAuthorization => "session_authorization",
            Cause::Statement => "statement",
            Cause::Unknown => "unknown",
            Cause::Session => "session",
        }
    }

    /// What it is, for a message.
    pub fn describe(self) -> &'static str {
        match self {
            Cause::Prepare => "a statement prepared with PREPARE",
            Cause::AdvisoryLock => "a session-level advisory lock",
            Cause::TempObject => "a temporary object",
            Cause::HoldCursor => "a cursor WITH HOLD",
            Cause::Sequence => "the sequence state of currval() and lastval()",
            Cause::Load => "a loaded library",
            Cause::Seed => "the seed of random()",
            Cause::ReplicationOrigin => "a replication origin",
            Cause::SessionAuthorization => "another session user",
            Cause::Statement => "a prepared statement that is too large to be shared",
            Cause::Unknown => "what its text does not tell",
            Cause::Session => "a session of its own",
        }
    }
}

/// A set of causes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Causes(u16);

impl Causes {
    /// Nothing.
    pub const NONE: Causes = Causes(0);

    /// One cause.
    pub const fn of(cause: Cause) -> Self {
        Causes(1 << cause as u16)
    }

    /// True when there is nothing in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when this cause is in it.
    pub fn has(self, cause: Cause) -> bool {
        self.0 & Causes::of(cause).0 != 0
    }

    /// What is in both.
    #[must_use]
    pub const fn and(self, others: Causes) -> Causes {
        Causes(self.0 & others.0)
    }

    /// What is in either.
    #[must_use]
    pub const fn or(self, others: Causes) -> Causes {
        Causes(self.0 | others.0)
    }

    /// What is in this one alone.
    #[must_use]
    pub const fn without(self, others: Causes) -> Causes {
        Causes(self.0 & !others.0)
    }

    /// Each cause.
    pub fn iter(self) -> impl Iterator<Item = Cause> {
        Cause::ALL.into_iter().filter(move |&cause| self.has(cause))
    }
}

impl From<Cause> for Causes {
    fn from(cause: Cause) -> Self {
        Causes::of(cause)
    }
}

/// The pins of one pool.
#[derive(Debug, Default)]
pub struct PoolPins {
    now: AtomicUsize,
    begun: [AtomicU64; Cause::ALL.len()],
    micros: [AtomicU64; Cause::ALL.len()],
    /// State that was let through under the policy `warn`.
    warned: [AtomicU64; Cause::ALL.len()],
}

impl PoolPins {
    /// Clients that keep their servers now.
    pub fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    /// Pins begun, by cause.
    fn begun(&self, cause: Cause) -> u64 {
        self.begun.get(cause as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Time pinned, by cause, in microseconds; of pins that are over.
    fn micros(&self, cause: Cause) -> u64 {
        self.micros.get(cause as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Statements let through with a warning, by cause.
    fn warned(&self, cause: Cause) -> u64 {
        self.warned.get(cause as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// All of that by cause.
    pub fn by_cause(&self) -> Vec<PinsByCause> {
        let facts = |cause: Cause| PinsByCause {
            cause: cause.as_str(),
            begun: self.begun(cause),
            micros: self.micros(cause),
            warned: self.warned(cause),
        };
        Cause::ALL.map(facts).to_vec()
    }

    /// Lets statements through.
    pub fn warn(&self, causes: Causes) {
        for count in causes.iter().filter_map(|cause| self.warned.get(cause as usize)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A client wants to keep its server; `None` when `limit` of them do.
    pub fn pin(
        self: &Arc<Self>,
        records: &Arc<Records>,
        limit: usize,
        facts: PinFacts,
    ) -> Option<PinGuard> {
        let one_more = |now: usize| (now < limit).then_some(now + 1);
        self.now.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        let mut guard = PinGuard {
            pins: Arc::clone(self),
            records: Arc::clone(records),
            client: facts.client,
            causes: Causes::NONE,
            shown: facts.causes,
            since: facts.since,
        };
        let causes = facts.causes;
        records.pins.enter(facts);
        guard.add(causes);
        Some(guard)
    }
}

/// A client that keeps its server. Dropping it ends the pin.
#[derive(Debug)]
pub struct PinGuard {
    pins: Arc<PoolPins>,
    records: Arc<Records>,
    client: u64,
    /// All it was pinned for so far.
    causes: Causes,
    /// What the console shows.
    shown: Causes,
    since: Instant,
}

impl PinGuard {
    /// The causes are these now.
    pub fn change(&mut self, causes: Causes) {
        if causes != self.shown {
            self.add(causes);
            self.records.pins.change(self.client, causes);
            self.shown = causes;
        }
    }

    fn add(&mut self, causes: Causes) {
        for cause in causes.without(self.causes).iter() {
            if let Some(count) = self.pins.begun.get(cause as usize) {
                count.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.causes = self.causes.or(causes);
    }

    /// When it began.
    pub fn since(&self) -> Instant {
        self.since
    }
}

impl Drop for PinGuard {
    fn drop(&mut self) {
        self.pins.now.fetch_sub(1, Ordering::Relaxed);
        let micros = u64::try_from(self.since.elapsed().as_micros()).unwrap_or(u64::MAX);
        for count in self.causes.iter().filter_map(|cause| self.pins.micros.get(cause as usize)) {
            count.fetch_add(micros, Ordering::Relaxed);
        }
        self.records.pins.leave(self.client);
    }
}

/// A client that keeps its server, as the console shows it.
#[derive(Clone, Debug)]
pub struct PinFacts {
    /// The client's number.
    pub client: u64,
    /// The server's number.
    pub server: u64,
    /// Why.
    pub causes: Causes,
    /// The beginning of the statement that began it, literals left out.
    pub statement: Arc<str>,
    /// Since when.
    pub since: Instant,
}

/// Everybody who keeps a server.
#[derive(Debug, Default)]
pub struct PinBook(Mutex<std::collections::BTreeMap<u64, PinFacts>>);

impl PinBook {
    fn enter(&self, facts: PinFacts) {
        self.0.lock().insert(facts.client, facts);
    }

    fn change(&self, client: u64, causes: Causes) {
        if let Some(facts) = self.0.lock().get_mut(&client) {
            facts.causes = causes;
        }
    }

    fn leave(&self, client: u64) {
        self.0.lock().remove(&client);
    }

    /// All of them, by the client's number.
    pub fn all(&self) -> Vec<PinFacts> {
        self.0.lock().values().cloned().collect()
    }

    /// The clients, by number.
    pub fn clients(&self) -> std::collections::BTreeSet<u64> {
        self.0.lock().keys().copied().collect()
    }

    /// True when this client keeps its server.
    pub fn has(&self, client: u64) -> bool {
        self.0.lock().contains_key(&client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(client: u64, cause: Cause) -> PinFacts {
        let (statement, since) = ("select".into(), Instant::now());
        PinFacts { client, server: 1, causes: cause.into(), statement, since }
    }

    #[test]
    fn a_limit_holds_and_a_place_comes_back() {
        let (pins, records) = (Arc::<PoolPins>::default(), Arc::<Records>::default());
        let first = pins.pin(&records, 1, facts(1, Cause::Prepare)).expect("room");
        assert!(pins.pin(&records, 1, facts(2, Cause::Seed)).is_none());
        assert_eq!((pins.now(), records.pins.has(1), records.pins.has(2)), (1, true, false));
        drop(first);
        assert_eq!((pins.now(), records.pins.all().len()), (0, 0));
        assert!(pins.pin(&records, 1, facts(2, Cause::Seed)).is_some());
    }

    #[test]
    fn a_pin_counts_once_for_each_cause() {
        let (pins, records) = (Arc::<PoolPins>::default(), Arc::<Records>::default());
        let mut guard = pins.pin(&records, 1, facts(1, Cause::Prepare)).expect("room");
        guard.change(Causes::of(Cause::Prepare).or(Cause::Load.into()));
        guard.change(Cause::Load.into());
        let begun: Vec<_> = Cause::ALL.into_iter().filter(|&c| pins.begun(c) == 1).collect();
        assert_eq!(begun, [Cause::Prepare, Cause::Load]);
    }

    #[test]
    fn causes_are_a_set() {
        let both = Causes::of(Cause::Session).or(Cause::Prepare.into());
        assert_eq!(both.iter().collect::<Vec<_>>(), [Cause::Prepare, Cause::Session]);
        assert!(both.without(Cause::Prepare.into()).has(Cause::Session));
        assert!(both.and(Cause::Load.into()).is_empty());
    }

    #[test]
    fn numbers_follow_the_list() {
        for (at, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, at);
        }
    }
}
