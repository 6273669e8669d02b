//! Names of servers and the addresses they stand for, remembered for a while.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

use super::resolver::{Answer, Resolver};
use super::zones::{KnownZone, Zones, zone_of};
use crate::config::Process;
use crate::types::Timeout;

/// Names that are remembered. Beyond this some are looked up again.
const MOST: usize = 10_000;

/// How long asking again may take, and the least time between two questions.
const RENEWAL: Duration = Duration::from_secs(1);

/// A name as SHOW DNS_HOSTS lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownName {
    /// The name.
    pub name: String,
    /// How long it will not be looked up again.
    pub left: Duration,
    /// What it stands for; nothing when there is no such name.
    pub addresses: Vec<IpAddr>,
}

/// What names stand for.
#[derive(Debug)]
pub struct HostNames {
    known: Mutex<BTreeMap<String, Known>>,
    rules: RwLock<Rules>,
    zones: Zones,
    /// Counts up when a name's addresses are others than before.
    moves: AtomicU64,
    /// Questions under way.
    asked: AtomicUsize,
    /// Connections made by name: each begins with another address.
    turns: AtomicUsize,
}

#[derive(Clone, Debug)]
struct Known {
    addresses: Result<Vec<IpAddr>, String>,
    until: Option<Instant>,
}

/// Who is asked, and how long what was said is believed.
#[derive(Clone, Debug)]
struct Rules {
    resolver: Resolver,
    found: Timeout,
    missing: Timeout,
    zone_check: Timeout,
}

impl Rules {
    fn new(process: &Process) -> Self {
        Rules {
            resolver: Resolver::new(process),
            found: process.dns_max_ttl,
            missing: process.dns_nxdomain_ttl,
            zone_check: process.dns_zone_check_period,
        }
    }

    /// How long an answer is believed.
    fn lifetime(&self, answer: &Result<Answer, String>) -> Timeout {
        match answer {
            Ok(Answer { ttl: None, .. }) => self.found,
            Ok(Answer { ttl: Some(ttl), .. }) => {
                Some(self.found.map_or(*ttl, |most| most.min(*ttl)))
            }
            Err(_) => self.missing,
        }
    }
}

impl HostNames {
    /// Nothing known yet.
    pub fn new(process: &Process) -> Self {
        HostNames {
            known: Mutex::default(),
            rules: RwLock::new(Rules::new(process)),
            zones: Zones::default(),
            moves: AtomicU64::new(0),
            asked: AtomicUsize::new(0),
            turns: AtomicUsize::new(0),
        }
    }

    /// As the configuration says from now on.
    pub fn configure(&self, process: &Process) {
        *self.rules.write() = Rules::new(process);
    }

    /// The addresses of a name, those of a name with several in turns.
    ///
    /// # Errors
    /// There are none, or nobody can say.
    pub(super) async fn look_up(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        let known = self.known.lock().get(name).cloned();
        let fresh = known.filter(|known| known.until.is_none_or(|until| Instant::now() < until));
        let found = match fresh {
            Some(known) => known.addresses,
            None => {
                let found = self.ask(name).await;
                self.learn(name, found.clone());
                found.map(|answer| answer.addresses)
            }
        };
        let mut addresses = found.map_err(io::Error::other)?;
        self.rotate(&mut addresses);
        Ok(addresses)
    }

    /// Several addresses of one family are as good as each other; of two families one may not work here.
    fn rotate(&self, addresses: &mut [IpAddr]) {
        let first_is_v4 = addresses.first().is_some_and(IpAddr::is_ipv4);
        if addresses.iter().all(|address| address.is_ipv4() == first_is_v4) && !addresses.is_empty()
        {
            let turn = self.turns.fetch_add(1, Ordering::Relaxed) % addresses.len();
            addresses.rotate_left(turn);
        }
    }

