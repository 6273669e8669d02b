//! Metrics of waiting for servers and of holding them.

use super::text::Page;
use super::view::View;
use crate::stats::{PoolFacts, WaitOutcome};

pub(super) fn put(page: &mut Page, view: &View<'_>) {
    let mut waits = page.histogram(
        "pgusher_pool_wait_seconds",
        "Queue time of every assignment (0 when it was immediate) and of every wait that ended otherwise.",
    );
    for (pool, known) in view.pools() {
        for (outcome, total) in WaitOutcome::ALL.into_iter().zip(&pool.waits) {
            let outcome = [("outcome", outcome.as_str())];
            waits.observations(Some(known), &outcome, &view.snapshot.bounds, total);
        }
    }
    let mut assignments =
        page.counter("pgusher_pool_assignments_total", "Servers given to clients.");
    for (pool, known) in view.pools() {
        assignments.value_of(known, &[("queued", "false")], pool.assigned_at_once);
        assignments.value_of(known, &[("queued", "true")], pool.assigned_queued);
    }
    gauges(page, view);
    integrals(page, view);
    let mut holds = page.histogram(
        "pgusher_pool_hold_seconds",
        "How long clients held a server, from assignment to release.",
    );
    for (pool, known) in view.pools() {
        holds.observations(Some(known), &[], &view.snapshot.bounds, &pool.hold);
    }
}

fn gauges(page: &mut Page, view: &View<'_>) {
    let mut oldest = page.gauge(
        "pgusher_pool_oldest_wait_seconds",
        "How long the first in the queue has waited; 0 when nobody waits.",
    );
    for (pool, known) in view.pools() {
        oldest.value_of(known, &[], pool.oldest_wait.as_secs_f64());
    }
    let mut queue = page.gauge("pgusher_pool_queue_length", "How many wait for a server now.");
    for (pool, known) in view.pools() {
        queue.value_of(known, &[], pool.queue);
    }
}

/// An integral over time: name, help, value in microseconds.
type Integral = (&'static str, &'static str, fn(&PoolFacts) -> u64);

const INTEGRALS: [Integral; 4] = [
    (
        "pgusher_pool_queue_seconds_total",
        "Integral of the queue's length; its rate is the mean length.",
        |pool| pool.queue_micros,
    ),
    (
        "pgusher_pool_busy_seconds_total",
        "Integral of servers in use; its rate is their mean number.",
        |pool| pool.busy_micros,
    ),
    (
        "pgusher_pool_saturated_seconds_total",
        "Time with every server of the pool in use.",
        |pool| pool.saturated_micros,
    ),
    (
        "pgusher_pool_idle_in_transaction_seconds_total",
        "Busy time that servers spent waiting for their clients inside transactions.",
        |pool| pool.idle_in_transaction_micros,
    ),
];

fn integrals(page: &mut Page, view: &View<'_>) {
    for (name, help, micros) in INTEGRALS {
        let mut family = page.counter(name, help);
        for (pool, known) in view.pools() {
            family.micros_of(known, &[], micros(pool));
        }
    }
}
