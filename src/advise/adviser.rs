//! Windows of all pools, and what was said of them.
//!
//! Of each pool the latest windows are kept, all of one size: when the size changes, what they say about the new one is
//! put down, to be compared with what is measured there. What was learnt about how servers slow each other down is kept
//! across sizes; it is the better for it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;

use super::advice::{
    Advice, ApplicationShare, MIN_REQUESTS, TOO_SILENT, forecast, law, measure, scripts,
};
use super::exposure::Exposure;
use super::law::Fit;
use super::past::PastAdvice;
use super::replay::Change;
use super::window::Window;
use crate::stats::ApplicationHolds;
use crate::types::Name;

/// So many earlier pieces of advice of a pool are remembered.
const PAST: usize = 4;

/// A pool's database and user.
pub type PoolName = (Name, Name);

/// Windows and advice of all pools.
#[derive(Debug, Default)]
pub struct Adviser {
    pools: Mutex<BTreeMap<PoolName, Known>>,
}

/// What is known of one pool.
#[derive(Debug, Default)]
struct Known {
    windows: VecDeque<Window>,
    /// The sums by application when each of the windows was begun.
    before: VecDeque<Vec<ApplicationHolds>>,
    exposure: Exposure,
    past: VecDeque<PastAdvice>,
    advice: Option<Arc<Advice>>,
}

impl Adviser {
    /// Takes a window in, with the sums by application when it was begun and now; keeps as many as `windows`. It takes
    /// some time: what there is to say is said to be said again.
    pub fn add(
        &self,
        pool: PoolName,
        window: Window,
        applications: [Vec<ApplicationHolds>; 2],
        windows: usize,
    ) {
        // Nobody else adds to this pool; who reads meanwhile reads what was known before.
        let mut known = self.pools.lock().get_mut(&pool).map(std::mem::take).unwrap_or_default();
        let advice = known.advice.clone();
        if let Some(entry) = self.pools.lock().get_mut(&pool) {
            entry.advice = advice;
        }
        known.take_in(window, applications, windows);
        self.pools.lock().insert(pool, known);
    }

    /// The advice for a pool, if it was ever recorded.
    pub fn advice(&self, pool: &PoolName) -> Option<Arc<Advice>> {
        self.pools.lock().get(pool)?.advice.clone()
    }

    /// How many windows of a pool there are.
    pub fn windows(&self, pool: &PoolName) -> usize {
        self.pools.lock().get(pool).map_or(0, |known| known.windows.len())
    }

    /// Forgets all pools but these.
    pub fn retain(&self, is_there: impl Fn(&PoolName) -> bool) {
        self.pools.lock().retain(|pool, _| is_there(pool));
    }
}

impl Known {
    fn take_in(&mut self, window: Window, [before, now]: [Vec<ApplicationHolds>; 2], keep: usize) {
        if self.windows.back().is_some_and(|last| last.size != window.size) {
            self.change_size(window.size);
        }
        if measure(std::slice::from_ref(&window)).silence <= TOO_SILENT {
            self.exposure.absorb(&window);
        }
        self.windows.push_back(window);
        self.before.push_back(before);
        while self.windows.len() > keep.max(1) {
            self.windows.pop_front();
            self.before.pop_front();
        }
        let windows = self.windows.make_contiguous();
        let measured = measure(windows);
        let size = windows.last().map_or(0, |window| window.size);
        if let Some(last) = self.past.back_mut()
            && last.forecast.size == size
            && measured.waits.count >= MIN_REQUESTS
        {
            last.measured = Some(measured);
        }
        let empty = Vec::new();
        let shares = shares(self.before.front().unwrap_or(&empty), &now);
        let past = self.past.iter().copied().collect();
        self.advice = Some(Arc::new(Advice::new(windows, &self.exposure, shares, past)));
    }

