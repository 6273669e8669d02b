//! Metrics of the process as a whole and of its clients.

use std::time::SystemTime;

use super::pools::labels_and;
use super::text::Page;
use crate::stats::{LoginCount, Snapshot};

/// What it was built from, where the build was told by the variable `PGUSHER_REVISION`.
const REVISION: &str = match option_env!("PGUSHER_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

pub(super) fn put(page: &mut Page, snapshot: &Snapshot) {
    let facts = &snapshot.process;
    let build = [("version", env!("CARGO_PKG_VERSION")), ("revision", REVISION)];
    page.gauge("pgusher_build_info", "Always 1; the labels say what is running.").value(&build, 1);
    page.gauge(
        "pgusher_config_last_reload_successful",
        "1 if the running configuration is the file's.",
    )
    .value(&[], u8::from(facts.reload.is_current));
    page.gauge(
        "pgusher_config_last_reload_success_timestamp_seconds",
        "When a configuration was last put in force.",
    )
    .moment(facts.reload.succeeded_at);
    page.gauge("pgusher_draining", "1 while the process stops gracefully.")
        .value(&[], u8::from(facts.is_draining));
    connections(page, snapshot);
    departures(page, snapshot);
    let mut logins = page.counter(
        "pgusher_client_logins_total",
        "Logins of clients by result, method of authentication and database (empty if it is not configured).",
    );
    for LoginCount { result, method, database, count } in &facts.logins {
        let labels = [("result", *result), ("method", *method), ("database", &**database)];
        logins.value(&labels, count);
    }
    page.histogram(
        "pgusher_client_login_seconds",
        "From accepting a client to its first ReadyForQuery, for logins that succeeded.",
    )
    .observations(&[], &snapshot.bounds, &facts.login_took);
    let mut expiries = page.gauge(
        "pgusher_tls_certificate_not_after_timestamp_seconds",
        "When pgusher's own certificate expires, by the side it is shown to.",
    );
    for &(side, expiry) in &facts.certificates {
        let since = expiry.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        expiries.value(&[("side", side)], since.as_secs());
    }
    let mut cancels =
        page.counter("pgusher_cancels_total", "Cancel requests by what became of them.");
    for &(result, count) in &facts.cancels {
        cancels.value(&[("result", result)], count);
    }
}

fn connections(page: &mut Page, snapshot: &Snapshot) {
    let mut clients = page.gauge("pgusher_client_connections", "Clients by state.");
    for pool in &snapshot.pools {
        let states = [
            ("idle", pool.clients.idle),
            ("active", pool.clients.active.saturating_sub(pool.pinned)),
            ("pinned", pool.pinned),
            ("waiting", pool.clients.waiting),
        ];
        for (state, count) in states {
            let labels = [("database", &*pool.database), ("user", &*pool.user), ("state", state)];
            clients.value(&labels, count);
        }
    }
    // Who is logging in has no pool yet.
    let nowhere = [("database", ""), ("user", ""), ("state", "login")];
    clients.value(&nowhere, snapshot.logging_in());
    let mut limits = page.gauge(
        "pgusher_client_connections_limit",
        "max_db_client_connections, where it is set; max_client_conn under the empty name.",
    );
    limits.value(&[("database", "")], snapshot.process.max_clients);
    for database in &snapshot.databases {
        if let Some(limit) = database.max_clients {
            limits.value(&[("database", &database.name)], limit);
        }
    }
}

fn departures(page: &mut Page, snapshot: &Snapshot) {
    let mut departures = page.counter("pgusher_client_disconnects_total", "Why clients left.");
    for pool in &snapshot.pools {
        for &(reason, count) in &pool.departures {
            departures.value(&labels_and(pool, ("reason", reason)), count);
        }
    }
}
