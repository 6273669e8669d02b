//! What follows from the forecasts: a size, or why no size would help.

use super::forecast::Forecast;
use super::law::Fit;

/// Waits up to here are no reason to change anything, however short requests are, in microseconds.
const NOT_FELT: f64 = 1_000.0;
/// From this share of silence on, in the time that servers are held, it is the cause of waits.
const MUCH_SILENCE: f64 = 0.4;
/// Its end would take the waits away, or make them so much shorter.
const HELPS: f64 = 0.5;
/// Of the servers up to the peak so many are used: what is lost below it is little, beyond it the pool may collapse.
const OF_PEAK: f64 = 0.8;
/// A pool that is smaller than so much of today's, with [`HEADROOM`], is a pool that is smaller.
const SMALLER: f64 = 0.67;
/// Load may grow by so much before a smaller pool is too small.
pub(super) const HEADROOM: f64 = 1.25;
/// A pool that is saturated for a smaller share of the time has a queue in bursts only.
const BURSTS: f64 = 0.05;
/// Throughput that differs by less does not differ.
const SAME: f64 = 0.02;

/// What is lacking.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Lack {
    /// There were so few requests; so many are needed.
    Requests(usize, usize),
    /// Requests wait, and met so few different numbers of servers at work; so many are needed to tell what more servers
    /// would do.
    Levels(usize, usize),
    /// The replay at today's size does not give the waits that were measured, in microseconds: something else holds
    /// requests up than the number of servers.
    Unexplained {
        /// Measured, 99 of 100.
        measured: f64,
        /// Replayed.
        replayed: f64,
    },
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Verdict {
    /// Nothing can be said.
    NotEnoughData(Lack),
    /// The size is right.
    Right,
    /// More servers take the waits away.
    Larger(usize),
    /// So few are enough, for more load than there is.
    Smaller(usize),
    /// Servers are held by clients that ask nothing. With this size.
    Silence {
        /// What the silence's end would make of the wait of 99 of 100 requests, in microseconds.
        p99_without: f64,
        /// The share of the time that servers are held.
        share: f64,
    },
    /// More servers would make all of them together no faster, or slower. The best that can be had is this size.
    DatabaseSaturated(usize),
    /// More is asked than is done with any of the sizes.
    Overload,
    /// The queue comes in bursts, which no size up to twice today's takes away.
    Bursts,
}

/// What is to be judged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case<'a> {
    /// Today's.
    pub(super) size: usize,
    /// What each size would do, today's among them, by size.
    pub(super) forecasts: &'a [Forecast],
    /// The same sizes with more load.
    pub(super) with_headroom: &'a [Forecast],
    /// Today's size, if clients were never silent.
    pub(super) without_silence: &'a Forecast,
    /// The share of silence in holds.
    pub(super) silence: f64,
    /// How long servers are held by the mean request, in microseconds.
    pub(super) hold: f64,
    pub(super) fit: Option<&'a Fit>,
    /// Requests that come in a second, whatever becomes of others.
    pub(super) asked: Option<f64>,
}

impl Case<'_> {
    /// A request should not wait longer for its server than it then has it: 99 of 100 at least.
    fn target(&self) -> f64 {
        self.hold.max(NOT_FELT)
    }

    /// The most servers that should be used.
    fn limit(&self) -> usize {
        let peak = self.fit.and_then(Fit::peak_in_sight);
        peak.map_or(usize::MAX, |peak| ((peak * OF_PEAK).floor() as usize).max(1))
    }

    fn today(&self) -> Forecast {
        let today = self.forecasts.iter().find(|one| one.size == self.size);
        today.copied().unwrap_or_default()
    }

    pub(super) fn verdict(&self) -> Verdict {
        let (target, today) = (self.target(), self.today());
        let meets = |one: &&Forecast| one.waits.p99 <= target;
        if let Some(fewer) = self.fewer_are_faster(today) {
            return Verdict::DatabaseSaturated(fewer);
        }
        if meets(&&today) {
            return self.may_be_smaller();
        }
        let p99_without = self.without_silence.waits.p99;
        if self.silence >= MUCH_SILENCE && p99_without <= target.max(today.waits.p99 * HELPS) {
            return Verdict::Silence { p99_without, share: self.silence };
        }
        let larger = self.forecasts.iter().filter(|one| one.size > self.size);
        let mut allowed = larger.filter(|one| one.size <= self.limit());
        if let Some(enough) = allowed.find(meets) {
            return Verdict::Larger(enough.size);
        }
        self.why_none(today)
    }

    /// The fewest servers beyond which nothing is won, if with them everybody is served sooner than today: today's are
    /// more than the peak.
    fn fewer_are_faster(&self, today: Forecast) -> Option<usize> {
        self.fit.and_then(Fit::peak_in_sight)?;
        let fewer = || self.forecasts.iter().filter(|one| one.size < self.size);
        let best = fewer().map(Forecast::response).fold(f64::INFINITY, f64::min);
        let enough = fewer().find(|one| one.response() <= best * (1.0 + SAME))?;
        (best < today.response() * (1.0 - SAME)).then_some(enough.size)
    }

    /// The target is met. The smallest size that meets it with more load, too, if it is much smaller.
    fn may_be_smaller(&self) -> Verdict {
        let target = self.target();
        let enough = self.with_headroom.iter().find(|one| one.waits.p99 <= target);
        let smaller = enough.map(|one| one.size);
        let much = |size: &usize| (*size as f64) <= self.size as f64 * SMALLER;
        smaller.filter(much).map_or(Verdict::Right, Verdict::Smaller)
    }

    /// No size meets the target.
    fn why_none(&self, today: Forecast) -> Verdict {
        let best = self.forecasts.iter().map(|one| one.throughput).fold(0.0, f64::max);
        if today.saturated < BURSTS {
            return Verdict::Bursts;
        }
        if self.asked.is_some_and(|asked| best < asked * (1.0 - SAME)) {
            return Verdict::Overload;
        }
        // The fewest that do as much as any number does.
        let fewest = self.forecasts.iter().find(|one| one.throughput >= best * (1.0 - SAME));
        let fewest = fewest.map_or(self.size, |one| one.size).min(self.limit());
        let gains = best > today.throughput * (1.0 + SAME) && fewest > self.size;
        if gains {
            return Verdict::Larger(fewest);
        }
        Verdict::DatabaseSaturated(fewest)
    }
}

impl Verdict {
    /// The size that is advised; `None` where no size is the answer.
    pub fn size(&self, today: usize) -> Option<usize> {
        match self {
            Verdict::Larger(size) | Verdict::Smaller(size) | Verdict::DatabaseSaturated(size) => {
                Some(*size)
            }
            Verdict::Right | Verdict::Silence { .. } | Verdict::Bursts => Some(today),
            Verdict::NotEnoughData(_) | Verdict::Overload => None,
        }
    }

    /// A word for it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Verdict::NotEnoughData(_) => "not enough data",
            Verdict::Right => "right",
            Verdict::Larger(_) => "larger",
            Verdict::Smaller(_) => "smaller",
            Verdict::Silence { .. } => "idle in transaction",
            Verdict::DatabaseSaturated(_) => "database saturated",
            Verdict::Overload => "overload",
            Verdict::Bursts => "bursts",
        }
    }
}
