//! Metrics of pools and their servers.

use super::text::{Label, Page};
use crate::stats::{PoolFacts, Snapshot};

/// The labels of everything that is counted by pool.
pub(super) fn labels(pool: &PoolFacts) -> [Label<'_>; 2] {
    [("database", &pool.database), ("user", &pool.user)]
}

/// [`labels`] and one more.
pub(super) fn labels_and<'a>(pool: &'a PoolFacts, more: Label<'a>) -> [Label<'a>; 3] {
    let [database, user] = labels(pool);
    [database, user, more]
}

pub(super) fn put(page: &mut Page, snapshot: &Snapshot) {
    let mut sizes = page.gauge("pgusher_pool_size", "Servers a pool may have.");
    for pool in &snapshot.pools {
        sizes.value(&labels_and(pool, ("kind", "base")), pool.size);
        sizes.value(&labels_and(pool, ("kind", "reserve")), pool.reserve);
    }
    servers(page, snapshot);
    connects(page, snapshot);
    closes(page, snapshot);
    let mut paused = page.gauge("pgusher_pool_paused", "1 while a database is paused.");
    for database in &snapshot.databases {
        paused.value(&[("database", &database.name)], u8::from(database.is_paused));
    }
}

fn servers(page: &mut Page, snapshot: &Snapshot) {
    let mut servers = page.gauge("pgusher_server_connections", "Servers by state.");
    for pool in &snapshot.pools {
        let in_state = &pool.in_state;
        let states = [
            ("idle", in_state.idle + in_state.used),
            ("active", in_state.active),
            ("idle_in_transaction", in_state.idle_in_transaction),
            ("login", in_state.login),
            ("testing", in_state.tested),
            ("being_canceled", in_state.being_canceled),
        ];
        for (state, count) in states {
            servers.value(&labels_and(pool, ("state", state)), count);
        }
    }
}

fn connects(page: &mut Page, snapshot: &Snapshot) {
    let mut connects = page.counter("pgusher_server_connects_total", "Logins to servers.");
    for database in &snapshot.databases {
        let counts = [("ok", database.connect_took.count()), ("failed", database.connects_failed)];
        for (result, count) in counts {
            connects.value(&[("database", &database.name), ("result", result)], count);
        }
    }
    let mut took = page.histogram(
        "pgusher_server_connect_seconds",
        "Connect and login of a server together, for those that succeeded.",
    );
    for database in &snapshot.databases {
        let labels = [("database", &*database.name)];
        took.observations(&labels, &snapshot.bounds, &database.connect_took);
    }
}

fn closes(page: &mut Page, snapshot: &Snapshot) {
    let mut closes = page.counter(
        "pgusher_server_closes_total",
        "Closed servers by reason; out_of_sync must stay 0.",
    );
    for pool in &snapshot.pools {
        for &(reason, count) in &pool.closes {
            closes.value(&labels_and(pool, ("reason", reason)), count);
        }
    }
}
