//! SHOW CLIENTS and SHOW SERVERS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::look::{View, is_outdated};
use super::table::{Cell, Field, Row};
use crate::control::Order;
use crate::date;
use crate::pool::AUTH_QUERY;
use crate::stats::{AuthServerFacts, ClientRecord, ClientState, PoolFacts, ServerRecord};
use crate::types::{Name, TlsLabel};

/// A row of SHOW CLIENTS.
pub(super) struct ClientRow {
    client: Arc<ClientRecord>,
    wait: Duration,
    /// The port of clients on the unix socket.
    port: u16,
}

fn address(address: Option<SocketAddr>) -> Cell {
    address.map_or_else(|| "unix".to_owned(), |address| address.ip().to_string()).into()
}

fn port(address: Option<SocketAddr>, on_unix: u16) -> Cell {
    Cell::Number(address.map_or(on_unix, |address| address.port()).into())
}

/// Version and cipher; empty without TLS.
fn tls(label: Option<TlsLabel>) -> Cell {
    label.map(|label| label.to_string()).unwrap_or_default().into()
}

/// Stands in for PgBouncer's memory addresses: unique, and the same for as long as the connection lives.
fn pointer(id: u64) -> Cell {
    if id == 0 { "".into() } else { format!("0x{id:x}").into() }
}

impl Row for ClientRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("type", |_| "C".into()),
        Field::text("user", |row| row.client.user.as_ref().into()),
        Field::text("database", |row| row.client.database.as_ref().into()),
        Field::text("replication", |_| "none".into()),
        Field::text("state", |row| row.client.state().as_str().into()),
        Field::text("addr", |row| address(row.client.peer)),
        Field::number("port", |row| port(row.client.peer, row.port)),
        Field::text("local_addr", |row| address(row.client.local)),
        Field::number("local_port", |row| port(row.client.local, row.port)),
        Field::text("connect_time", |row| date::format(row.client.connected_at).into()),
        Field::text("request_time", |row| {
            let after = row.client.requested_at().saturating_duration_since(row.client.since);
            date::format(row.client.connected_at + after).into()
        }),
        Field::number("wait", |row| row.wait.as_secs().into()),
        Field::number("wait_us", |row| Cell::Number(row.wait.subsec_micros().into())),
        Field::number("close_needed", |row| {
            usize::from(row.client.control.order() != Order::None).into()
        }),
        Field::text("ptr", |row| pointer(row.client.id)),
        Field::text("link", |row| pointer(row.client.link())),
        Field::number("remote_pid", |_| 0_usize.into()),
        Field::text("tls", |row| tls(row.client.tls)),
        Field::text("application_name", |row| row.client.application_name.lock().as_ref().into()),
        Field::number("prepared_statements", |row| {
            Cell::Number(row.client.prepared.load(Ordering::Relaxed).into())
        }),
        Field::number("id", |row| row.client.id.into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let port = view.host.config().process.listen_port;
        let now = Instant::now();
        let row = |client: Arc<ClientRecord>| {
            let waits = client.state() == ClientState::Waiting;
            let since = client.requested_at();
            let wait = if waits { now.saturating_duration_since(since) } else { Duration::ZERO };
            ClientRow { client, wait, port }
        };
        view.snapshot.clients.into_iter().map(row).collect()
    }
}

/// A row of SHOW SERVERS.
pub(super) struct ServerRow {
    server: Arc<ServerRecord>,
    database: Name,
    user: Name,
    application_name: Name,
}

impl Row for ServerRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("type", |_| "S".into()),
        Field::text("user", |row| row.user.as_ref().into()),
        Field::text("database", |row| row.database.as_ref().into()),
        Field::text("replication", |_| "none".into()),
        Field::text("state", |row| row.server.state().as_str().into()),
        Field::text("addr", |row| address(row.server.peer)),
        Field::number("port", |row| port(row.server.peer, row.server.address.port())),
        Field::text("local_addr", |row| address(row.server.local)),
        Field::number("local_port", |row| port(row.server.local, 0)),
        Field::text("connect_time", |row| date::format(row.server.connected_at).into()),
        Field::text("request_time", |row| {
            let after = row.server.requested_at().saturating_duration_since(row.server.since);
            date::format(row.server.connected_at + after).into()
        }),
        Field::number("wait", |_| 0_usize.into()),
        Field::number("wait_us", |_| 0_usize.into()),
        Field::number("close_needed", |row| usize::from(is_outdated(&row.server)).into()),
        Field::text("ptr", |row| pointer(row.server.id)),
        Field::text("link", |row| pointer(row.server.link())),
        Field::number("remote_pid", |row| Cell::Number(row.server.pid.into())),
        Field::text("tls", |row| tls(row.server.tls)),
        Field::text("application_name", |row| row.application_name.as_ref().into()),
        Field::number("prepared_statements", |row| {
            Cell::Number(row.server.prepared.load(Ordering::Relaxed).into())
        }),
        Field::number("id", |row| row.server.id.into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let records = &view.host.pools().context.records;
        let row = |pool: &PoolFacts, server: Arc<ServerRecord>| {
            let holder = records.client(server.link());
            ServerRow {
                database: Name::clone(&pool.database),
                user: Name::clone(&pool.user),
                application_name: holder
                    .map(|client| Name::clone(&client.application_name.lock()))
                    .unwrap_or_default(),
                server,
            }
        };
        let asking = |found: AuthServerFacts| ServerRow {
            database: found.database,
            user: found.user,
            application_name: AUTH_QUERY.into(),
            server: found.server,
        };
        let pools = view.snapshot.pools.iter();
        pools
            .flat_map(|pool| pool.servers.iter().map(move |server| row(pool, Arc::clone(server))))
            .chain(view.snapshot.auth_servers.iter().cloned().map(asking))
            .collect()
    }
}
