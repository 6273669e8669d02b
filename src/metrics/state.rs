//! Metrics of session state: clients that keep their servers, leaks, notifications.

use super::text::Page;
use super::view::View;

pub(super) fn put(page: &mut Page, view: &View<'_>) {
    let mut begun = page.counter("pgusher_pins_total", "Clients that began to keep their servers.");
    for (pool, known) in view.pools() {
        for pins in &pool.pins {
            begun.value_of(known, &[("cause", pins.cause)], pins.begun);
        }
    }
    let mut time = page.counter(
        "pgusher_pinned_seconds_total",
        "Time for which clients kept their servers, when it is over.",
    );
    for (pool, known) in view.pools() {
        for pins in &pool.pins {
            time.micros_of(known, &[("cause", pins.cause)], pins.micros);
        }
    }
    let mut warned = page.counter(
        "pgusher_state_discarded_total",
        "Statements whose effect on the session was discarded, with a warning (unsharable_state).",
    );
    for (pool, known) in view.pools() {
        for pins in &pool.pins {
            warned.value_of(known, &[("cause", pins.cause)], pins.warned);
        }
    }
    leaks(page, view);
    listening(page, view);
}

fn leaks(page: &mut Page, view: &View<'_>) {
    let mut audits =
        page.counter("pgusher_state_audits_total", "Looks at what a transaction left.");
    for (pool, known) in view.pools() {
        audits.value_of(known, &[], pool.audits);
    }
    let mut leaks =
        page.counter("pgusher_state_leaks_total", "Session state found by audits; must stay 0.");
    for (pool, known) in view.pools() {
        for &(kind, count) in &pool.leaks {
            leaks.value_of(known, &[("kind", kind)], count);
        }
    }
}

fn listening(page: &mut Page, view: &View<'_>) {
    let mut channels = page.gauge("pgusher_listen_channels", "Channels that clients listen to.");
    for exchange in &view.snapshot.exchanges {
        channels.value(&[("database", &exchange.database)], exchange.channels);
    }
    let mut connects = page
        .counter("pgusher_listen_connects_total", "Connections made for listening; one is usual.");
    for exchange in &view.snapshot.exchanges {
        connects.value(&[("database", &exchange.database)], exchange.connects);
    }
    let mut notifications =
        page.counter("pgusher_notifications_total", "Notifications received for clients.");
    for exchange in &view.snapshot.exchanges {
        notifications.value(&[("database", &exchange.database)], exchange.notifications);
    }
}
