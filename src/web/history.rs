//! What was before the page was opened: queue times by bucket, one sample every few seconds, for half an hour. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use crate::glance::{Load, Rates, waits_between};

/// Between two samples.
pub(super) const STEP: Duration = Duration::from_secs(5);
/// So many are kept: half an hour.
const KEPT: usize = 360;
/// Pools of a sample that have a line of their own, the busiest; the others share one.
const MOST: usize = 64;

/// What a pool did between two samples, and how it stood at the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Moment {
    /// The database, and the user on the server; both empty for the others.
    pub(super) database: String,
    pub(super) user: String,
    /// Ended waits by bucket; what is 0 at the end is left out.
    pub(super) waits: Vec<u64>,
    pub(super) transactions_per_second: f64,
    /// Servers in use, on average.
    pub(super) mean_busy: f64,
    /// Clients in the queue, on average.
    pub(super) mean_waiting: f64,
    pub(super) size: u64,
}

/// All pools that did something between two samples.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Sample {
    /// Samples are numbered from 1.
    pub(super) number: u64,
    /// When it ended, in seconds since 1970.
    pub(super) at: f64,
    pub(super) pools: Vec<Moment>,
}

/// The samples, bounded.
#[derive(Debug, Default)]
pub(super) struct History {
    samples: VecDeque<Sample>,
    number: u64,
    before: Option<(Vec<Load>, f64)>,
}

impl History {
    /// Takes a sample.
    pub(super) fn take(&mut self, loads: Vec<Load>, at: f64) {
        if let Some((before, since)) = &self.before {
            self.number += 1;
            let moments =
                loads.iter().filter_map(|now| moment(&now.among(before), now, at - since));
            let pools = busiest(moments.collect());
            self.samples.push_back(Sample { number: self.number, at, pools });
        }
        if self.samples.len() > KEPT {
            self.samples.pop_front();
        }
        self.before = Some((loads, at));
    }

    /// The samples after one, with their bounds.
    pub(super) fn json(&self, after: u64) -> serde_json::Value {
        let samples: Vec<_> = self.samples.iter().filter(|sample| sample.number > after).collect();
        let loads = self.before.iter().flat_map(|(loads, _)| loads);
        let bounds = loads.map(|load| &load.wait_bounds_us).next();
        serde_json::json!({
            "step_seconds": STEP.as_secs(),
            "kept": KEPT,
            "wait_bounds_us": bounds,
            "samples": samples,
        })
    }
}

/// What a pool did; `None` if nothing, or if it began anew.
fn moment(before: &Load, now: &Load, seconds: f64) -> Option<Moment> {
    let rates = Rates::between(before, now, seconds)?;
    let mut waits = waits_between(before, now);
    while waits.last() == Some(&0) {
        waits.pop();
    }
    let is_quiet = waits.is_empty() && rates.mean_busy == 0.0 && rates.mean_waiting == 0.0;
    (!is_quiet).then(|| Moment {
        database: now.database.clone(),
        user: now.user.clone(),
        waits,
        transactions_per_second: rates.transactions_per_second,
        mean_busy: rates.mean_busy,
        mean_waiting: rates.mean_waiting,
        size: now.size,
    })
}

/// The busiest pools as they are, and all others as one.
fn busiest(mut moments: Vec<Moment>) -> Vec<Moment> {
    let weight = |moment: &Moment| moment.mean_busy + moment.mean_waiting;
    moments.sort_by(|a, b| weight(b).total_cmp(&weight(a)));
    let others = moments.split_off(moments.len().min(MOST));
    let sum = others.into_iter().reduce(|mut sum, other| {
        sum.database.clear();
        sum.user.clear();
        sum.waits.resize(sum.waits.len().max(other.waits.len()), 0);
        sum.waits.iter_mut().zip(&other.waits).for_each(|(sum, count)| *sum += count);
        sum.transactions_per_second += other.transactions_per_second;
        sum.mean_busy += other.mean_busy;
        sum.mean_waiting += other.mean_waiting;
        sum.size += other.size;
        sum
    });
    moments.extend(sum);
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(database: &str, waits: &[u64], busy_us: u64) -> Load {
        Load {
            database: database.to_owned(),
            wait_counts: waits.to_vec(),
            wait_bounds_us: vec![100, 1_000],
            busy_us,
            size: 1,
            ..Load::default()
        }
    }

    #[test]
    fn a_sample_is_what_has_come_since_the_last() {
        let mut history = History::default();
        history.take(vec![load("a", &[5, 0, 0], 0), load("idle", &[1, 0, 0], 0)], 10.0);
        history.take(vec![load("a", &[7, 1, 0], 5_000_000), load("idle", &[1, 0, 0], 0)], 15.0);
        let json = history.json(0);
        let samples = json["samples"].as_array().unwrap();
        assert_eq!((samples.len(), samples[0]["pools"].as_array().unwrap().len()), (1, 1));
        let pool = &samples[0]["pools"][0];
        assert_eq!(
            (pool["waits"].to_string(), pool["mean_busy"].as_f64()),
            ("[2,1]".into(), Some(1.0))
        );
        assert_eq!(json["wait_bounds_us"].to_string(), "[100,1000]");
        assert_eq!(history.json(1)["samples"].as_array().unwrap().len(), 0);
    }

    #[test]
    fn memory_is_bounded() {
        let mut history = History::default();
        for turn in 0..KEPT as u64 + 10 {
            let loads = (0..MOST as u64 + 5)
                .map(|number| load(&number.to_string(), &[turn, 0, 0], turn * (number + 1)));
            history.take(loads.collect(), turn as f64);
        }
        assert_eq!(history.samples.len(), KEPT);
        let last = history.samples.back().unwrap();
        assert_eq!(last.pools.len(), MOST + 1);
        let others = last.pools.last().unwrap();
        assert_eq!(
            (others.database.as_str(), others.size, others.waits.as_slice()),
            ("", 5, &[5][..])
        );
    }
}
