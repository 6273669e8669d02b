//! One look for everybody: however many browsers ask, the process is looked through once a second.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::body::Bytes;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::runtime::Handle;

use super::House;
use super::history::{History, STEP};
use crate::glance::{Glance, Load, Row};

/// So long a look is good for.
const FRESH: Duration = Duration::from_millis(900);
/// Rates are worked out over at least so long.
const SPAN: f64 = 2.0;
/// Rows of a table that are shown; the queue may be long.
const MOST: usize = 200;
/// What of the tables everybody may see. The rest is who people are, where they are and what they say.
const PUBLIC: [&str; 8] = [
    "database",
    "pool_user",
    "state",
    "held_seconds",
    "waited_seconds",
    "cause",
    "seconds",
    "count",
];

/// A look as it goes out.
#[derive(Clone)]
pub(super) struct Shot {
    /// For those who may see everything.
    pub(super) whole: Page,
    /// For everybody.
    pub(super) public: Page,
}

/// A body and its mark, by which a browser knows whether it has it already.
#[derive(Clone)]
pub(super) struct Page {
    pub(super) body: Bytes,
    pub(super) mark: String,
}

/// The last looks.
pub(super) struct Board {
    house: Arc<dyn House>,
    shot: Mutex<Option<(Shot, Instant)>>,
    past: Mutex<Past>,
}

#[derive(Default)]
struct Past {
    history: History,
    /// The loads of the last two samples, for rates.
    loads: Vec<(Vec<Load>, f64)>,
}

impl Board {
    pub(super) fn new(house: Arc<dyn House>) -> Self {
        Board { house, shot: Mutex::default(), past: Mutex::default() }
    }

    /// Keeps the history for as long as it is polled; samples are taken `apart`.
    pub(super) async fn keep(self: Arc<Self>, apart: Handle) {
        let mut ticks = tokio::time::interval(STEP);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let board = Arc::clone(&self);
            // It may take a while where there are many clients.
            let _ = apart.spawn(async move { board.sample() }).await;
        }
    }

    fn sample(&self) {
        let (loads, at) = (self.house.loads(), now());
        let mut past = self.past.lock();
        past.loads.insert(0, (loads.clone(), at));
        past.loads.truncate(2);
        past.history.take(loads, at);
    }

    /// The history after a sample.
    pub(super) fn history(&self, after: u64) -> Value {
        self.past.lock().history.json(after)
    }

    /// A look that is fresh.
    pub(super) fn look(&self) -> Shot {
        let mut last = self.shot.lock();
        if let Some((shot, at)) = &*last
            && at.elapsed() < FRESH
        {
            return shot.clone();
        }
        let shot = self.take();
        *last = Some((shot.clone(), Instant::now()));
        shot
    }

    fn take(&self) -> Shot {
        let mut now = self.house.glance();
        let before = {
            let past = self.past.lock();
            let old_enough = |(_, at): &&(Vec<Load>, f64)| now.at - at >= SPAN;
            past.loads.iter().find(old_enough).or(past.loads.last()).cloned()
        };
        let before = before.map(|(pools, at)| Glance { pools, at, ..Glance::default() });
        worst_first(&mut now);
        let whole = Page::of(&now.json(before.as_ref()));
        for table in [&mut now.waiters, &mut now.blockers, &mut now.pins, &mut now.audit] {
            table.iter_mut().for_each(|row| row.retain(|key, _| PUBLIC.contains(&key.as_str())));
        }
        Shot { whole, public: Page::of(&now.json(before.as_ref())) }
    }
}

/// The first rows are those that are looked for: there may be more of them than are shown.
fn worst_first(glance: &mut Glance) {
    let by = |key: &'static str| {
        move |one: &Row, other: &Row| {
            let of = |row: &Row| row.get(key).and_then(Value::as_f64).unwrap_or_default();
            of(other).total_cmp(&of(one))
        }
    };
    glance.waiters.sort_by(by("waited_seconds"));
    glance.blockers.sort_by(by("held_seconds"));
    glance.pins.sort_by(by("seconds"));
    glance.audit.sort_by(by("count"));
    for table in [&mut glance.waiters, &mut glance.blockers, &mut glance.pins, &mut glance.audit] {
        table.truncate(MOST);
    }
}

impl Page {
    pub(super) fn of(value: &Value) -> Self {
        let body = Bytes::from(value.to_string());
        // The same text has the same mark for as long as the process lives.
        let mark = ahash::RandomState::with_seeds(1, 2, 3, 4).hash_one(&body);
        Page { body, mark: format!("\"{mark:016x}\"") }
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}