    fn learn(&self, name: &str, found: Result<Answer, String>) {
        let lifetime = self.rules.read().lifetime(&found);
        let fresh = Known {
            addresses: found.map(|answer| answer.addresses),
            until: lifetime.map(|lifetime| Instant::now() + lifetime),
        };
        let mut known = self.known.lock();
        if known.len() >= MOST && !known.contains_key(name) {
            known.clear();
        }
        let is_same = |before: &Known| same(&before.addresses, &fresh.addresses);
        let moved = known.get(name).is_some_and(|before| !is_same(before));
        known.insert(name.to_owned(), fresh);
        if moved {
            self.moves.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Those of these names whose time is over. They are given a little more, in which somebody asks again.
    pub fn take_due<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<String> {
        let now = Instant::now();
        let mut known = self.known.lock();
        let mut due = Vec::new();
        for name in names {
            let over = |known: &&mut Known| {
                known.addresses.is_ok() && known.until.is_some_and(|until| until <= now)
            };
            if let Some(known) = known.get_mut(name).filter(over) {
                known.until = Some(now + RENEWAL);
                due.push(name.to_owned());
            }
        }
        due
    }

    /// Looks a name up again. No answer says nothing of the one before.
    pub async fn renew(&self, name: &str) {
        let found = self.ask(name).await;
        if found.is_ok() {
            self.learn(name, found);
        }
    }

    async fn ask(&self, name: &str) -> Result<Answer, String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let _asked = Asked(&self.asked);
        let resolver = self.rules.read().resolver.clone();
        resolver.addresses(name).await
    }

    /// True when `dns_zone_check_period` has passed since this was true.
    pub fn zones_are_due(&self) -> bool {
        let period = self.rules.read().zone_check;
        self.zones.are_due(period)
    }

    /// Asks every zone for its serial number. What is known of the names in one that has changed is out of date.
    pub async fn check_zones(&self) {
        // Where name servers are slow, the round before may not be over.
        let Ok(_alone) = self.zones.asking.try_lock() else { return };
        let resolver = self.rules.read().resolver.clone();
        let zones = self.zones();
        self.zones.keep(&zones);
        for KnownZone { name: zone, .. } in zones {
            match resolver.serial(&zone).await {
                Ok(serial) if self.zones.learn(&zone, serial) => {
                    tracing::info!(%zone, serial, "zone has changed: its names are looked up again");
                    self.expire(&zone);
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%zone, %error, "serial of the zone not found"),
            }
        }
    }

    fn expire(&self, zone: &str) {
        let now = Instant::now();
        let mut known = self.known.lock();
        for (_, known) in known.iter_mut().filter(|(name, _)| zone_of(name) == Some(zone)) {
            known.until = Some(now);
        }
    }

    /// The zones of the names that were looked up.
    pub fn zones(&self) -> Vec<KnownZone> {
        self.zones.of(self.known.lock().keys().map(String::as_str))
    }

    /// Questions that are not answered yet.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Changes when a name has other addresses than before.
    pub fn moves(&self) -> u64 {
        self.moves.load(Ordering::Relaxed)
    }

    /// True when it is known that a name stands for other addresses than this one.
    pub fn has_left(&self, name: &str, address: IpAddr) -> bool {
        let known = self.known.lock();
        let addresses = known.get(name).and_then(|known| known.addresses.as_ref().ok());
        addresses.is_some_and(|all| !all.iter().any(|one| one.to_canonical() == address))
    }

    /// Every name that was looked up.
    pub fn all(&self) -> Vec<KnownName> {
        let now = Instant::now();
        let known = self.known.lock();
        let row = |(name, known): (&String, &Known)| KnownName {
            name: name.clone(),
            left: known.until.map_or(Duration::MAX, |until| until.saturating_duration_since(now)),
            addresses: known.addresses.clone().unwrap_or_default(),
        };
        known.iter().map(row).collect()
    }
}

/// A question under way.
struct Asked<'a>(&'a AtomicUsize);

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether two answers name the same addresses. No answer says nothing of the one before.
fn same(one: &Result<Vec<IpAddr>, String>, other: &Result<Vec<IpAddr>, String>) -> bool {
    let (Ok(one), Ok(other)) = (one, other) else { return true };
    one.iter().all(|address| other.contains(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, last])
    }

    fn found(addresses: Vec<IpAddr>) -> Result<Answer, String> {
        Ok(Answer { addresses, ttl: None })
    }

    #[tokio::test]
    async fn answers_are_kept_and_changes_noticed() {
        let names = HostNames::new(&Process::default());
        names.learn("db", found(vec![address(1), address(2)]));
        assert_eq!(names.look_up("db").await.unwrap(), [address(1), address(2)]);
        assert_eq!(names.look_up("db").await.unwrap(), [address(2), address(1)], "in turns");
        assert!(!names.has_left("db", address(2)) && names.has_left("db", address(3)));
        names.learn("db", Err("nobody answers".to_owned()));
        assert_eq!(names.moves(), 0, "no answer is no change");
        names.learn("db", found(vec![address(1)]));
        names.learn("db", found(vec![address(2), address(3)]));
        assert_eq!(names.moves(), 1);
        assert!(names.has_left("db", address(1)));
        assert!(names.take_due(["db"].into_iter()).is_empty(), "not yet");
        names.known.lock().get_mut("db").unwrap().until = Some(Instant::now());
        assert_eq!(names.take_due(["other", "db"].into_iter()), ["db"]);
        assert!(names.take_due(["db"].into_iter()).is_empty(), "somebody is asking");
        assert_eq!(names.look_up("10.0.0.9").await.unwrap(), [address(9)]);
        assert_eq!(names.all().len(), 1, "an address is no name");
    }

    #[tokio::test]
    async fn a_name_without_addresses_is_remembered() {
        let process = Process { dns_nxdomain_ttl: None, ..Process::default() };
        let names = HostNames::new(&process);
        names.learn("nowhere", Err("no such name".to_owned()));
        assert_eq!(names.look_up("nowhere").await.unwrap_err().to_string(), "no such name");
    }

    #[test]
    fn answers_are_believed_as_long_as_both_sides_say() {
        let process = Process { dns_nxdomain_ttl: seconds(3), ..Process::default() };
        let lifetime = |most, ttl| {
            let rules = Rules::new(&Process { dns_max_ttl: most, ..process.clone() });
            rules.lifetime(&Ok(Answer { addresses: vec![address(1)], ttl }))
        };
        assert_eq!(lifetime(seconds(15), None), seconds(15));
        assert_eq!(lifetime(seconds(15), seconds(20)), seconds(15));
        assert_eq!(lifetime(seconds(15), seconds(2)), seconds(2));
        assert_eq!(lifetime(None, seconds(2)), seconds(2));
        assert_eq!(lifetime(None, None), None);
        assert_eq!(Rules::new(&process).lifetime(&Err("no".to_owned())), seconds(3));
    }

    fn seconds(seconds: u64) -> Timeout {
        Some(std::time::Duration::from_secs(seconds))
    }

    #[tokio::test]
    async fn a_zone_that_changes_makes_its_names_due() {
        let process = Process { dns_max_ttl: None, ..Process::default() };
        let names = HostNames::new(&process);
        for name in ["a.test", "b.other", "alone"] {
            names.learn(name, found(vec![address(1)]));
        }
        names.expire("test");
        assert_eq!(names.take_due(["a.test", "b.other", "alone"].into_iter()), ["a.test"]);
        assert_eq!(names.zones().len(), 2);
    }
}
