//! SHOW DATABASES and SHOW USERS.

use super::look::View;
use super::table::{Cell, Field, Row};
use crate::config::UNLIMITED;
use crate::stats::{DatabaseFacts, UserFacts};

/// A row of SHOW DATABASES.
pub(super) struct DatabaseRow(DatabaseFacts);

/// PgBouncer's number for "no limit".
fn limit(limit: Option<usize>) -> Cell {
    limit.unwrap_or(0).into()
}

/// PgBouncer's number for a pool without a limit.
fn size(size: usize) -> Cell {
    if size >= UNLIMITED { 0 } else { size }.into()
}

/// A user's own size as PgBouncer writes it: a text, so it is aligned here.
fn own_size(own: Option<usize>) -> Cell {
    own.map(|own| format!("{:>9}", if own >= UNLIMITED { 0 } else { own }))
        .unwrap_or_default()
        .into()
}

/// PgBouncer's word for how addresses are chosen; nothing where there is one.
pub(super) fn load_balance(database: &DatabaseFacts) -> Option<&'static str> {
    database.host.contains(',').then_some(database.load_balance.as_str())
}

impl Row for DatabaseRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("name", |row| row.0.name.as_ref().into()),
        Field::text("host", |row| {
            let host = Some(row.0.host.as_str());
            host.filter(|host| !host.is_empty() && !row.0.is_default_host).into()
        }),
        Field::int("port", |row| Cell::Number(row.0.port.into())),
        Field::text("database", |row| row.0.dbname.as_ref().into()),
        Field::text("force_user", |row| row.0.force_user.as_deref().into()),
        Field::int("pool_size", |row| size(row.0.pool_size)),
        Field::int("min_pool_size", |row| row.0.min_pool_size.into()),
        Field::int("reserve_pool_size", |row| row.0.reserve_pool_size.into()),
        Field::int("server_lifetime", |row| {
            row.0.server_lifetime.map_or(0, |lifetime| lifetime.as_secs()).into()
        }),
        Field::text("pool_mode", |row| row.0.mode.map(|mode| mode.as_str()).into()),
        Field::text("load_balance_hosts", |row| load_balance(&row.0).into()),
        Field::int("max_connections", |row| limit(row.0.max_connections)),
        Field::int("current_connections", |row| row.0.connections.into()),
        Field::int("max_client_connections", |row| limit(row.0.max_clients)),
        Field::int("current_client_connections", |row| row.0.clients.into()),
        Field::int("paused", |row| usize::from(row.0.is_paused_by_name).into()),
        Field::int("disabled", |row| usize::from(row.0.is_disabled).into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        view.snapshot.databases.into_iter().map(DatabaseRow).collect()
    }
}

/// A row of SHOW USERS.
pub(super) struct UserRow(UserFacts);

impl Row for UserRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("name", |row| row.0.name.as_ref().into()),
        Field::text("pool_size", |row| own_size(row.0.pool_size)),
        Field::text("reserve_pool_size", |row| own_size(row.0.reserve_pool_size)),
        Field::text("pool_mode", |row| row.0.mode.map(|mode| mode.as_str()).into()),
        Field::int("max_user_connections", |row| limit(row.0.max_connections)),
        Field::int("current_connections", |row| row.0.connections.into()),
        Field::int("max_user_client_connections", |row| limit(row.0.max_clients)),
        Field::int("current_client_connections", |row| row.0.clients.into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        view.snapshot.users.into_iter().map(UserRow).collect()
    }
}
