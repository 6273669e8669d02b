//! The universal scalability law: how much servers that work at the same time slow each other down.
//!
//! With N of them at work, throughput is `N / (demand * (1 + sigma (N - 1) + kappa N (N - 1)))`: sigma is what they wait
//! for each other, kappa what it costs them to agree. With kappa above 0 there is a number of servers from which on
//! each further one makes all of them together slower.

use super::exposure::{Exposure, Group};

/// Groups of fewer requests say nothing.
const MIN_GROUP: f64 = 30.0;
/// So many groups are needed where there are so many servers, and the largest number of servers at work must be twice the
/// smallest.
const MIN_GROUPS: usize = 4;
/// What sigma has to explain of what is seen, in units of its chance error squared: 3 standard errors.
const PRICE_OF_SIGMA: f64 = 9.0;
/// Kappa has to explain more: it says that servers can be too many.
const PRICE_OF_KAPPA: f64 = 15.0;
/// How fine sigma and kappa are searched for, at first.
const STEPS: i32 = 24;

/// The law with its parameters.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Law {
    /// The work of the mean request, in microseconds: what it takes when no other server works.
    pub demand: f64,
    /// Contention.
    pub sigma: f64,
    /// The cost of agreement.
    pub kappa: f64,
}

/// A law that was learnt, and what it was learnt from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// The law.
    pub law: Law,
    /// The fewest servers that were at work when requests began.
    pub lowest: usize,
    /// The most.
    pub highest: usize,
    /// How many requests it was learnt from; the past counts less.
    pub requests: f64,
}

impl Law {
    /// Servers that do not slow each other down.
    pub fn flat(demand: f64) -> Self {
        Law { demand, sigma: 0.0, kappa: 0.0 }
    }

    /// How many times longer everything takes while so many work.
    pub fn slowdown(&self, working: f64) -> f64 {
        let others = (working - 1.0).max(0.0);
        1.0 + self.sigma * others + self.kappa * working * others
    }

    /// How much so many get done in a second.
    pub fn throughput(&self, working: f64) -> f64 {
        1e6 * working / (self.demand * self.slowdown(working))
    }

    /// The number of working servers with the highest throughput; `None` where every further one adds to it.
    pub fn peak(&self) -> Option<f64> {
        (self.kappa > 0.0).then(|| ((1.0 - self.sigma).max(0.0) / self.kappa).sqrt().max(1.0))
    }
}

impl Fit {
    /// The law that explains best what was seen in a pool of this size; `None` if requests met too few different numbers
    /// of working servers.
    pub fn new(exposure: &Exposure, size: usize) -> Option<Fit> {
        let groups: Vec<(usize, &Group)> = exposure.groups(MIN_GROUP).collect();
        let (lowest, highest) = (groups.first()?.0, groups.last()?.0);
        if groups.len() < Fit::levels_needed(size) || highest < 2 * lowest {
            return None;
        }
        let groups: Vec<&Group> = groups.into_iter().map(|(_, group)| group).collect();
        let (sigma, kappa) = search(&groups);
        let demand = mean_work(&groups, Law { demand: 1.0, sigma, kappa });
        let requests = groups.iter().map(|group| group.requests).sum();
        Some(Fit { law: Law { demand, sigma, kappa }, lowest, highest, requests })
    }

    /// How many different numbers of working servers were met by enough requests, for who is told that they are too few.
    pub fn levels(exposure: &Exposure) -> usize {
        exposure.groups(MIN_GROUP).count()
    }

    /// How many of them are needed.
    pub fn levels_needed(size: usize) -> usize {
        size.clamp(2, MIN_GROUPS)
    }

    /// The peak, if what was seen lets it be told: twice as far as anybody has been, and no farther.
    pub fn peak_in_sight(&self) -> Option<f64> {
        self.law.peak().filter(|peak| *peak <= 2.0 * self.highest as f64)
    }
}

/// The work of a group's mean request under a law.
fn work(group: &Group, law: Law) -> f64 {
    let times = group.time_at.iter().enumerate();
    let work: f64 = times.map(|(level, time)| time / law.slowdown(level as f64)).sum();
    work / group.requests
}

fn mean_work(groups: &[&Group], law: Law) -> f64 {
    let requests: f64 = groups.iter().map(|group| group.requests).sum();
    groups.iter().map(|group| work(group, law) * group.requests).sum::<f64>() / requests
}

