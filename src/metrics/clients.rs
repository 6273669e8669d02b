//! Metrics of the process as a whole and of its clients.

use std::time::SystemTime;

use super::text::Page;
use crate::stats::Snapshot;

pub(super) fn put(page: &mut Page, snapshot: &Snapshot) {
    let facts = &snapshot.process;
    page.gauge("pgusher_build_info", "Always 1; the labels say what is running.")
        .value(&[("version", env!("CARGO_PKG_VERSION"))], 1);
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
    let mut logins = page.counter("pgusher_client_logins_total", "Logins of clients by result.");
    for &(result, count) in &facts.logins {
        logins.value(&[("result", result)], count);
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
            ("active", pool.clients.active),
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
