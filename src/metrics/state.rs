//! Metrics of session state: clients that keep their servers, leaks, notifications.

use super::pools::labels_and;
use super::text::Page;
use crate::stats::Snapshot;

pub(super) fn put(page: &mut Page, snapshot: &Snapshot) {
    let mut begun = page.counter("pgusher_pins_total", "Clients that began to keep their servers.");
    for pool in &snapshot.pools {
        for pins in &pool.pins {
            begun.value(&labels_and(pool, ("cause", pins.cause)), pins.begun);
        }
    }
    let mut time = page.counter(
        "pgusher_pinned_seconds_total",
        "Time for which clients kept their servers, when it is over.",
    );
    for pool in &snapshot.pools {
        for pins in &pool.pins {
            time.value(&labels_and(pool, ("cause", pins.cause)), pins.micros as f64 / 1e6);
        }
    }
    let mut warned = page.counter(
        "pgusher_state_discarded_total",
        "Statements whose effect on the session was discarded, with a warning (unsharable_state).",
    );
    for pool in &snapshot.pools {
        for pins in &pool.pins {
            warned.value(&labels_and(pool, ("cause", pins.cause)), pins.warned);
        }
    }
    leaks(page, snapshot);
    listening(page, snapshot);
}

fn leaks(page: &mut Page, snapshot: &Snapshot) {
    let mut audits =
        page.counter("pgusher_state_audits_total", "Looks at what a transaction left.");
    for pool in &snapshot.pools {
        audits.value(&super::pools::labels(pool), pool.audits);
    }
    let mut leaks =
        page.counter("pgusher_state_leaks_total", "Session state found by audits; must stay 0.");
    for pool in &snapshot.pools {
        for &(kind, count) in &pool.leaks {
            leaks.value(&labels_and(pool, ("kind", kind)), count);
        }
    }
}

fn listening(page: &mut Page, snapshot: &Snapshot) {
    let mut channels = page.gauge("pgusher_listen_channels", "Channels that clients listen to.");
    for exchange in &snapshot.exchanges {
        channels.value(&[("database", &exchange.database)], exchange.channels);
    }
    let mut connects = page
        .counter("pgusher_listen_connects_total", "Connections made for listening; one is usual.");
    for exchange in &snapshot.exchanges {
        connects.value(&[("database", &exchange.database)], exchange.connects);
    }
    let mut notifications =
        page.counter("pgusher_notifications_total", "Notifications received for clients.");
    for exchange in &snapshot.exchanges {
        notifications.value(&[("database", &exchange.database)], exchange.notifications);
    }
}