/// How much the groups' work differs under a law, in units of its chance error squared.
fn misfit(groups: &[&Group], spread: f64, sigma: f64, kappa: f64) -> f64 {
    let law = Law { demand: 1.0, sigma, kappa };
    let mean = mean_work(groups, law);
    let off = |group: &&Group| group.requests * (work(group, law) / mean - 1.0).powi(2) / spread;
    groups.iter().map(off).sum()
}

/// The variance of a request's work, in units of the mean squared; that of times within a group is nearly the same.
fn spread(groups: &[&Group]) -> f64 {
    let requests: f64 = groups.iter().map(|group| group.requests).sum();
    let of = |group: &&Group| {
        let mean = group.time_at.iter().sum::<f64>() / group.requests;
        group.requests * (group.squares / group.requests / mean.powi(2) - 1.0).max(0.0)
    };
    // Requests of one length still differ by what the clocks and schedulers do to them.
    (groups.iter().map(of).sum::<f64>() / requests).max(0.01)
}

/// Sigma and kappa. Each is 0 unless it is needed to explain what was seen.
fn search(groups: &[&Group]) -> (f64, f64) {
    let spread = spread(groups);
    let misfit = |(sigma, kappa): (f64, f64)| misfit(groups, spread, sigma, kappa);
    let scale = |from: f64, step: i32| from * 10_f64.powf(f64::from(step) * 4.0 / f64::from(STEPS));
    let sigmas = || (0..=STEPS).map(|step| scale(1e-3, step));
    let kappas = || (0..=STEPS).map(|step| scale(1e-5, step));
    let best = |tried: Vec<(f64, f64)>| {
        let tried = tried.into_iter().map(|point| (misfit(point), point));
        let best = tried.min_by(|one, other| one.0.total_cmp(&other.0));
        refine(best.map(|(_, point)| point).unwrap_or_default(), misfit)
    };
    let both = sigmas().flat_map(|sigma| kappas().map(move |kappa| (sigma, kappa)));
    let models = [
        ((0.0, 0.0), 0.0),
        (best(sigmas().map(|sigma| (sigma, 0.0)).collect()), PRICE_OF_SIGMA),
        (best(kappas().map(|kappa| (0.0, kappa)).collect()), PRICE_OF_KAPPA),
        (best(both.collect()), PRICE_OF_SIGMA + PRICE_OF_KAPPA),
    ];
    let priced = models.map(|(point, price)| (misfit(point) + price, point));
    let cheapest = priced.into_iter().min_by(|one, other| one.0.total_cmp(&other.0));
    cheapest.map(|(_, point)| point).unwrap_or_default()
}

/// Walks downhill with ever smaller steps. What is 0 stays 0.
fn refine(from: (f64, f64), misfit: impl Fn((f64, f64)) -> f64) -> (f64, f64) {
    let (mut at, mut step) = (from, 1.3_f64);
    let mut here = misfit(at);
    while step > 1.001 {
        let (down, up) = (1.0 / step, step);
        let turns = [(down, 1.0), (up, 1.0), (1.0, down), (1.0, up), (down, up), (up, down)];
        let near = turns.map(|(sigma, kappa)| (at.0 * sigma, at.1 * kappa));
        let next = near.into_iter().map(|point| (misfit(point), point));
        match next.min_by(|one, other| one.0.total_cmp(&other.0)) {
            Some((lower, point)) if lower < here => (here, at) = (lower, point),
            _ => step = step.sqrt(),
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_peak_is_where_throughput_turns() {
        let law = Law { demand: 1_000.0, sigma: 0.05, kappa: 0.002 };
        let peak = law.peak().expect("one");
        assert!((peak - 21.79).abs() < 0.01, "{peak}");
        assert!(law.throughput(peak) > law.throughput(peak - 1.0));
        assert!(law.throughput(peak) > law.throughput(peak + 1.0));
        assert_eq!(law.throughput(1.0), 1_000.0);
        assert_eq!(Law::flat(1.0).peak(), None);
    }

    #[test]
    fn without_different_levels_there_is_no_law() {
        assert_eq!(Fit::new(&Exposure::default(), 8), None);
    }
}
