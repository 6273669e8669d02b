//! Metrics of what goes through: transactions, queries, bytes, errors, prepared statements.

use super::text::Page;
use super::view::View;
use crate::stats::{PoolFacts, Total};

pub(super) fn put(page: &mut Page, view: &View<'_>) {
    let mut durations = page.histogram(
        "pgusher_query_seconds",
        "How long requests took, from being sent to the server to ReadyForQuery.",
    );
    for (pool, known) in view.pools() {
        durations.observations(Some(known), &[], &view.snapshot.bounds, &pool.query);
    }
    for (name, help, count) in COUNTERS {
        let mut family = page.counter(name, help);
        for (pool, known) in view.pools() {
            family.value_of(known, &[], count(pool));
        }
    }
    transactions(page, view);
    bytes(page, view);
    parses(page, view);
    errors(page, view);
}

/// A counter of a pool: name, help, value.
type PoolCounter = (&'static str, &'static str, fn(&PoolFacts) -> u64);

const COUNTERS: [PoolCounter; 4] = [
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

fn transactions(page: &mut Page, view: &View<'_>) {
    let mut transactions = page.counter(
        "pgusher_transactions_total",
        "Transactions: rollback is a block that was undone, error a single statement that failed.",
    );
    for (pool, known) in view.pools() {
        for (result, count) in pool.transactions() {
            transactions.value_of(known, &[("result", result)], count);
        }
    }
}

fn bytes(page: &mut Page, view: &View<'_>) {
    let mut bytes = page.counter(
        "pgusher_bytes_total",
        "Bytes received from clients and passed on to them, sent to the servers they hold and received from those.",
    );
    for (pool, known) in view.pools() {
        let flows = [
            ("client", "received", pool.totals.get(Total::Received)),
            ("client", "sent", pool.totals.get(Total::Sent)),
            ("server", "received", pool.server_received),
            ("server", "sent", pool.server_sent),
        ];
        for (side, direction, count) in flows {
            bytes.value_of(known, &[("side", side), ("direction", direction)], count);
        }
    }
}

fn errors(page: &mut Page, view: &View<'_>) {
    let mut told = page.counter(
        "pgusher_errors_total",
        "Errors that clients were told: the servers' by class of SQLSTATE, pgusher's own by SQLSTATE.",
    );
    for of in &view.snapshot.errors {
        for (origin, sqlstate, count) in &of.told {
            let labels = [("database", &*of.database), ("origin", origin), ("sqlstate", sqlstate)];
            told.value(&labels, count);
        }
    }
    let mut healed = page.counter(
        "pgusher_prepared_retries_total",
        "Batches sent once more because a server's copy of a statement was stale, by its SQLSTATE.",
    );
    for of in &view.snapshot.errors {
        for (sqlstate, count) in &of.healed {
            healed.value(&[("database", &*of.database), ("sqlstate", sqlstate)], count);
        }
    }
}

pub(super) fn exports(page: &mut Page, view: &View<'_>) {
    let Some(facts) = view.snapshot.exports else { return };
    let mut exports = page.counter(
        "pgusher_otlp_exports_total",
        "Exports to the OpenTelemetry collector, by what was sent and whether it was taken.",
    );
    for (signal, result, count) in facts.exports {
        exports.value(&[("signal", signal), ("result", result)], count);
    }
    page.counter("pgusher_otlp_spans_dropped_total", "Spans that did not reach the collector.")
        .value(&[], facts.spans_dropped);
}

fn parses(page: &mut Page, view: &View<'_>) {
    let mut parses = page.counter(
        "pgusher_prepared_parses_total",
        "Parse messages; the hit ratio is 1 - server / client.",
    );
    for (pool, known) in view.pools() {
        let client = pool.totals.get(Total::ClientParses);
        parses.value_of(known, &[("side", "client")], client);
        let server = pool.totals.get(Total::ServerParses);
        parses.value_of(known, &[("side", "server")], server);
    }
}
