//! Metrics of the process as a whole and of its clients.

use std::time::SystemTime;

use super::text::Page;
use super::view::View;
use crate::stats::{LoginCount, PeersByState};

/// What it was built from, where the build was told by the variable `PGUSHER_REVISION`.
const REVISION: &str = match option_env!("PGUSHER_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

pub(super) fn put(page: &mut Page, view: &View<'_>) {
    let facts = &view.snapshot.process;
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
    connections(page, view);
    departures(page, view);
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
    .observations(None, &[], &view.snapshot.bounds, &facts.login_took);
    let mut expiries = page.gauge(
        "pgusher_tls_certificate_not_after_timestamp_seconds",
        "When pgusher's own certificate expires, by the side it is shown to.",
    );
    for &(side, expiry) in &facts.certificates {
        let since = expiry.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        expiries.value(&[("side", side)], since.as_secs());
    }
    cancels(page, view);
}

fn cancels(page: &mut Page, view: &View<'_>) {
    let mut cancels =
        page.counter("pgusher_cancels_total", "Cancel requests by what became of them.");
    for &(result, count) in &view.snapshot.process.cancels {
        cancels.value(&[("result", result)], count);
    }
    let PeersByState { up, down, unknown } = view.snapshot.peers;
    let mut peers = page.gauge(
        "pgusher_peers",
        "Processes that cancel requests are handed on to, by whether the last one reached them.",
    );
    for (state, count) in [("up", up), ("down", down), ("unknown", unknown)] {
        peers.value(&[("state", state)], count);
    }
}

fn connections(page: &mut Page, view: &View<'_>) {
    let mut clients = page.gauge("pgusher_client_connections", "Clients by state.");
    for (pool, known) in view.pools() {
        let states = [
            ("idle", pool.clients.idle),
            ("active", pool.clients.active.saturating_sub(pool.pinned)),
            ("pinned", pool.pinned),
            ("waiting", pool.clients.waiting),
        ];
        for (state, count) in states {
            clients.value_of(known, &[("state", state)], count);
        }
    }
    // Who is logging in has no pool yet.
    let nowhere = [("database", ""), ("user", ""), ("state", "login")];
    clients.value(&nowhere, view.snapshot.logging_in());
    let mut limits = page.gauge(
        "pgusher_client_connections_limit",
        "max_db_client_connections, where it is set; max_client_conn under the empty name.",
    );
    limits.value(&[("database", "")], view.snapshot.process.max_clients);
    for database in &view.snapshot.databases {
        if let Some(limit) = database.max_clients {
            limits.value(&[("database", &database.name)], limit);
        }
    }
}

fn departures(page: &mut Page, view: &View<'_>) {
    let mut departures = page.counter("pgusher_client_disconnects_total", "Why clients left.");
    for (pool, known) in view.pools() {
        for &(reason, count) in &pool.departures {
            departures.value_of(known, &[("reason", reason)], count);
        }
    }
}
