//! What became of earlier advice.

use super::advice::Measured;
use super::forecast::Forecast;

/// A size that was changed after its forecast had been made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PastAdvice {
    /// The size at which it was made.
    pub from: usize,
    /// What was foretold of the size that followed.
    pub forecast: Forecast,
    /// What was measured there; `None` while too little was.
    pub measured: Option<Measured>,
}

impl PastAdvice {
    /// How many times as long 99 of 100 waits were as was foretold; 1 where both are too short to be felt.
    pub fn p99_ratio(&self) -> Option<f64> {
        /// Shorter waits are the noise of clocks and schedulers.
        const SHORT: f64 = 1_000.0;
        let measured = self.measured?.waits.p99;
        Some(measured.max(SHORT) / self.forecast.waits.p99.max(SHORT))
    }

    /// How many times as much was done as was foretold.
    pub fn throughput_ratio(&self) -> Option<f64> {
        let foretold = self.forecast.throughput;
        self.measured.filter(|_| foretold > 0.0).map(|measured| measured.throughput / foretold)
    }
}
