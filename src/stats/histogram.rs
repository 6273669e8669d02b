//! Durations by bucket, exact in count and in sum.

use std::sync::Arc;
use std::time::Duration;

use super::Counter;

/// Upper bounds of a histogram's buckets, in microseconds, ascending. One more bucket holds what is beyond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Buckets(Arc<[u64]>);

impl Buckets {
    /// Buckets with these bounds.
    pub fn new(bounds: &[Duration]) -> Self {
        Buckets(bounds.iter().map(|&bound| micros(bound)).collect())
    }

    /// The bounds in microseconds.
    pub fn bounds(&self) -> &[u64] {
        &self.0
    }
}

/// One writer's share of a histogram.
#[derive(Debug)]
pub struct Histogram {
    buckets: Buckets,
    counts: Box<[Counter]>,
    sum: Counter,
}

impl Histogram {
    /// An empty histogram.
    pub fn new(buckets: &Buckets) -> Self {
        let counts = (0..=buckets.0.len()).map(|_| Counter::default()).collect();
        Histogram { buckets: buckets.clone(), counts, sum: Counter::default() }
    }

    /// Observes one duration.
    pub fn observe(&self, duration: Duration) {
        let value = micros(duration);
        let index = self.buckets.0.partition_point(|&bound| bound < value);
        if let Some(count) = self.counts.get(index) {
            count.add(1);
        }
        self.sum.add(value);
    }

    /// What it holds.
    pub fn total(&self) -> HistogramTotal {
        let mut total = HistogramTotal::default();
        self.add_to(&mut total);
        total
    }

    /// Adds this share to a total.
    pub fn add_to(&self, total: &mut HistogramTotal) {
        total.counts.resize(self.counts.len(), 0);
        for (sum, count) in total.counts.iter_mut().zip(&self.counts) {
            *sum += count.get();
        }
        total.sum_micros += self.sum.get();
    }
}

/// A histogram summed over its writers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistogramTotal {
    /// Observations by bucket (not cumulative); the last bucket is unbounded.
    pub counts: Vec<u64>,
    /// The sum of all observations, in microseconds.
    pub sum_micros: u64,
}

impl HistogramTotal {
    /// How many observations there were.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Microseconds as seconds.
pub fn seconds(micros: u64) -> f64 {
    micros as f64 / 1e6
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_inclusive_and_the_rest_is_kept() {
        let buckets = Buckets::new(&[Duration::from_micros(100), Duration::from_millis(1)]);
        let histogram = Histogram::new(&buckets);
        for micros in [0, 100, 101, 1000, 5000] {
            histogram.observe(Duration::from_micros(micros));
        }
        let mut total = HistogramTotal::default();
        histogram.add_to(&mut total);
        assert_eq!(total, HistogramTotal { counts: vec![2, 2, 1], sum_micros: 6201 });
    }
}