    /// The windows have had their say about the size that follows.
    fn change_size(&mut self, size: usize) {
        let windows = self.windows.make_contiguous();
        let measured = measure(windows);
        if measured.waits.count >= MIN_REQUESTS {
            let from = windows.last().map_or(0, |window| window.size);
            let fit = Fit::new(&self.exposure, from).filter(|_| measured.silence <= TOO_SILENT);
            let law = law(fit.as_ref(), &measured);
            let forecast = forecast(&scripts(windows, law), size, Change::default());
            self.past.push_back(PastAdvice { from, forecast, measured: None });
            if self.past.len() > PAST {
                self.past.pop_front();
            }
        }
        self.windows.clear();
        self.before.clear();
    }
}

/// What each application did between two moments, those with the most silence first.
fn shares(before: &[ApplicationHolds], now: &[ApplicationHolds]) -> Vec<ApplicationShare> {
    let nothing = ApplicationHolds::default();
    let since = now.iter().enumerate().map(|(number, now)| {
        let before = before.get(number).unwrap_or(&nothing);
        let (held, idle) = (now.held - before.held, now.idle - before.idle);
        (now.name.clone(), held as f64, idle as f64)
    });
    let since: Vec<_> = since.filter(|(_, held, _)| *held > 0.0).collect();
    let all: f64 = since.iter().map(|(_, held, _)| held).sum();
    let share = |(name, held, idle): (Option<Name>, f64, f64)| ApplicationShare {
        name,
        held: held / all,
        silent: idle / held,
    };
    let mut shares: Vec<_> = since.into_iter().map(share).collect();
    let rank = |one: &ApplicationShare| (one.held * one.silent, one.held);
    shares.sort_by(|one, other| {
        let (one, other) = (rank(one), rank(other));
        other.0.total_cmp(&one.0).then(other.1.total_cmp(&one.1))
    });
    shares
}

#[cfg(test)]
mod tests {
    use super::super::generator::{Load, Scene};
    use super::super::law::Law;
    use super::*;

    fn window(size: usize, seed: u64) -> Window {
        let law = Law { demand: 5_000.0, sigma: 0.02, kappa: 0.0 };
        let load = Load::Closed(12, 10_000.0);
        Scene { size, law, load, silence: 0.0, length: 10e6, seed }.window()
    }

    fn name() -> PoolName {
        ("app".into(), "web".into())
    }

    #[test]
    fn what_was_foretold_is_compared_with_what_came() {
        let adviser = Adviser::default();
        assert_eq!(adviser.advice(&name()), None);
        for seed in 0..3 {
            adviser.add(name(), window(4, seed), Default::default(), 2);
        }
        assert_eq!(adviser.windows(&name()), 2);
        assert_eq!(adviser.advice(&name()).expect("some").past, []);
        adviser.add(name(), window(7, 9), Default::default(), 2);
        assert_eq!(adviser.windows(&name()), 1, "windows of another size do not mix");
        let past = adviser.advice(&name()).expect("some").past.clone();
        assert_eq!((past.len(), past[0].from, past[0].forecast.size), (1, 4, 7));
        let (wait, done) = (past[0].p99_ratio(), past[0].throughput_ratio());
        assert!(wait.is_some_and(|ratio| (0.6..1.7).contains(&ratio)), "{past:?}");
        assert!(done.is_some_and(|ratio| (0.95..1.05).contains(&ratio)), "{past:?}");
        adviser.retain(|_| false);
        assert_eq!(adviser.advice(&name()), None);
    }

    #[test]
    fn applications_are_ranked_by_their_silence() {
        let of = |name: &str, held, idle| ApplicationHolds { name: Some(name.into()), held, idle };
        let before = [of("web", 100, 0)];
        let now = [of("web", 400, 30), of("shop", 100, 80), of("idle", 0, 0)];
        let shares = shares(&before, &now);
        let facts: Vec<_> = shares.iter().map(|one| (one.name.as_deref(), one.held)).collect();
        assert_eq!(facts, [(Some("shop"), 0.25), (Some("web"), 0.75)]);
        assert_eq!((shares[0].silent, shares[1].silent), (0.8, 0.1));
    }
}
