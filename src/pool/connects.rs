//! Logins to servers, counted by database and by host.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::stats::{Buckets, Histogram, HistogramTotal, HostFacts, Role};
use crate::types::{Name, ServerAddress};

/// Logins to servers. They are rare, so a lock is cheap.
#[derive(Debug)]
pub struct Connects {
    buckets: Buckets,
    by_database: Mutex<BTreeMap<Name, Counts>>,
}

/// Those of one database.
#[derive(Debug)]
struct Counts {
    took: Histogram,
    hosts: BTreeMap<String, HostFacts>,
}

/// The logins to one database's servers.
#[derive(Clone, Debug, Default)]
pub struct ConnectFacts {
    /// How long those took that succeeded.
    pub took: HistogramTotal,
    /// By host; those without a login are not there.
    pub hosts: Vec<HostFacts>,
}

impl Connects {
    /// Nothing counted yet.
    pub fn new(buckets: &Buckets) -> Self {
        Connects { buckets: buckets.clone(), by_database: Mutex::default() }
    }

    pub(super) fn succeeded(
        &self,
        database: &Name,
        address: &ServerAddress,
        took: Duration,
        role: Role,
    ) {
        self.with(database, |counts| {
            counts.took.observe(took);
            let host = counts.host(address.to_string());
            host.connected += 1;
            host.is_up = Some(true);
            host.role = role;
        });
    }

    /// `address` is `None` where there was none to try.
    pub(super) fn failed(&self, database: &Name, address: Option<&ServerAddress>) {
        let name = address.map(ToString::to_string).unwrap_or_default();
        self.with(database, |counts| {
            let host = counts.host(name);
            host.failed += 1;
            host.is_up = Some(false);
        });
    }

    fn with(&self, database: &Name, change: impl FnOnce(&mut Counts)) {
        let mut all = self.by_database.lock();
        let fresh = || Counts { took: Histogram::new(&self.buckets), hosts: BTreeMap::new() };
        change(all.entry(Name::clone(database)).or_insert_with(fresh));
    }

    /// All of them, by database.
    pub fn all(&self) -> BTreeMap<Name, ConnectFacts> {
        let all = self.by_database.lock();
        let facts = |counts: &Counts| {
            let mut took = HistogramTotal::default();
            counts.took.add_to(&mut took);
            ConnectFacts { took, hosts: counts.hosts.values().cloned().collect() }
        };
        all.iter().map(|(name, counts)| (Name::clone(name), facts(counts))).collect()
    }
}

impl Counts {
    fn host(&mut self, name: String) -> &mut HostFacts {
        self.hosts.entry(name.clone()).or_insert_with(|| HostFacts::unknown(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_host_has_its_counts_and_its_last_word() {
        let connects = Connects::new(&Buckets::new(&[]));
        let (app, took) = (Name::from("app"), Duration::from_millis(3));
        let at = |port| ServerAddress::Tcp { host: "db".into(), port };
        connects.succeeded(&app, &at(5432), took, Role::Primary);
        connects.failed(&app, Some(&at(5432)));
        connects.failed(&app, Some(&at(5433)));
        connects.succeeded(&app, &at(5433), took, Role::Standby);
        let facts = connects.all().remove(&app).expect("counted");
        assert_eq!((facts.took.count(), facts.took.sum_micros), (2, 6_000));
        let host = |name: &str, is_up, role| HostFacts {
            name: name.to_owned(),
            connected: 1,
            failed: 1,
            is_up: Some(is_up),
            role,
        };
        assert_eq!(
            facts.hosts,
            [host("db:5432", false, Role::Primary), host("db:5433", true, Role::Standby)]
        );
    }
}
