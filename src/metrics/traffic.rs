//! Metrics of what goes through: transactions, queries, bytes, errors, prepared statements.

use super::pools::{labels, labels_and};
use super::text::Page;
use crate::stats::{PoolFacts, Snapshot, Total};

pub(super) fn put(page: &mut Page, snapshot: &Snapshot) {
    let mut durations = page.histogram(
        "pgusher_query_seconds",
        "How long requests took, from being sent to the server to ReadyForQuery.",
    );
    for pool in &snapshot.pools {
        durations.observations(&labels(pool), &snapshot.bounds, &pool.query);
    }
    for (name, help, count) in COUNTERS {
        let mut family = page.counter(name, help);
        for pool in &snapshot.pools {
            family.value(&labels(pool), count(pool));
        }
    }
    bytes(page, snapshot);
    parses(page, snapshot);
    let mut errors = page.counter(
        "pgusher_errors_total",
        "Errors that clients were told: the server's by class of SQLSTATE, pgusher's own by SQLSTATE.",
    );
    for pool in &snapshot.pools {
        for (origin, sqlstate, count) in &pool.errors {
            let [database, user] = labels(pool);
            errors.value(&[database, user, ("origin", origin), ("sqlstate", sqlstate)], count);
        }
    }
}

/// A counter of a pool: name, help, value.
type PoolCounter = (&'static str, &'static str, fn(&PoolFacts) -> u64);

const COUNTERS: [PoolCounter; 5] = [
    ("pgusher_transactions_total", "Transactions.", |pool| pool.totals.get(Total::Transactions)),
    ("pgusher_queries_total", "Queries.", |pool| pool.totals.get(Total::Queries)),
    ("pgusher_prepared_binds_total", "Bind messages of clients.", |pool| {
        pool.totals.get(Total::Binds)
    }),
    (
        "pgusher_prepared_evictions_total",
        "Prepared statements closed on a server to make room for others.",
        |pool| pool.evictions,
    ),
    (
        "pgusher_state_replays_total",
        "Assignments that had to restore the client's parameters on the server.",
        |pool| pool.replays,
    ),
];

fn bytes(page: &mut Page, snapshot: &Snapshot) {
    let mut bytes = page.counter(
        "pgusher_bytes_total",
        "Bytes on the side of the clients: received from them and sent to them.",
    );
    for pool in &snapshot.pools {
        let directions = [
            ("received", pool.totals.get(Total::Received)),
            ("sent", pool.totals.get(Total::Sent)),
        ];
        for (direction, count) in directions {
            let [database, user] = labels(pool);
            let labels = [database, user, ("side", "client"), ("direction", direction)];
            bytes.value(&labels, count);
        }
    }
}

fn parses(page: &mut Page, snapshot: &Snapshot) {
    let mut parses = page.counter(
        "pgusher_prepared_parses_total",
        "Parse messages; the hit ratio is 1 - server / client.",
    );
    for pool in &snapshot.pools {
        let client = pool.totals.get(Total::ClientParses);
        parses.value(&labels_and(pool, ("side", "client")), client);
        let server = pool.totals.get(Total::ServerParses);
        parses.value(&labels_and(pool, ("side", "server")), server);
    }
}
