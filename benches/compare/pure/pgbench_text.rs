//! What pgbench says, read.

use std::time::Duration;

/// A line of `--progress`: how fast it was since the line before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Progress {
    /// Seconds since the start.
    pub(crate) at: f64,
    /// Transactions per second since the line before.
    pub(crate) tps: f64,
}

impl Progress {
    /// Reads `progress: 2.0 s, 15012.3 tps, lat 0.664 ms stddev 0.2, 0 failed`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut parts = line.strip_prefix("progress: ")?.split(", ");
        let at = parts.next()?.strip_suffix(" s")?.parse().ok()?;
        let tps = parts.next()?.strip_suffix(" tps")?.parse().ok()?;
        Some(Progress { at, tps })
    }
}

/// A line of `--log`: one transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Logged {
    /// When it ended, since 1970.
    pub(crate) ended: Duration,
    /// How long it took, in microseconds.
    pub(crate) micros: u64,
}

impl Logged {
    /// Reads `client transaction latency script seconds microseconds`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ').skip(2);
        let micros = words.next()?.parse().ok()?;
        let _script = words.next()?;
        let ended = Duration::from_secs(words.next()?.parse().ok()?)
            + Duration::from_micros(words.next()?.parse().ok()?);
        Some(Logged { ended, micros })
    }
}

/// Sorted latencies in microseconds, without the first `warm_up`.
pub(crate) fn latencies(log: &[Logged], warm_up: Duration) -> Vec<u64> {
    let Some(first) = log.iter().map(|line| line.ended).min() else {
        return Vec::new();
    };
    let mut micros: Vec<u64> =
        log.iter().filter(|line| line.ended >= first + warm_up).map(|line| line.micros).collect();
    micros.sort_unstable();
    micros
}

/// The number of transactions in pgbench's closing words.
pub(crate) fn transactions(summary: &str) -> Option<u64> {
    let rest = summary
        .lines()
        .find_map(|line| line.strip_prefix("number of transactions actually processed: "))?;
    rest.split('/').next()?.trim().parse().ok()
}

/// The transactions per second in pgbench's closing words, the time for logins left out.
pub(crate) fn tps(summary: &str) -> Option<f64> {
    let rest = summary.lines().find_map(|line| line.strip_prefix("tps = "))?;
    rest.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Logged, Progress, latencies, tps, transactions};
    use std::time::Duration;

    #[test]
    fn reads_progress() {
        let line = "progress: 2.0 s, 15012.3 tps, lat 0.664 ms stddev 0.210, 0 failed";
        assert_eq!(Progress::parse(line), Some(Progress { at: 2.0, tps: 15012.3 }));
        assert_eq!(Progress::parse("pgbench: error: client 3 aborted"), None);
    }

    #[test]
    fn reads_the_log_and_drops_the_warm_up() {
        let log: Vec<Logged> =
            ["0 1 900 0 100 999000", "1 1 400 0 101 998000", "0 2 300 0 102 0", "1 2 200 0 102 1"]
                .iter()
                .map(|line| Logged::parse(line).unwrap())
                .collect();
        assert_eq!(latencies(&log, Duration::from_secs(1)), [200, 300]);
        assert_eq!(latencies(&log, Duration::ZERO).len(), 4);
        assert_eq!(latencies(&[], Duration::ZERO), []);
        assert_eq!(Logged::parse("0 1 skipped"), None);
    }

    #[test]
    fn reads_both_kinds_of_counts() {
        let timed = "duration: 5 s\nnumber of transactions actually processed: 8112\nlatency";
        assert_eq!(transactions(timed), Some(8112));
        let counted = "number of transactions actually processed: 15000/15000\n";
        assert_eq!(transactions(counted), Some(15000));
        assert_eq!(transactions("pgbench (15.18)"), None);
    }

    #[test]
    fn reads_the_speed() {
        let summary =
            "initial connection time = 4.2 ms\ntps = 15012.3 (without initial connection time)";
        assert_eq!(tps(summary), Some(15012.3));
        assert_eq!(tps("transaction type: <builtin>"), None);
    }
}
