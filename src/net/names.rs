//! Names of servers and the addresses they stand for, remembered for a while.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};

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
    times: RwLock<Times>,
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

#[derive(Clone, Copy, Debug)]
struct Times {
    found: Timeout,
    missing: Timeout,
}

impl Times {
    fn new(process: &Process) -> Self {
        Times { found: process.dns_max_ttl, missing: process.dns_nxdomain_ttl }
    }
}

impl HostNames {
    /// Nothing known yet.
    pub fn new(process: &Process) -> Self {
        HostNames {
            known: Mutex::default(),
            times: RwLock::new(Times::new(process)),
            moves: AtomicU64::new(0),
            asked: AtomicUsize::new(0),
            turns: AtomicUsize::new(0),
        }
    }

    /// As the configuration says from now on.
    pub fn configure(&self, process: &Process) {
        *self.times.write() = Times::new(process);
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
                found
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

    fn learn(&self, name: &str, found: Result<Vec<IpAddr>, String>) {
        let times = *self.times.read();
        let ttl = if found.is_ok() { times.found } else { times.missing };
        let fresh = Known { addresses: found, until: ttl.map(|ttl| Instant::now() + ttl) };
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

    async fn ask(&self, name: &str) -> Result<Vec<IpAddr>, String> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let _asked = Asked(&self.asked);
        ask(name).await
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

async fn ask(name: &str) -> Result<Vec<IpAddr>, String> {
    let found = tokio::net::lookup_host((name, 0)).await.map_err(|error| error.to_string())?;
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|socket| socket.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    if addresses.is_empty() {
        return Err("the name has no addresses".to_owned());
    }
    Ok(addresses)
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

    #[tokio::test]
    async fn answers_are_kept_and_changes_noticed() {
        let names = HostNames::new(&Process::default());
        names.learn("db", Ok(vec![address(1), address(2)]));
        assert_eq!(names.look_up("db").await.unwrap(), [address(1), address(2)]);
        assert_eq!(names.look_up("db").await.unwrap(), [address(2), address(1)], "in turns");
        assert!(!names.has_left("db", address(2)) && names.has_left("db", address(3)));
        names.learn("db", Err("nobody answers".to_owned()));
        assert_eq!(names.moves(), 0, "no answer is no change");
        names.learn("db", Ok(vec![address(1)]));
        names.learn("db", Ok(vec![address(2), address(3)]));
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
}
