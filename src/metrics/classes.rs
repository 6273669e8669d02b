//! Metrics of the classes that share a pool. A pool with one class has none.

use super::pools::labels_and;
use super::text::{Family, Page};
use crate::stats::{ClassFacts, Snapshot};

pub(super) fn put(page: &mut Page, snapshot: &Snapshot) {
    let waiting = page.gauge("pgusher_class_waiting", "Clients that wait for a server.");
    each(waiting, snapshot, |class| class.waiting as f64);
    let oldest = page.gauge(
        "pgusher_class_oldest_wait_seconds",
        "How long the first of the class has waited; 0 when nobody waits.",
    );
    each(oldest, snapshot, |class| class.oldest_wait.as_secs_f64());
    let servers = page.gauge("pgusher_class_servers", "Servers that clients of the class hold.");
    each(servers, snapshot, |class| class.servers as f64);
    let assigned = page.counter(
        "pgusher_class_assignments_total",
        "Servers given to clients of the class, those included that did not wait.",
    );
    each(assigned, snapshot, |class| class.assigned as f64);
    let waited = page.counter(
        "pgusher_class_wait_seconds_total",
        "How long those waited who were given a server.",
    );
    each(waited, snapshot, |class| class.waited_micros as f64 / 1e6);
}

fn each(mut family: Family<'_>, snapshot: &Snapshot, value: fn(&ClassFacts) -> f64) {
    for pool in &snapshot.pools {
        for class in &pool.classes {
            family.value(&labels_and(pool, ("class", &class.name)), value(class));
        }
    }
}
