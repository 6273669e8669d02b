//! The answer, with its evidence.

use super::exposure::Exposure;
use super::forecast::{Forecast, Waits};
use super::law::{Fit, Law};
use super::past::PastAdvice;
use super::replay::Change;
use super::script::{Arrivals, Script};
use super::verdict::{Case, HEADROOM, Lack, Verdict};
use super::window::Window;
use crate::types::Name;

/// Fewer requests say nothing about one in a hundred.
pub(super) const MIN_REQUESTS: usize = 1_000;
/// The sizes that are tried, in parts of today's.
const SIZES: [(usize, usize); 9] =
    [(1, 4), (1, 3), (1, 2), (2, 3), (1, 1), (5, 4), (3, 2), (7, 4), (2, 1)];
/// When clients are silent within their holds is not written down: with more silence than this, nobody knows which servers
/// were at work at the same time, and no law can be learnt.
pub(super) const TOO_SILENT: f64 = 0.3;
/// Waits that were measured and replayed at today's size may differ by so much.
const TRUST: f64 = 2.0;
/// And by so much where they are short, in microseconds.
const TRUST_SHORT: f64 = 1_000.0;

/// What was measured at today's size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Measured {
    /// The waits.
    pub waits: Waits,
    /// Requests done in a second.
    pub throughput: f64,
    /// How long servers were held by the mean request, in microseconds.
    pub hold: f64,
    /// The share of that in which clients asked nothing.
    pub silence: f64,
    /// How long was recorded.
    pub seconds: f64,
}

/// What one application does with servers.
#[derive(Clone, Debug, PartialEq)]
pub struct ApplicationShare {
    /// What it calls itself; `None` for those that are not told apart.
    pub name: Option<Name>,
    /// Its share of the time that servers are held.
    pub held: f64,
    /// The share of its own time in which it asks nothing.
    pub silent: f64,
}

/// What is known of one pool, and what follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Advice {
    /// Today's size.
    pub size: usize,
    /// What was measured.
    pub measured: Measured,
    /// How clients come.
    pub arrivals: Arrivals,
    /// How servers slow each other down, if that is known.
    pub fit: Option<Fit>,
    /// What each size would do, by size; empty where nothing can be said.
    pub forecasts: Vec<Forecast>,
    /// Who holds the servers, those with the most silence first.
    pub applications: Vec<ApplicationShare>,
    /// What to do.
    pub verdict: Verdict,
    /// What became of earlier advice, the latest last.
    pub past: Vec<PastAdvice>,
}

/// What was measured in windows.
pub(super) fn measure(windows: &[Window]) -> Measured {
    let ended = || windows.iter().flat_map(Window::ended);
    let waits = Waits::new(ended().map(|one| f64::from(one.wait)).collect());
    let seconds: f64 = windows.iter().map(Window::seconds).sum();
    let held: f64 = ended().map(|one| f64::from(one.hold)).sum();
    let idle: f64 = ended().map(|one| f64::from(one.idle.min(one.hold))).sum();
    Measured {
        waits,
        throughput: waits.count as f64 / seconds.max(f64::MIN_POSITIVE),
        hold: held / waits.count.max(1) as f64,
        silence: idle / held.max(1.0),
        seconds,
    }
}

/// What the clients of these windows do, under a law.
pub(super) fn scripts(windows: &[Window], law: Law) -> Vec<Script> {
    let arrivals = arrivals(windows);
    windows.iter().map(|window| Script::new(window, law, arrivals)).collect()
}

/// What they say about a size.
pub(super) fn forecast(scripts: &[Script], size: usize, change: Change) -> Forecast {
    Forecast::new(size, scripts.iter().map(|script| script.replay(size, change)).collect())
}

/// One answer for all windows: that of the most requests.
fn arrivals(windows: &[Window]) -> Arrivals {
    let count = |which| {
        let such = windows.iter().filter(|window| Arrivals::of(window) == which);
        such.map(|window| window.requests.len()).sum::<usize>()
    };
    if count(Arrivals::AsRecorded) > count(Arrivals::AfterReplies) {
        Arrivals::AsRecorded
    } else {
        Arrivals::AfterReplies
    }
}

