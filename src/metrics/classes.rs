//! Metrics of the classes that share a pool. A pool with one class has none.

use super::text::{Family, Page};
use super::view::View;
use crate::stats::ClassFacts;

pub(super) fn put(page: &mut Page, view: &View<'_>) {
    let waiting = page.gauge("pgusher_class_waiting", "Clients that wait for a server.");
    each(waiting, view, |class| class.waiting as f64);
    let oldest = page.gauge(
        "pgusher_class_oldest_wait_seconds",
        "How long the first of the class has waited; 0 when nobody waits.",
    );
    each(oldest, view, |class| class.oldest_wait.as_secs_f64());
    let servers = page.gauge("pgusher_class_servers", "Servers that clients of the class hold.");
    each(servers, view, |class| class.servers as f64);
    let assigned = page.counter(
        "pgusher_class_assignments_total",
        "Servers given to clients of the class, those included that did not wait.",
    );
    each(assigned, view, |class| class.assigned as f64);
    let mut waits = page.histogram(
        "pgusher_class_wait_seconds",
        "How long clients of the class waited that were given a server, 0 where that was immediate.",
    );
    for (pool, known) in view.pools() {
        for class in &pool.classes {
            let class_label = [("class", &*class.name)];
            waits.observations(Some(known), &class_label, &view.snapshot.bounds, &class.waits);
        }
    }
}

fn each(mut family: Family<'_>, view: &View<'_>, value: fn(&ClassFacts) -> f64) {
    for (pool, known) in view.pools() {
        for class in &pool.classes {
            family.value_of(known, &[("class", &class.name)], value(class));
        }
    }
}
