//! What is to be expected of a pool's size.

/// How long requests wait for a server, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Waits {
    /// So many requests.
    pub count: usize,
    /// The share of them that wait at all.
    pub share: f64,
    /// The mean over all of them, those included that do not wait.
    pub mean: f64,
    /// Half of them wait no longer.
    pub p50: f64,
    /// 95 of 100 wait no longer.
    pub p95: f64,
    /// 99 of 100 wait no longer.
    pub p99: f64,
}

/// What is to be expected of a size.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Forecast {
    /// The size.
    pub size: usize,
    /// The waits.
    pub waits: Waits,
    /// How long servers are held by the mean request, in microseconds.
    pub hold: f64,
    /// Requests done in a second.
    pub throughput: f64,
    /// The share of the time that every server is in use.
    pub saturated: f64,
}

impl Waits {
    /// Those of these requests.
    pub fn new(mut waits: Vec<f64>) -> Self {
        let count = waits.len();
        if count == 0 {
            return Waits::default();
        }
        // The smallest value that so large a share does not exceed.
        let rank = |share: f64| ((share * count as f64).ceil() as usize).clamp(1, count) - 1;
        let mut at = |share: f64| *waits.select_nth_unstable_by(rank(share), f64::total_cmp).1;
        let (p50, p95, p99) = (at(0.5), at(0.95), at(0.99));
        Waits {
            count,
            share: waits.iter().filter(|wait| **wait > 0.0).count() as f64 / count as f64,
            mean: waits.iter().sum::<f64>() / count as f64,
            p50,
            p95,
            p99,
        }
    }
}

/// What came of running the requests of one window again.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Replayed {
    /// How long each request waited, in microseconds.
    pub waits: Vec<f64>,
    /// How many were done.
    pub done: u64,
    /// How long servers were held, all together, in microseconds.
    pub held: f64,
    /// How long every server was in use, in microseconds.
    pub saturated: f64,
    /// How long the window was, in microseconds.
    pub length: f64,
}

impl Forecast {
    /// What the replays of all windows say together.
    pub fn new(size: usize, replays: Vec<Replayed>) -> Self {
        let length = replays.iter().map(|replay| replay.length).sum::<f64>().max(1.0);
        let done: u64 = replays.iter().map(|replay| replay.done).sum();
        let held: f64 = replays.iter().map(|replay| replay.held).sum();
        let saturated: f64 = replays.iter().map(|replay| replay.saturated).sum();
        Forecast {
            size,
            waits: Waits::new(replays.into_iter().flat_map(|replay| replay.waits).collect()),
            hold: held / done.max(1) as f64,
            throughput: done as f64 / length * 1e6,
            saturated: saturated / length,
        }
    }

    /// How long the mean request takes, from when it is made to when its server is free again, in microseconds.
    pub fn response(&self) -> f64 {
        self.waits.mean + self.hold
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_seen() {
        let waits = Waits::new((0..100).map(f64::from).rev().collect());
        assert_eq!((waits.p50, waits.p95, waits.p99), (49.0, 94.0, 98.0));
        assert_eq!((waits.count, waits.share, waits.mean), (100, 0.99, 49.5));
        assert_eq!(Waits::new(Vec::new()), Waits::default());
    }
}
