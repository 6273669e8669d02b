//! SHOW POOLS.

use super::look::View;
use super::show_databases::load_balance;
use super::table::{Cell, Field, Row};
use crate::stats::PoolFacts;

/// A row of SHOW POOLS.
pub(super) struct PoolRow {
    pool: PoolFacts,
    load_balance: Option<&'static str>,
}

impl Row for PoolRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("database", |row| row.pool.database.as_ref().into()),
        Field::text("user", |row| row.pool.user.as_ref().into()),
        // PgBouncer counts clients that ask for nothing as active.
        Field::int("cl_active", |row| (row.pool.clients.active + row.pool.clients.idle).into()),
        Field::int("cl_waiting", |row| row.pool.clients.waiting.into()),
        Field::int("cl_active_cancel_req", |row| row.pool.cancels.into()),
        // None waits: each has a connection of its own.
        Field::int("cl_waiting_cancel_req", |_| 0_usize.into()),
        Field::int("sv_active", |row| {
            (row.pool.in_state.active + row.pool.in_state.idle_in_transaction).into()
        }),
        Field::int("sv_active_cancel", |row| row.pool.cancels.into()),
        Field::int("sv_being_canceled", |row| row.pool.in_state.being_canceled.into()),
        Field::int("sv_idle", |row| row.pool.in_state.idle.into()),
        Field::int("sv_used", |row| row.pool.in_state.used.into()),
        Field::int("sv_tested", |row| row.pool.in_state.tested.into()),
        Field::int("sv_login", |row| row.pool.in_state.login.into()),
        Field::int("maxwait", |row| row.pool.oldest_wait.as_secs().into()),
        Field::int("maxwait_us", |row| Cell::Number(row.pool.oldest_wait.subsec_micros().into())),
        Field::text("pool_mode", |row| row.pool.mode.as_str().into()),
        Field::text("load_balance_hosts", |row| row.load_balance.into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let databases = &view.snapshot.databases;
        let row = |pool: PoolFacts| {
            let database = databases.iter().find(|database| database.name == pool.database);
            PoolRow { load_balance: database.and_then(load_balance), pool }
        };
        view.snapshot.pools.into_iter().map(row).collect()
    }
}
