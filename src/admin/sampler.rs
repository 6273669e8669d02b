//! The averages of SHOW STATS: over the last whole period, or since the start while there was none.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::Host;
use crate::stats::{Total, Totals};
use crate::types::Name;

/// How often it is looked whether the period has become shorter.
const LOOK: Duration = Duration::from_secs(1);

/// Sums by database.
type ByDatabase = BTreeMap<Name, Totals>;

/// Remembers the sums at the ends of the last two periods.
#[derive(Debug)]
pub struct Averages {
    periods: Mutex<Periods>,
}

#[derive(Debug)]
struct Periods {
    before: (Instant, ByDatabase),
    last: Option<(Instant, ByDatabase)>,
}

impl Averages {
    /// Begins now, with nothing counted.
    pub fn new(now: Instant) -> Self {
        let periods = Periods { before: (now, ByDatabase::new()), last: None };
        Averages { periods: Mutex::new(periods) }
    }

    /// A period ends with these sums.
    pub fn end_period(&self, now: Instant, totals: ByDatabase) {
        let mut periods = self.periods.lock();
        if let Some(last) = periods.last.replace((now, totals)) {
            periods.before = last;
        }
    }

    /// The averages of one database, whose sums are `current` now.
    pub(super) fn of(&self, database: &str, current: &Totals, now: Instant) -> Totals {
        self.over(current, now, |sums| sums.get(database).copied().unwrap_or_default())
    }

    /// The averages over all databases, whose sums are `current` now.
    pub(super) fn of_all(&self, current: &Totals, now: Instant) -> Totals {
        self.over(current, now, |sums| {
            let mut all = Totals::default();
            sums.values().for_each(|one| all.add(one));
            all
        })
    }

    /// The averages over all databases of the period that has just ended.
    fn of_last_period(&self) -> Totals {
        self.of_all(&Totals::default(), Instant::now())
    }

    fn over(&self, current: &Totals, now: Instant, pick: impl Fn(&ByDatabase) -> Totals) -> Totals {
        let periods = self.periods.lock();
        let (from, before) = &periods.before;
        let (to, last) = match &periods.last {
            Some((to, last)) => (*to, pick(last)),
            None => (now, *current),
        };
        average(&last.since(&pick(before)), to.saturating_duration_since(*from))
    }
}

/// Counts become counts per second; times become the mean of one transaction, query or wait, in microseconds.
pub(super) fn average(sums: &Totals, period: Duration) -> Totals {
    let micros = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
    Total::ALL.into_iter().fold(Totals::default(), |averages, which| {
        let sum = sums.get(which);
        let value = match which {
            Total::TransactionTime => mean(sum, sums.get(Total::Transactions)),
            Total::QueryTime => mean(sum, sums.get(Total::Queries)),
            Total::WaitTime => mean(sum, sums.get(Total::Assignments)),
            _ => mean(sum.saturating_mul(1_000_000), micros),
        };
        averages.with(which, value)
    })
}

fn mean(sum: u64, count: u64) -> u64 {
    sum.checked_div(count).unwrap_or_default()
}

/// Ends periods for ever.
pub async fn sample(host: Arc<dyn Host>) {
    let mut begun = tokio::time::Instant::now();
    loop {
        let end = end_of_period(host.as_ref(), begun).await;
        begun = end;
        host.averages().end_period(end.into_std(), host.pools().totals());
        if host.config().process.log_stats {
            log(host.averages().of_last_period());
        }
    }
}

/// Waits for the end of the period that has begun then. It may be made shorter meanwhile.
async fn end_of_period(host: &dyn Host, begun: tokio::time::Instant) -> tokio::time::Instant {
    loop {
        let end = begun + host.config().process.stats_period;
        let now = tokio::time::Instant::now();
        if now >= end {
            return end;
        }
        tokio::time::sleep_until(end.min(now + LOOK)).await;
    }
}

/// The line of `log_stats`.
fn log(averages: Totals) {
    let of = |which| averages.get(which);
    tracing::info!(
        xacts = of(Total::Transactions),
        queries = of(Total::Queries),
        client_parses = of(Total::ClientParses),
        server_parses = of(Total::ServerParses),
        binds = of(Total::Binds),
        received = of(Total::Received),
        sent = of(Total::Sent),
        xact_time = of(Total::TransactionTime),
        query_time = of(Total::QueryTime),
        wait_time = of(Total::WaitTime),
        "stats"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(queries: u64, query_time: u64) -> ByDatabase {
        let totals =
            Totals::default().with(Total::Queries, queries).with(Total::QueryTime, query_time);
        BTreeMap::from([("a".into(), totals)])
    }

    fn shown(averages: &Averages, current: &ByDatabase, now: Instant) -> (u64, u64) {
        let of = averages.of("a", &current["a"], now);
        (of.get(Total::Queries), of.get(Total::QueryTime))
    }

    #[test]
    fn averages_are_of_the_last_whole_period() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let averages = Averages::new(start);
        assert_eq!(shown(&averages, &sums(100, 5_000), at(10)), (10, 50), "since the start");
        averages.end_period(at(60), sums(600, 60_000));
        assert_eq!(shown(&averages, &sums(9_999, 0), at(70)), (10, 100));
        averages.end_period(at(120), sums(780, 69_000));
        assert_eq!(shown(&averages, &sums(9_999, 0), at(125)), (3, 50));
        averages.end_period(at(180), sums(780, 69_000));
        assert_eq!(shown(&averages, &sums(780, 69_000), at(185)), (0, 0), "nothing happened");
    }
}
