//! What clients have been through, counted.

use std::collections::BTreeMap;
use std::time::Duration;

/// The count of one client, or of many.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Tally {
    /// Clients that had at least one transaction.
    pub(crate) served: u64,
    /// Clients that were not let in.
    pub(crate) refused: u64,
    /// Errors, those of refused clients included, by SQLSTATE or name.
    pub(crate) errors: BTreeMap<String, u64>,
    /// How long each transaction took, from its first message to its last answer, in microseconds.
    micros: Vec<u32>,
}

impl Tally {
    /// Counts a transaction.
    pub(crate) fn transaction(&mut self, took: Duration) {
        self.served = 1;
        self.micros.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
    }

    /// Counts an error.
    pub(crate) fn error(&mut self, name: String) {
        *self.errors.entry(name).or_default() += 1;
    }

    /// Adds another count.
    pub(crate) fn add(&mut self, other: Tally) {
        self.served += other.served;
        self.refused += other.refused;
        self.micros.extend(other.micros);
        for (name, count) in other.errors {
            *self.errors.entry(name).or_default() += count;
        }
    }

    /// The latencies that these percents of the transactions did not pass; `None` when there was none.
    pub(crate) fn percentiles<const N: usize>(&self, percents: [f64; N]) -> Option<[Duration; N]> {
        let mut sorted = self.micros.clone();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        Some(percents.map(|percent| {
            let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
            let micros = sorted[rank.saturating_sub(1).min(last)];
            Duration::from_micros(u64::from(micros))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;
    use std::time::Duration;

    #[test]
    fn adds_up() {
        let mut all = Tally::default();
        assert_eq!(all.percentiles([50.0]), None);
        for micros in 1..=100 {
            let mut one = Tally::default();
            one.transaction(Duration::from_micros(micros));
            one.transaction(Duration::from_micros(micros));
            one.error("57014".to_owned());
            all.add(one);
        }
        assert_eq!((all.served, all.refused, all.micros.len()), (100, 0, 200));
        assert_eq!(all.errors["57014"], 100);
        let expected = [50, 99, 100].map(Duration::from_micros);
        assert_eq!(all.percentiles([50.0, 99.0, 100.0]), Some(expected));
    }
}
