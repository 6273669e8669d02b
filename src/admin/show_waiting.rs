//! SHOW BLOCKERS and SHOW WAITERS: who holds the servers of a pool, and who waits for them.

use std::sync::Arc;
use std::time::Duration;

use super::look::View;
use super::table::{Cell, Field, Row};
use crate::pool::{Holder, Holding, Pool, Waiter};
use crate::stats::{ClientRecord, ServerRecord};
use crate::types::Name;

/// Pools of the database that was asked for, or all.
fn pools(view: &View<'_>) -> Vec<Arc<Pool>> {
    match &view.database {
        Some(database) => view.host.pools().of_database(database),
        None => view.host.pools().all(),
    }
}

pub(super) fn seconds(time: Duration) -> Cell {
    format!("{:.3}", time.as_secs_f64()).into()
}

fn application(client: &ClientRecord) -> Cell {
    client.application_name.lock().as_ref().into()
}

fn address(client: &ClientRecord) -> Cell {
    client.peer.map_or_else(|| "unix".to_owned(), |peer| peer.to_string()).into()
}

/// A row of SHOW BLOCKERS.
pub(super) struct BlockerRow {
    database: Name,
    pool_user: Name,
    holder: Holder,
    waiting: usize,
}

impl BlockerRow {
    fn server<T: Into<Cell>>(&self, value: impl Fn(&ServerRecord) -> T) -> Cell {
        self.holder.server.as_deref().map(value).into()
    }

    fn client<T: Into<Cell>>(&self, value: impl Fn(&ClientRecord) -> T) -> Cell {
        self.holder.client.as_deref().map(value).into()
    }
}

impl Row for BlockerRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("database", |row| row.database.as_ref().into()),
        Field::text("pool_user", |row| row.pool_user.as_ref().into()),
        Field::long("server", |row| row.server(|server| server.id)),
        Field::long("remote_pid", |row| row.server(|server| u64::from(server.pid))),
        Field::text("state", |row| row.holder.holding.as_str().into()),
        Field::text("pinned_by", |row| match &row.holder.holding {
            Holding::Pinned(why) => why.as_str().into(),
            _ => Cell::Null,
        }),
        Field::text("held_seconds", |row| seconds(row.holder.held)),
        Field::long("client", |row| row.client(|client| client.id)),
        Field::text("user", |row| row.client(|client| client.user.as_ref().to_owned())),
        Field::text("application_name", |row| row.client(application)),
        Field::text("addr", |row| row.client(address)),
        Field::text("statement", |row| row.holder.statement.as_str().into()),
        Field::int("waiting", |row| row.waiting.into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let of_pool = |pool: Arc<Pool>| {
            let (holders, waiting) = (pool.holders(), pool.census().core.waiting);
            let row = move |holder| BlockerRow {
                database: Name::clone(&pool.key.database),
                pool_user: Name::clone(&pool.key.user),
                holder,
                waiting,
            };
            holders.into_iter().map(row).collect::<Vec<_>>()
        };
        pools(&view).into_iter().flat_map(of_pool).collect()
    }
}

/// A row of SHOW WAITERS.
pub(super) struct WaiterRow {
    database: Name,
    pool_user: Name,
    waiter: Waiter,
}

impl Row for WaiterRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("database", |row| row.database.as_ref().into()),
        Field::text("pool_user", |row| row.pool_user.as_ref().into()),
        Field::text("class", |row| row.waiter.class.as_ref().into()),
        Field::int("place", |row| row.waiter.place.into()),
        Field::text("waited_seconds", |row| seconds(row.waiter.waited)),
        Field::text("expected_seconds", |row| row.waiter.expected.map(seconds).into()),
        Field::long("client", |row| row.waiter.client.id.into()),
        Field::text("user", |row| row.waiter.client.user.as_ref().into()),
        Field::text("application_name", |row| application(&row.waiter.client)),
        Field::text("addr", |row| address(&row.waiter.client)),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let of_pool = |pool: Arc<Pool>| {
            let waiters = pool.waiters();
            let row = move |waiter| WaiterRow {
                database: Name::clone(&pool.key.database),
                pool_user: Name::clone(&pool.key.user),
                waiter,
            };
            waiters.into_iter().map(row).collect::<Vec<_>>()
        };
        pools(&view).into_iter().flat_map(of_pool).collect()
    }
}
