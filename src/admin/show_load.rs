//! SHOW LOAD: what each pool has, holds and has done, the histogram of queue times included; for those who look twice
//! and make rates of it.

use super::look::View;
use super::show_waiting::seconds;
use super::table::{Field, Row};
use crate::glance::Load;

/// A row of SHOW LOAD.
pub(super) struct LoadRow(Load);

/// Numbers as PostgreSQL writes an array of them.
fn array(numbers: &[u64]) -> String {
    let numbers: Vec<_> = numbers.iter().map(u64::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}

impl Row for LoadRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("database", |row| row.0.database.as_str().into()),
        Field::text("user", |row| row.0.user.as_str().into()),
        Field::text("mode", |row| row.0.mode.as_str().into()),
        Field::int("size", |row| row.0.size.into()),
        Field::int("reserve", |row| row.0.reserve.into()),
        Field::int("paused", |row| row.0.paused.into()),
        Field::int("cl_idle", |row| row.0.cl_idle.into()),
        Field::int("cl_active", |row| row.0.cl_active.into()),
        Field::int("waiting", |row| row.0.waiting.into()),
        Field::int("sv_idle", |row| row.0.sv_idle.into()),
        Field::int("sv_active", |row| row.0.sv_active.into()),
        Field::int("sv_idle_in_transaction", |row| row.0.sv_idle_in_transaction.into()),
        Field::int("sv_pinned", |row| row.0.sv_pinned.into()),
        Field::int("sv_other", |row| row.0.sv_other.into()),
        Field::text("oldest_wait_seconds", |row| {
            seconds(std::time::Duration::from_secs_f64(row.0.oldest_wait_seconds))
        }),
        Field::long("transactions", |row| row.0.transactions.into()),
        Field::long("queries", |row| row.0.queries.into()),
        Field::long("assignments", |row| row.0.assignments.into()),
        Field::long("given_up", |row| row.0.given_up.into()),
        Field::long("received", |row| row.0.received.into()),
        Field::long("sent", |row| row.0.sent.into()),
        Field::long("wait_us", |row| row.0.wait_us.into()),
        Field::long("busy_us", |row| row.0.busy_us.into()),
        Field::long("saturated_us", |row| row.0.saturated_us.into()),
        Field::long("idle_in_transaction_us", |row| row.0.idle_in_transaction_us.into()),
        Field::long("queue_us", |row| row.0.queue_us.into()),
        Field::text("wait_bounds_us", |row| array(&row.0.wait_bounds_us).into()),
        Field::text("wait_counts", |row| array(&row.0.wait_counts).into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let snapshot = &view.snapshot;
        snapshot.pools.iter().map(|pool| LoadRow(Load::of(pool, &snapshot.bounds))).collect()
    }
}
