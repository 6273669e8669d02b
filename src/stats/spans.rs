//! Spans: what a login or a transaction took, for those that are sampled.
//!
//! While tracing is off, a transaction costs a look at a flag. While it is on, what is known of a transaction stands in
//! a few fields of its server until it ends; only then is it decided whether it becomes spans, and only then is memory
//! taken. Spans go through a bounded queue: whoever exports them may be slow, or gone.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::mpsc;

use super::{ClientRecord, ServerRecord, TraceParent};
use crate::types::Name;

/// What is known of a transaction that may become a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traced {
    /// When its client asked for a server, or for the transaction if it had one; `None`: tracing is off.
    asked: Option<Instant>,
    /// How long it waited for the server.
    waited: Duration,
    /// What its statements say.
    parent: Option<TraceParent>,
}

impl Traced {
    /// A transaction whose client `asked` then, and waited so long for its server.
    pub fn open(asked: Instant, waited: Duration) -> Self {
        Traced { asked: Some(asked), waited, parent: None }
    }

    /// True when there is something to end.
    pub fn is_open(&self) -> bool {
        self.asked.is_some()
    }

    /// A statement of it. The first that names a trace says which.
    pub fn note(&mut self, sql: &[u8]) {
        if self.asked.is_none() {
            *self = Traced::open(Instant::now(), Duration::ZERO);
        }
        if self.parent.is_none() {
            self.parent = TraceParent::find(sql);
        }
    }
}

/// Where a span stands in its trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The trace.
    pub trace: u128,
    /// The span.
    pub span: u64,
    /// The span above it; 0 for none.
    pub parent: u64,
}

/// Something that took time.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Where it stands.
    pub identity: Identity,
    /// What it is.
    pub name: &'static str,
    /// When it began.
    pub began: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// It did not end well.
    pub failed: bool,
    /// What is known of it.
    pub facts: Vec<(&'static str, Fact)>,
}

/// A span's attribute.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// A text.
    Text(String),
    /// A whole number.
    Count(i64),
    /// A time in seconds.
    Seconds(f64),
}

/// Decides what becomes a span, and takes it.
#[derive(Debug, Default)]
pub struct Tracer {
    is_on: AtomicBool,
    /// The part of 2^32 that is sampled.
    share: AtomicU64,
    /// Where random numbers are.
    state: AtomicU64,
    queue: OnceLock<mpsc::Sender<Span>>,
    dropped: AtomicU64,
}

impl Tracer {
    /// Begins, with a queue of so many spans; what comes out of it is to be exported. `None`: it was begun before.
    pub fn begin(&self, room: usize, ratio: f64, seed: u64) -> Option<mpsc::Receiver<Span>> {
        let (sender, receiver) = mpsc::channel(room.max(1));
        self.queue.set(sender).ok()?;
        self.state.store(seed, Ordering::Relaxed);
        self.set_ratio(ratio);
        self.is_on.store(true, Ordering::Relaxed);
        Some(receiver)
    }

    /// Changes the part of those without a parent that is sampled.
    pub fn set_ratio(&self, ratio: f64) {
        const WHOLE: f64 = 4_294_967_296.0;
        self.share.store((ratio.clamp(0.0, 1.0) * WHOLE) as u64, Ordering::Relaxed);
    }

    /// True while transactions may become spans.
    pub fn is_on(&self) -> bool {
        self.is_on.load(Ordering::Relaxed)
    }

