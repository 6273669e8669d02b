//! How long clients waited for a server, read from pgusher's metrics.

use std::time::Duration;

/// The histogram of all waits, over all pools and outcomes.
const BUCKETS: &str = "pgusher_pool_wait_seconds_bucket{";

/// A cumulative histogram: upper bounds in seconds and counts.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct QueueTime {
    buckets: Vec<(f64, f64)>,
}

impl QueueTime {
    /// Reads the page of metrics; without the histogram it is empty.
    pub(crate) fn parse(page: &str) -> Self {
        let mut buckets: Vec<(f64, f64)> = Vec::new();
        for (bound, count) in page.lines().filter_map(bucket) {
            match buckets.iter_mut().find(|(known, _)| *known == bound) {
                Some((_, sum)) => *sum += count,
                None => buckets.push((bound, count)),
            }
        }
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        QueueTime { buckets }
    }

    /// What came after an earlier reading.
    pub(crate) fn since(&self, earlier: &QueueTime) -> QueueTime {
        let before = |bound: f64| {
            let known = earlier.buckets.iter().find(|(known, _)| *known == bound);
            known.map_or(0.0, |&(_, count)| count)
        };
        let buckets = self.buckets.iter().map(|&(bound, count)| (bound, count - before(bound)));
        QueueTime { buckets: buckets.collect() }
    }

    /// A bound that so many percent of the waits did not pass; `None` when there were none, or none so short.
    pub(crate) fn bound(&self, percent: f64) -> Option<Duration> {
        let (_, all) = self.buckets.last().filter(|(_, all)| *all > 0.0)?;
        let (bound, _) = self.buckets.iter().find(|(_, count)| *count >= all * percent / 100.0)?;
        Duration::try_from_secs_f64(*bound).ok()
    }
}

/// The bound and the count of a line such as `…_bucket{database="a",le="0.005"} 12`.
fn bucket(line: &str) -> Option<(f64, f64)> {
    let (labels, count) = line.strip_prefix(BUCKETS)?.rsplit_once("} ")?;
    let (_, bound) = labels.rsplit_once("le=\"")?;
    let (bound, _) = bound.split_once('"')?;
    let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
    Some((bound, count.trim().parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::QueueTime;
    use std::time::Duration;

    const PAGE: &str = r#"
# TYPE pgusher_pool_wait_seconds histogram
pgusher_pool_wait_seconds_bucket{database="a",user="u",outcome="assigned",le="0.0001"} 50
pgusher_pool_wait_seconds_bucket{database="a",user="u",outcome="assigned",le="0.001"} 98
pgusher_pool_wait_seconds_bucket{database="a",user="u",outcome="assigned",le="+Inf"} 98
pgusher_pool_wait_seconds_bucket{database="b",user="u",outcome="timeout",le="0.0001"} 0
pgusher_pool_wait_seconds_bucket{database="b",user="u",outcome="timeout",le="0.001"} 0
pgusher_pool_wait_seconds_bucket{database="b",user="u",outcome="timeout",le="+Inf"} 2
pgusher_pool_wait_seconds_sum{database="a",user="u",outcome="assigned"} 0.1
"#;

    #[test]
    fn adds_pools_and_finds_bounds() {
        let waits = QueueTime::parse(PAGE);
        assert_eq!(waits.bound(50.0), Some(Duration::from_micros(100)));
        assert_eq!(waits.bound(98.0), Some(Duration::from_millis(1)));
        assert_eq!(waits.bound(99.0), None);
    }

    #[test]
    fn knows_only_what_is_new() {
        let waits = QueueTime::parse(PAGE);
        assert_eq!(waits.since(&waits).bound(50.0), None);
        assert_eq!(waits.since(&QueueTime::default()), waits);
        assert_eq!(QueueTime::parse("pgusher_build_info 1\n"), QueueTime::default());
    }
}
