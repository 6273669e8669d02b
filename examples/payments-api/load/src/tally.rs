//! What became of the requests.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde_json::{Value, json};

/// Kinds of errors that are kept apart; the rest are one.
const ERRORS: usize = 40;

/// Counts of one second or of one kind.
struct Part {
    times: Histogram<u64>,
    errors: u64,
}

impl Part {
    fn new() -> Self {
        // From a microsecond to two minutes, with three digits.
        let times = Histogram::new_with_bounds(1, 120_000_000, 3).expect("good bounds");
        Self { times, errors: 0 }
    }

    fn told(&self) -> Value {
        let ms = |quantile| self.times.value_at_quantile(quantile) as f64 / 1000.0;
        json!({
            "ok": self.times.len(), "errors": self.errors, "mean_ms": self.times.mean() / 1000.0,
            "p50_ms": ms(0.5), "p90_ms": ms(0.9), "p95_ms": ms(0.95), "p99_ms": ms(0.99), "max_ms": ms(1.0),
        })
    }
}

struct Counts {
    all: Part,
    kinds: BTreeMap<&'static str, Part>,
    seconds: Vec<Part>,
    errors: BTreeMap<String, u64>,
    named: BTreeMap<&'static str, u64>,
}

/// All counts of a run.
pub struct Tally {
    start: Instant,
    counts: Mutex<Counts>,
}

impl Tally {
    /// Nothing yet.
    pub fn new() -> Self {
        let counts = Counts {
            all: Part::new(),
            kinds: BTreeMap::new(),
            seconds: Vec::new(),
            errors: BTreeMap::new(),
            named: BTreeMap::new(),
        };
        Self { start: Instant::now(), counts: Mutex::new(counts) }
    }

    /// A request of `kind` that began at `begin` has ended, well or with an error.
    pub fn ended(&self, kind: &'static str, begin: Instant, error: Option<String>) {
        let took = begin.elapsed().as_micros() as u64;
        let second = self.start.elapsed().as_secs() as usize;
        let mut counts = self.counts.lock().expect("nobody panics with it");
        let Counts { all, kinds, seconds, errors, .. } = &mut *counts;
        while seconds.len() <= second {
            seconds.push(Part::new());
        }
        for part in [all, kinds.entry(kind).or_insert_with(Part::new), &mut seconds[second]] {
            match error {
                None => part.times.saturating_record(took),
                Some(_) => part.errors += 1,
            }
        }
        if let Some(text) = error {
            let known = errors.len() < ERRORS || errors.contains_key(&text);
            *errors.entry(if known { text } else { "others".into() }).or_default() += 1;
        }
    }

    /// Counts something that has a name of its own.
    pub fn note(&self, name: &'static str) {
        *self.counts.lock().expect("nobody panics with it").named.entry(name).or_default() += 1;
    }

    /// Requests that ended well, and errors.
    pub fn totals(&self) -> (u64, u64) {
        let counts = self.counts.lock().expect("nobody panics with it");
        (counts.all.times.len(), counts.all.errors)
    }

    /// Everything, for the report. Requests are counted per second of `asked`, the time in which new ones came.
    pub fn told(&self, users: usize, asked: Duration) -> Value {
        let counts = self.counts.lock().expect("nobody panics with it");
        let kinds: BTreeMap<_, _> =
            counts.kinds.iter().map(|(kind, part)| (kind, part.told())).collect();
        let seconds: Vec<_> = counts.seconds.iter().map(Part::told).collect();
        json!({
            "users": users, "seconds": asked.as_secs_f64(),
            "per_second": counts.all.times.len() as f64 / self.start.elapsed().as_secs_f64(),
            "all": counts.all.told(), "kinds": kinds, "timeline": seconds,
            "errors": counts.errors, "notes": counts.named,
        })
    }
}
