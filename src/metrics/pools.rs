//! Metrics of pools and their servers.

use super::text::{Label, Page};
use super::view::View;
use crate::stats::{DatabaseFacts, HostFacts};

pub(super) fn put(page: &mut Page, view: &View<'_>) {
    let mut sizes = page.gauge("pgusher_pool_size", "Servers a pool may have.");
    for (pool, known) in view.pools() {
        sizes.value_of(known, &[("kind", "base")], pool.size);
        sizes.value_of(known, &[("kind", "reserve")], pool.reserve);
    }
    servers(page, view);
    connects(page, view);
    closes(page, view);
    let mut paused = page.gauge("pgusher_pool_paused", "1 while a database is paused.");
    for database in &view.snapshot.databases {
        paused.value(&[("database", &database.name)], u8::from(database.is_paused));
    }
}

fn servers(page: &mut Page, view: &View<'_>) {
    let mut servers = page.gauge("pgusher_server_connections", "Servers by state.");
    for (pool, known) in view.pools() {
        let in_state = &pool.in_state;
        // The clients were looked at a moment earlier.
        let pinned = pool.pinned.min(in_state.active);
        let states = [
            ("idle", in_state.idle + in_state.used),
            ("active", in_state.active - pinned),
            ("pinned", pinned),
            ("idle_in_transaction", in_state.idle_in_transaction),
            ("login", in_state.login),
            ("testing", in_state.tested),
            ("being_canceled", in_state.being_canceled),
            ("closing", in_state.closing),
        ];
        for (state, count) in states {
            servers.value_of(known, &[("state", state)], count);
        }
    }
}

fn connects(page: &mut Page, view: &View<'_>) {
    let mut connects = page.counter("pgusher_server_connects_total", "Logins to servers.");
    for database in &view.snapshot.databases {
        for host in &database.hosts {
            for (result, count) in [("ok", host.connected), ("failed", host.failed)] {
                let [database, host] = host_labels(database, host);
                connects.value(&[database, host, ("result", result)], count);
            }
        }
    }
    let mut up = page
        .gauge("pgusher_server_up", "1 if the last login to the host succeeded; what it was then.");
    for database in &view.snapshot.databases {
        for host in &database.hosts {
            if let Some(is_up) = host.is_up {
                let [database, name] = host_labels(database, host);
                up.value(&[database, name, ("role", host.role.as_str())], u8::from(is_up));
            }
        }
    }
    let mut took = page.histogram(
        "pgusher_server_connect_seconds",
        "Connect and login of a server together, for those that succeeded.",
    );
    for database in &view.snapshot.databases {
        let labels = [("database", &*database.name)];
        took.observations(None, &labels, &view.snapshot.bounds, &database.connect_took);
    }
}

/// The labels of what is counted by host.
fn host_labels<'a>(database: &'a DatabaseFacts, host: &'a HostFacts) -> [Label<'a>; 2] {
    [("database", &database.name), ("host", &host.name)]
}

fn closes(page: &mut Page, view: &View<'_>) {
    let mut closes = page.counter(
        "pgusher_server_closes_total",
        "Closed servers by reason; out_of_sync must stay 0.",
    );
    for (pool, known) in view.pools() {
        for &(reason, count) in &pool.closes {
            closes.value_of(known, &[("reason", reason)], count);
        }
    }
}
