//! What went on between two looks at a pool.

use serde::Serialize;

use super::Load;

const MICROS: f64 = 1e6;

/// The rates of a pool between two looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Transactions a second.
    pub transactions_per_second: f64,
    /// Queries a second.
    pub queries_per_second: f64,
    /// Waits a second that ended without a server.
    pub given_up_per_second: f64,
    /// Bytes a second from clients.
    pub received_per_second: f64,
    /// Bytes a second to clients.
    pub sent_per_second: f64,
    /// The mean time in the queue of those who left it, waits of 0 included; `None` if nobody did.
    pub mean_wait_seconds: Option<f64>,
    /// The median of those waits, by their histogram.
    pub wait_p50_seconds: Option<f64>,
    /// What 99 of 100 of them did not exceed.
    pub wait_p99_seconds: Option<f64>,
    /// Servers in use, on average.
    pub mean_busy: f64,
    /// Clients in the queue, on average.
    pub mean_waiting: f64,
    /// The share of time with every server in use.
    pub saturated: f64,
    /// Servers that waited for their clients inside transactions, on average.
    pub mean_idle_in_transaction: f64,
}

impl Rates {
    /// The rates of a pool that was `before` and is `now`, `seconds` later. `None` when the counters began anew in
    /// between, or no time has passed.
    pub fn between(before: &Load, now: &Load, seconds: f64) -> Option<Self> {
        let counters =
            |load: &Load| [load.transactions, load.queries, load.assignments, load.busy_us];
        let is_anew = counters(now).iter().zip(counters(before)).any(|(now, before)| *now < before);
        if is_anew || seconds <= 0.0 || now.wait_bounds_us != before.wait_bounds_us {
            return None;
        }
        let grown = |of: fn(&Load) -> u64| of(now).saturating_sub(of(before)) as f64;
        let waits = waits_between(before, now);
        let ended: u64 = waits.iter().sum();
        let quantile = |share| quantile(&now.wait_bounds_us, &waits, share);
        Some(Rates {
            transactions_per_second: grown(|load| load.transactions) / seconds,
            queries_per_second: grown(|load| load.queries) / seconds,
            given_up_per_second: grown(|load| load.given_up) / seconds,
            received_per_second: grown(|load| load.received) / seconds,
            sent_per_second: grown(|load| load.sent) / seconds,
            mean_wait_seconds: (ended > 0)
                .then(|| grown(|load| load.wait_us) / MICROS / ended as f64),
            wait_p50_seconds: quantile(0.5),
            wait_p99_seconds: quantile(0.99),
            mean_busy: grown(|load| load.busy_us) / MICROS / seconds,
            mean_waiting: grown(|load| load.queue_us) / MICROS / seconds,
            saturated: (grown(|load| load.saturated_us) / MICROS / seconds).min(1.0),
            mean_idle_in_transaction: grown(|load| load.idle_in_transaction_us) / MICROS / seconds,
        })
    }
}

/// Waits by bucket that ended between two looks.
pub fn waits_between(before: &Load, now: &Load) -> Vec<u64> {
    let earlier = before.wait_counts.iter().copied().chain(std::iter::repeat(0));
    now.wait_counts.iter().zip(earlier).map(|(now, before)| now.saturating_sub(before)).collect()
}

/// The value that a share of the observations does not exceed, in seconds: interpolated within its bucket, and the
/// highest bound for what is beyond it.
fn quantile(bounds: &[u64], counts: &[u64], share: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return None;
    }
    let rank = share * total as f64;
    let (mut below, mut low) = (0.0, 0);
    for (count, bound) in counts.iter().zip(bounds) {
        let count = *count as f64;
        if count > 0.0 && below + count >= rank {
            let within = (rank - below) / count;
            return Some((low as f64 + within * (bound - low) as f64) / MICROS);
        }
        below += count;
        low = *bound;
    }
    Some(low as f64 / MICROS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(transactions: u64, wait_counts: &[u64]) -> Load {
        Load {
            transactions,
            wait_counts: wait_counts.to_vec(),
            wait_bounds_us: vec![1_000, 10_000],
            ..Load::default()
        }
    }

    #[test]
    fn rates_are_of_the_time_between() {
        let before = Load { wait_us: 500, busy_us: 1_000_000, ..load(10, &[5, 0, 0]) };
        let now = Load { wait_us: 20_500, busy_us: 5_000_000, ..load(30, &[5, 10, 0]) };
        let rates = Rates::between(&before, &now, 2.0).unwrap();
        assert_eq!(rates.transactions_per_second, 10.0);
        assert_eq!(rates.mean_wait_seconds, Some(0.002));
        assert_eq!(rates.wait_p50_seconds, Some(0.0055), "half way from 1 ms to 10 ms");
        assert_eq!(rates.mean_busy, 2.0);
        let idle = Rates::between(&now, &now, 2.0).unwrap();
        assert_eq!((idle.mean_wait_seconds, idle.wait_p99_seconds), (None, None));
    }

    #[test]
    fn a_restart_in_between_has_no_rates() {
        assert_eq!(Rates::between(&load(10, &[0, 0, 0]), &load(3, &[0, 0, 0]), 1.0), None);
        assert_eq!(Rates::between(&load(1, &[0, 0, 0]), &load(3, &[0, 0, 0]), 0.0), None);
    }

    #[test]
    fn what_is_beyond_the_last_bound_is_at_least_that() {
        assert_eq!(quantile(&[1_000, 10_000], &[0, 0, 3], 0.99), Some(0.01));
    }
}
