//! Records what pools are asked for, one pool after the other, for the advice on their sizes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Host;
use crate::advise::{PoolName, Window};
use crate::backstage;
use crate::pool::Pool;
use crate::types::{Name, PoolMode};

/// How long a recording lasts, unless there is no room for more before.
const LONGEST: Duration = Duration::from_secs(10);
/// How often it is looked whether a pool is due.
const REST: Duration = Duration::from_secs(1);
/// What has taken some time to think about is followed by a rest so many times as long, if that is not too long.
const RESTS: u32 = 1000;
/// A rest that is long enough, unless it is less than [`LEAST_RESTS`] times as long.
const LONG_REST: Duration = Duration::from_secs(5);
/// Advice costs a hundredth of a processor at most, however many pools there are and however busy they are.
const LEAST_RESTS: u32 = 100;
/// How often it is looked, during a recording, whether there is room for more.
const LOOK: Duration = Duration::from_millis(100);

/// Records pools for ever.
pub async fn record(host: Arc<dyn Host>) {
    let mut turns = Turns::default();
    loop {
        tokio::time::sleep(REST).await;
        if let Some(pool) = turns.next(host.as_ref()) {
            let thought = record_one(&host, &pool).await;
            turns.recorded.insert(name(&pool), (Instant::now(), assignments(&pool)));
            tokio::time::sleep(rest(thought)).await;
        }
    }
}

/// How long nothing is thought about after what took so long.
fn rest(thought: Duration) -> Duration {
    (thought * RESTS).min(LONG_REST).max(thought * LEAST_RESTS)
}

/// Which pool is next.
#[derive(Default)]
struct Turns {
    /// When each was recorded last, and what it had been asked for by then.
    recorded: BTreeMap<PoolName, (Instant, u64)>,
}

impl Turns {
    /// The pool that is due for longest, of those that are asked for something.
    fn next(&mut self, host: &dyn Host) -> Option<Arc<Pool>> {
        let process = &host.config().process;
        let windows = usize::from(process.advise_windows);
        if windows == 0 {
            return None;
        }
        let pools = host.pools().all();
        self.recorded.retain(|known, _| pools.iter().any(|pool| name(pool) == *known));
        let due = pools.into_iter().filter_map(|pool| {
            let (recorded, asked) = match self.recorded.get(&name(&pool)) {
                Some((recorded, asked)) => (Some(*recorded), *asked),
                None => (None, 0),
            };
            let few = host.adviser().windows(&name(&pool)) < windows;
            let rested = recorded.is_none_or(|at| few || at.elapsed() >= process.advise_period);
            let wanted = pool.settings().pool_mode != PoolMode::Session && !pool.is_paused();
            (wanted && rested && assignments(&pool) > asked).then_some((recorded, pool))
        });
        due.min_by_key(|(recorded, _)| *recorded).map(|(_, pool)| pool)
    }
}

fn name(pool: &Pool) -> PoolName {
    (Name::clone(&pool.key.database), Name::clone(&pool.key.user))
}

/// How often clients were given a server.
fn assignments(pool: &Pool) -> u64 {
    let queued = pool.stats.sum(|cells| &cells.assigned_queued);
    queued + pool.stats.sum(|cells| &cells.assigned_at_once)
}

/// Records one pool, and has the adviser look at it. A recording during which the pool was paused, or got another size,
/// says nothing about either. Gives the time the adviser took.
async fn record_one(host: &Arc<dyn Host>, pool: &Arc<Pool>) -> Duration {
    let (since, size) = (Instant::now(), pool.settings().pool_size);
    let before = pool.applications.holds(&pool.stats);
    let mut disturbed = false;
    pool.begin_recording(since);
    while since.elapsed() < LONGEST && !disturbed && !pool.is_recorded_enough() {
        tokio::time::sleep(LOOK).await;
        disturbed = pool.is_paused() || pool.settings().pool_size != size;
    }
    let now = Instant::now();
    let (recording, open) = pool.end_recording(since, now);
    if disturbed {
        return Duration::ZERO;
    }
    let length = u32::try_from(now.duration_since(since).as_micros()).unwrap_or(u32::MAX);
    let applications = [before, pool.applications.holds(&pool.stats)];
    let (name, windows) = (name(pool), usize::from(host.config().process.advise_windows));
    let host = Arc::clone(host);
    // It computes for some milliseconds, and this thread has others to serve.
    let thinking = backstage::aside("adviser", move || {
        let began = Instant::now();
        let window = Window::new(size, length, recording, &open);
        host.adviser().add(name, window, applications, windows);
        let pools = host.pools().all();
        host.adviser().retain(|known| pools.iter().any(|pool| self::name(pool) == *known));
        began.elapsed()
    });
    let thought = match thinking {
        Ok(thought) => thought.await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    thought.unwrap_or_else(|error| {
        tracing::error!(error, "advice on the size of a pool");
        Duration::ZERO
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_are_long_but_not_without_end() {
        let millis = Duration::from_millis;
        assert_eq!(rest(millis(2)), millis(2_000));
        assert_eq!(rest(millis(20)), millis(5_000));
        assert_eq!(rest(millis(100)), millis(10_000));
    }
}
