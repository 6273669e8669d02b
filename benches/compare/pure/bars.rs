//! What pgusher has to reach.

use std::fmt;

use super::options::Mode;

/// One measured ratio to PgBouncer and the most it may be.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    what: String,
    ratio: f64,
    most: f64,
}

impl Bar {
    /// A bar; `what` says which ratio it is.
    pub(crate) fn new(what: String, ratio: f64, most: f64) -> Self {
        Bar { what, ratio, most }
    }

    /// Whether it was reached.
    pub(crate) fn is_met(&self) -> bool {
        self.ratio <= self.most
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_met() { "PASS" } else { "FAIL" };
        write!(out, "{verdict}  {:<60} {:.2} (at most {:.2})", self.what, self.ratio, self.most)
    }
}

/// The most processor time for each transaction, as a ratio to PgBouncer's.
///
/// With few clients there is little to save on: each transaction wakes the pooler by itself.
pub(crate) fn most_cpu(mode: Mode, clients: u32) -> f64 {
    match mode {
        Mode::Prepared => 0.65,
        Mode::Simple | Mode::Extended if clients >= 100 => 0.75,
        Mode::Simple => 0.85,
        Mode::Extended => 1.0,
    }
}

/// The most processor time for each transaction when few come in a second, as a ratio to PgBouncer's.
pub(crate) const MOST_LOW_RATE_CPU: f64 = 0.95;

/// The most processor time for each transaction over TLS, as a ratio to PgBouncer's.
pub(crate) const MOST_TLS_CPU: f64 = 0.85;

/// The most processor time for each transaction beside thousands of idle clients, as a ratio to that without them.
pub(crate) const MOST_CPU_BESIDE: f64 = 1.05;

/// The most that `worker_threads = "auto"` may cost beside the number of workers that suffices, and that it may fall
/// behind the number that is needed, as a ratio.
pub(crate) const MOST_AUTO: f64 = 1.05;

/// The most transactions a second that a peer may pass when there is no more room, as a ratio to pgusher's.
pub(crate) const MOST_PEER_THROUGHPUT: f64 = 1.0;

/// The most that the 99th percentile of latency may be when clients have to queue, as a ratio to PgBouncer's.
pub(crate) const MOST_QUEUED_LATENCY: f64 = 1.0;

/// The most that the 99th percentile of latency may be when clients have to queue, as a ratio to the median.
pub(crate) const MOST_UNFAIRNESS: f64 = 1.5;

/// The most processor time for each byte of rows on their way out by COPY, as a ratio to PgBouncer's.
pub(crate) const MOST_COPY_OUT_CPU: f64 = 0.5;

/// The same on the way in.
pub(crate) const MOST_COPY_IN_CPU: f64 = 0.6;

/// The same of a large SELECT.
pub(crate) const MOST_SELECT_CPU: f64 = 0.25;

/// The most bulk data in a second that a plain TCP proxy may pass, as a ratio to pgusher's.
pub(crate) const MOST_PROXY_BULK: f64 = 1.0 / 0.95;

/// The most processor time for each login, as a ratio to PgBouncer's.
pub(crate) const MOST_LOGIN_CPU: f64 = 1.0;

/// The same for a login by SCRAM in the clear.
pub(crate) const MOST_SCRAM_LOGIN_CPU: f64 = 0.9;

/// The most that the 99th percentile of queries may grow in a storm of logins, beside one that goes elsewhere.
pub(crate) const MOST_STORM_LATENCY: f64 = 2.0;

/// The most that the 99th percentile of queries may grow beside clients that keep their servers for a moment, beside
/// one where they do so elsewhere.
pub(crate) const MOST_PIN_LATENCY: f64 = 1.5;

/// The most memory for each idle client, as a ratio to PgBouncer's.
pub(crate) const MOST_IDLE_MEMORY: f64 = 1.5;

/// The most memory that may be in use some time after large rows went through, as a ratio to before them.
pub(crate) const MOST_MEMORY_LEFT: f64 = 1.2;

#[cfg(test)]
mod tests {
    use super::super::options::Mode;
    use super::{Bar, most_cpu};

    #[test]
    fn a_bar_may_just_be_reached() {
        assert!(Bar::new("cpu".to_owned(), 0.75, most_cpu(Mode::Simple, 100)).is_met());
        let missed = Bar::new("cpu".to_owned(), 1.01, most_cpu(Mode::Extended, 10));
        assert!(!missed.is_met());
        assert!(missed.to_string().starts_with("FAIL  cpu"));
    }
}