    /// Spans for which there was no room.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Spans that were taken and did not reach anybody.
    pub fn lose(&self, count: usize) {
        self.dropped.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// A login has ended.
    pub fn login(&self, since: Instant, result: &'static str, method: &str, names: (&Name, &Name)) {
        let Some(identity) = self.decide(None) else { return };
        let took = since.elapsed();
        let mut facts = about(names.0, names.1);
        facts.push(("pgusher.login.method", Fact::Text(method.to_owned())));
        facts.push(("pgusher.outcome", Fact::Text(result.to_owned())));
        let (began, failed) = (SystemTime::now() - took, result != "ok");
        self.emit(Span { identity, name: "login", began, took, failed, facts });
    }

    /// A wait has ended without a server. `sql`: what is known of what the client wanted to ask.
    pub fn waited_in_vain(
        &self,
        client: &ClientRecord,
        sql: &[u8],
        asked: Instant,
        outcome: &'static str,
    ) {
        let Some(identity) = self.decide(TraceParent::find(sql)) else { return };
        let took = asked.elapsed();
        let facts = of_client(client, outcome);
        let began = SystemTime::now() - took;
        self.emit(Span { identity, name: "queue wait", began, took, failed: true, facts });
    }

    /// A transaction has ended.
    pub fn transaction(
        &self,
        traced: Traced,
        client: &ClientRecord,
        server: &ServerRecord,
        outcome: &'static str,
    ) {
        let Traced { asked: Some(asked), waited, parent } = traced else { return };
        let Some(identity) = self.decide(parent) else { return };
        let took = asked.elapsed();
        let began = SystemTime::now() - took;
        let mut facts = of_client(client, outcome);
        facts.push(("server.address", Fact::Text(server.address.host())));
        facts.push(("server.port", Fact::Count(server.address.port().into())));
        facts.push(("pgusher.server.pid", Fact::Count(server.pid.into())));
        facts.push(("pgusher.queue_wait", Fact::Seconds(waited.as_secs_f64())));
        let failed = outcome != "commit";
        self.emit(Span { identity, name: "transaction", began, took, failed, facts });
        if !waited.is_zero() {
            let identity = Identity { span: self.number(), parent: identity.span, ..identity };
            let facts = of_client(client, "assigned");
            self.emit(Span {
                identity,
                name: "queue wait",
                began,
                took: waited,
                failed: false,
                facts,
            });
        }
    }

    /// Whether something becomes a span: as its parent says, or by chance if it has none.
    fn decide(&self, parent: Option<TraceParent>) -> Option<Identity> {
        match parent {
            Some(TraceParent { trace, span, is_sampled: true }) => {
                Some(Identity { trace, span: self.number(), parent: span })
            }
            Some(_) => None,
            None => {
                let chance = self.number() >> 32;
                (self.is_on() && chance < self.share.load(Ordering::Relaxed)).then(|| Identity {
                    trace: u128::from(self.number()) << 64 | u128::from(self.number()),
                    span: self.number(),
                    parent: 0,
                })
            }
        }
    }

    fn emit(&self, span: Span) {
        if self.queue.get().is_none_or(|queue| queue.try_send(span).is_err()) {
            self.lose(1);
        }
    }

    /// A number that looks like chance, not 0 (splitmix64).
    fn number(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).max(1)
    }
}

fn about(database: &Name, user: &Name) -> Vec<(&'static str, Fact)> {
    let text = |name: &Name| Fact::Text(name.as_ref().to_owned());
    vec![
        ("db.system.name", Fact::Text("postgresql".to_owned())),
        ("db.namespace", text(database)),
        ("pgusher.user", text(user)),
    ]
}

fn of_client(client: &ClientRecord, outcome: &'static str) -> Vec<(&'static str, Fact)> {
    let mut facts = about(&client.database, &client.user);
    let application = client.application_name.lock().as_ref().to_owned();
    facts.push(("pgusher.application_name", Fact::Text(application)));
    facts.push(("pgusher.outcome", Fact::Text(outcome.to_owned())));
    facts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(tracer: &Tracer) {
        tracer.login(Instant::now(), "ok", "trust", (&"d".into(), &"u".into()));
    }

    #[test]
    fn a_share_is_sampled_and_what_finds_no_room_is_counted() {
        let tracer = Tracer::default();
        login(&tracer);
        assert!(!tracer.is_on(), "nobody has begun");
        let mut spans = tracer.begin(2_000, 0.25, 7).expect("the first time");
        assert!(tracer.begin(1, 1.0, 7).is_none());
        for _ in 0..4_000 {
            login(&tracer);
        }
        let sampled = spans.len();
        assert!((850..1_150).contains(&sampled), "a quarter of 4000: {sampled}");
        let (first, second) = (spans.try_recv().unwrap(), spans.try_recv().unwrap());
        assert_ne!(first.identity.trace, second.identity.trace);
        tracer.set_ratio(1.0);
        for _ in 0..2_000 {
            login(&tracer);
        }
        assert_eq!(tracer.dropped() as usize, sampled - 2);
        tracer.set_ratio(0.0);
        login(&tracer);
        assert_eq!(spans.len(), 2_000);
    }

    #[test]
    fn parents_decide_and_the_first_one_named_counts() {
        let tracer = Tracer::default();
        let _spans = tracer.begin(1, 0.0, 7);
        let mut traced = Traced::default();
        traced.note(b"begin");
        assert!(traced.is_open() && traced.parent.is_none());
        let sql =
            "select 1 /*traceparent='00-0000000000000000000000000000000a-000000000000000b-01'*/";
        traced.note(sql.as_bytes());
        traced.note(sql.replace("0a-", "0c-").as_bytes());
        let identity = tracer.decide(traced.parent).expect("its parent is sampled");
        assert_eq!((identity.trace, identity.parent), (0xa, 0xb));
        assert_eq!(tracer.decide(None), None, "the ratio is 0");
        let unsampled = traced.parent.map(|parent| TraceParent { is_sampled: false, ..parent });
        tracer.set_ratio(1.0);
        assert_eq!(tracer.decide(unsampled), None);
        assert!(tracer.decide(None).is_some());
    }
}