/// The law to replay under: what was learnt, or else servers that do not slow each other down.
pub(super) fn law(fit: Option<&Fit>, measured: &Measured) -> Law {
    fit.map_or_else(|| Law::flat(measured.hold * (1.0 - measured.silence)), |fit| fit.law)
}

impl Advice {
    /// What windows, all recorded at the same size, and what was learnt from them and earlier ones have to say.
    pub fn new(
        windows: &[Window],
        exposure: &Exposure,
        applications: Vec<ApplicationShare>,
        past: Vec<PastAdvice>,
    ) -> Self {
        let size = windows.last().map_or(0, |window| window.size);
        let measured = measure(windows);
        let is_learnable = measured.silence <= TOO_SILENT;
        let fit = Fit::new(exposure, size).filter(|_| is_learnable);
        let mut advice = Advice {
            size,
            measured,
            arrivals: arrivals(windows),
            fit,
            forecasts: Vec::new(),
            applications,
            verdict: Verdict::Right,
            past,
        };
        advice.verdict = advice.judge(windows, exposure);
        advice
    }

    fn judge(&mut self, windows: &[Window], exposure: &Exposure) -> Verdict {
        let count = self.measured.waits.count;
        if count < MIN_REQUESTS || self.size == 0 {
            return Verdict::NotEnoughData(Lack::Requests(count, MIN_REQUESTS));
        }
        let scripts = scripts(windows, law(self.fit.as_ref(), &self.measured));
        let try_size = |size, change| forecast(&scripts, size, change);
        let today = try_size(self.size, Change::default());
        let (measured, replayed) = (self.measured.waits.p99, today.waits.p99);
        let (low, high) = (measured.min(replayed), measured.max(replayed));
        if high > low * TRUST && high > low + TRUST_SHORT {
            return Verdict::NotEnoughData(Lack::Unexplained { measured, replayed });
        }
        let waits = measured > self.measured.hold.max(TRUST_SHORT);
        if waits && self.fit.is_none() && self.measured.silence <= TOO_SILENT {
            let levels = Fit::levels(exposure);
            return Verdict::NotEnoughData(Lack::Levels(levels, Fit::levels_needed(self.size)));
        }
        self.forecasts =
            sizes(self.size).into_iter().map(|size| try_size(size, Change::default())).collect();
        let more = Change { load: HEADROOM, ..Change::default() };
        let smaller = sizes(self.size).into_iter().filter(|size| *size <= self.size);
        let with_headroom: Vec<_> = smaller.map(|size| try_size(size, more)).collect();
        let silent = Change { no_silence: true, ..Change::default() };
        let as_recorded = self.arrivals == Arrivals::AsRecorded;
        Case {
            size: self.size,
            forecasts: &self.forecasts,
            with_headroom: &with_headroom,
            without_silence: &try_size(self.size, silent),
            silence: self.measured.silence,
            hold: self.measured.hold,
            fit: self.fit.as_ref(),
            asked: as_recorded.then(|| asked(windows)),
        }
        .verdict()
    }

    /// The size that is advised, if any is.
    pub fn advised(&self) -> Option<usize> {
        self.verdict.size(self.size)
    }

    /// The share of silence that one application alone is the cause of, if it is most of it.
    pub fn most_silent(&self) -> Option<&ApplicationShare> {
        let all: f64 = self.applications.iter().map(|one| one.held * one.silent).sum();
        self.applications.first().filter(|one| one.held * one.silent > 0.5 * all)
    }
}

/// Requests that were made in a second.
fn asked(windows: &[Window]) -> f64 {
    let seconds: f64 = windows.iter().map(Window::seconds).sum();
    let made: usize = windows.iter().map(|window| window.requests.len()).sum();
    made as f64 / seconds.max(f64::MIN_POSITIVE)
}

/// The sizes that are tried for a pool of this size: all of them where they are few.
fn sizes(today: usize) -> Vec<usize> {
    let mut sizes: Vec<usize> = if today <= 6 {
        (1..=2 * today).collect()
    } else {
        SIZES.iter().map(|(part, of)| (today * part).div_ceil(*of)).collect()
    };
    sizes.dedup();
    sizes
}

#[cfg(test)]
mod tests {
    use super::super::generator::{Load, Scene};
    use super::*;

