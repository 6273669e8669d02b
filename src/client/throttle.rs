//! Addresses whose logins keep failing are slowed down.
//!
//! Slowed down, not shut out: behind one address there may be a hundred applications and one of them with an old
//! password. So a login from such an address is held up before it may prove itself, and only a few are held up at a
//! time; guessing is bounded to a few passwords a second, whoever knows the password gets in a little later.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::config::Process;

/// Addresses remembered; beyond this the one with the fewest failures is forgotten.
const ADDRESSES: usize = 10_000;
/// Logins of one address that are held up at a time; more are turned away.
const HELD_UP: usize = 10;

/// When an address is slowed down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// `auth_failure_limit`.
    pub(super) limit: usize,
    /// `auth_failure_window`.
    pub(super) window: Duration,
    /// `auth_failure_delay`.
    pub(super) delay: Duration,
}

impl Rule {
    /// The configuration's rule; `None`: nobody is slowed down.
    pub(super) fn of(process: &Process) -> Option<Self> {
        Some(Rule {
            limit: process.auth_failure_limit?,
            window: process.auth_failure_window,
            delay: process.auth_failure_delay,
        })
    }
}

/// Failures by address.
#[derive(Debug, Default)]
pub(super) struct Throttle {
    records: Mutex<HashMap<IpAddr, Record>>,
}

#[derive(Debug)]
struct Record {
    /// Failures that still count at `since`; they fade evenly, the limit's number within a window.
    level: f64,
    since: Instant,
    held_up: Arc<AtomicUsize>,
}

impl Record {
    fn level_at(&self, now: Instant, rule: &Rule) -> f64 {
        let windows = now.saturating_duration_since(self.since).as_secs_f64()
            / rule.window.as_secs_f64().max(f64::EPSILON);
        (self.level - windows * rule.limit as f64).max(0.0)
    }
}

/// What happens to a login.
#[derive(Debug)]
pub(super) enum Pace {
    /// It goes on.
    Go,
    /// It goes on after a while.
    After(Duration, HeldUp),
    /// Too many are held up already.
    Refuse,
}

/// A login that is held up. Dropping it makes room for the next.
#[derive(Debug)]
pub(super) struct HeldUp(Arc<AtomicUsize>);

impl Drop for HeldUp {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Throttle {
    /// What happens to a login from an address.
    pub(super) fn pace(&self, address: IpAddr, rule: &Rule, now: Instant) -> Pace {
        let records = self.records.lock();
        let Some(record) = records.get(&network(address)) else { return Pace::Go };
        // A failure counts in full until it has faded in full.
        if record.level_at(now, rule).ceil() < rule.limit as f64 {
            return Pace::Go;
        }
        let one_more = |held: usize| (held < HELD_UP).then_some(held + 1);
        match record.held_up.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more) {
            Ok(_) => Pace::After(rule.delay, HeldUp(Arc::clone(&record.held_up))),
            Err(_) => Pace::Refuse,
        }
    }

    /// A login from an address has failed.
    pub(super) fn failed(&self, address: IpAddr, rule: &Rule, now: Instant) {
        let mut records = self.records.lock();
        let key = network(address);
        if records.len() >= ADDRESSES && !records.contains_key(&key) {
            make_room(&mut records, rule, now);
        }
        let record = records.entry(key).or_insert_with(|| Record {
            level: 0.0,
            since: now,
            held_up: Arc::default(),
        });
        // One failure beyond the limit is enough to be slowed down; more would only last longer, without end.
        record.level = (record.level_at(now, rule) + 1.0).min(rule.limit as f64 + 1.0);
        record.since = now;
    }
}

/// Forgets those whose failures have faded, or else the one with the fewest.
fn make_room(records: &mut HashMap<IpAddr, Record>, rule: &Rule, now: Instant) {
    records.retain(|_, record| record.level_at(now, rule) > 0.0);
    if records.len() < ADDRESSES {
        return;
    }
    let level = |record: &Record| record.level_at(now, rule);
    let fewest = records.iter().min_by(|(_, a), (_, b)| level(a).total_cmp(&level(b)));
    if let Some(key) = fewest.map(|(key, _)| *key) {
        records.remove(&key);
    }
}

/// What counts as one address: with IPv6 a /64, of which one machine has all addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: Rule =
        Rule { limit: 3, window: Duration::from_secs(60), delay: Duration::from_secs(1) };

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn goes(throttle: &Throttle, from: &str, now: Instant) -> bool {
        matches!(throttle.pace(address(from), &RULE, now), Pace::Go)
    }

    #[test]
    fn too_many_failures_slow_one_address_down_and_fade() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..3 {
            assert!(goes(&throttle, "10.0.0.1", now));
            throttle.failed(address("10.0.0.1"), &RULE, now);
        }
        assert!(!goes(&throttle, "10.0.0.1", now));
        assert!(!goes(&throttle, "::ffff:10.0.0.1", now), "the same in disguise");
        assert!(goes(&throttle, "10.0.0.2", now), "others are not concerned");
        let later = now + Duration::from_secs(21);
        assert!(goes(&throttle, "10.0.0.1", later), "one failure fades in a third of the window");
    }

    #[test]
    fn a_flood_is_forgotten_as_fast_as_a_trickle() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..1_000 {
            throttle.failed(address("10.0.0.1"), &RULE, now);
        }
        assert!(!goes(&throttle, "10.0.0.1", now + Duration::from_secs(10)));
        assert!(goes(&throttle, "10.0.0.1", now + Duration::from_secs(61)));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for host in 1..=3 {
            throttle.failed(address(&format!("2001:db8:1:2::{host}")), &RULE, now);
        }
        assert!(!goes(&throttle, "2001:db8:1:2:ffff::1", now));
        assert!(goes(&throttle, "2001:db8:1:3::1", now));
    }

    #[test]
    fn few_are_held_up_at_a_time() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..3 {
            throttle.failed(address("10.0.0.1"), &RULE, now);
        }
        let pace = || throttle.pace(address("10.0.0.1"), &RULE, now);
        let held: Vec<Pace> = (0..HELD_UP).map(|_| pace()).collect();
        assert!(
            held.iter().all(|pace| matches!(pace, Pace::After(delay, _) if *delay == RULE.delay))
        );
        assert!(matches!(pace(), Pace::Refuse));
        drop(held);
        assert!(matches!(pace(), Pace::After(..)));
    }

    #[test]
    fn the_table_is_bounded_and_keeps_the_worst() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..3 {
            throttle.failed(address("192.0.2.1"), &RULE, now);
        }
        for n in 0..u32::try_from(ADDRESSES).unwrap() + 50 {
            throttle.failed(IpAddr::V4((0x0a00_0000 + n).into()), &RULE, now);
        }
        assert_eq!(throttle.records.lock().len(), ADDRESSES);
        assert!(!goes(&throttle, "192.0.2.1", now));
    }
}