    fn advice(scene: &Scene) -> Advice {
        let windows = [scene.window()];
        let mut exposure = Exposure::default();
        exposure.absorb(&windows[0]);
        Advice::new(&windows, &exposure, Vec::new(), Vec::new())
    }

    fn scene(size: usize, load: Load) -> Scene {
        let law = Law { demand: 5_000.0, sigma: 0.01, kappa: 0.0 };
        Scene { size, law, load, silence: 0.0, length: 20e6, seed: 5 }
    }

    #[test]
    fn a_pool_that_is_too_small_should_be_larger() {
        let advice = advice(&scene(4, Load::Closed(12, 10_000.0)));
        let Verdict::Larger(size) = advice.verdict else { panic!("{advice:?}") };
        assert!((5..=8).contains(&size), "{advice:?}");
    }

    #[test]
    fn a_pool_that_is_too_large_may_be_smaller() {
        let advice = advice(&scene(40, Load::Closed(12, 10_000.0)));
        let Verdict::Smaller(size) = advice.verdict else { panic!("{advice:?}") };
        assert!((8..=14).contains(&size), "{advice:?}");
    }

    #[test]
    fn a_pool_that_is_right_is_left_alone() {
        let advice = advice(&scene(7, Load::Closed(12, 10_000.0)));
        assert_eq!(advice.verdict, Verdict::Right, "{advice:?}");
        assert_eq!(advice.advised(), Some(7));
    }

    #[test]
    fn silence_is_named_where_it_is_the_cause() {
        let silent = Scene { silence: 0.8, ..scene(8, Load::Closed(16, 20_000.0)) };
        let advice = advice(&silent);
        let Verdict::Silence { share, .. } = advice.verdict else { panic!("{advice:?}") };
        assert!((share - 0.8).abs() < 0.05, "{advice:?}");
    }

    #[test]
    fn a_database_that_cannot_do_more_is_named() {
        let law = Law { demand: 5_000.0, sigma: 0.1, kappa: 0.02 };
        let saturated = Scene { law, ..scene(12, Load::Closed(24, 30_000.0)) };
        let advice = advice(&saturated);
        let Verdict::DatabaseSaturated(size) = advice.verdict else { panic!("{advice:?}") };
        let peak = law.peak().expect("one");
        assert!(
            (size as f64) <= peak + 2.0 && size as f64 >= 0.5 * peak,
            "peak {peak}: {advice:?}"
        );
    }

    #[test]
    fn more_than_can_be_done_is_overload() {
        let law = Law::flat(5_000.0);
        let mut advice = advice(&Scene { law, length: 5e6, ..scene(2, Load::Open(500.0)) });
        assert!(matches!(advice.verdict, Verdict::NotEnoughData(Lack::Levels(..))), "{advice:?}");
        // With something known of other levels it can be said.
        let mut exposure = Exposure::default();
        exposure.absorb(&Scene { law, ..scene(8, Load::Open(1_000.0)) }.window());
        let windows = [Scene { law, length: 5e6, ..scene(2, Load::Open(500.0)) }.window()];
        advice = Advice::new(&windows, &exposure, Vec::new(), Vec::new());
        assert_eq!((advice.verdict, advice.advised()), (Verdict::Overload, None), "{advice:?}");
    }

    #[test]
    fn few_requests_and_unexplained_waits_give_no_advice() {
        let little = advice(&Scene { length: 1e5, ..scene(4, Load::Closed(12, 10_000.0)) });
        assert!(matches!(little.verdict, Verdict::NotEnoughData(Lack::Requests(_, 1_000))));
        let mut window = scene(9, Load::Closed(12, 10_000.0)).window();
        window.requests.iter_mut().for_each(|request| request.wait += 50_000);
        let advice = Advice::new(&[window], &Exposure::default(), Vec::new(), Vec::new());
        let Verdict::NotEnoughData(lack) = advice.verdict else { panic!("{advice:?}") };
        assert!(matches!(lack, Lack::Unexplained { .. }), "{advice:?}");
    }

    #[test]
    fn sizes_reach_from_less_than_half_to_twice() {
        assert_eq!(sizes(1), [1, 2]);
        assert_eq!(sizes(20), [5, 7, 10, 14, 20, 25, 30, 35, 40]);
    }
}
