//! SHOW FDS and SHOW MEM: what the process holds.

use std::net::SocketAddr;
use std::sync::Arc;

use super::look::View;
use super::table::{Cell, Field, Row};
use crate::stats::{ClientRecord, DatabaseFacts, PoolFacts, ServerRecord, UserFacts};
use crate::types::Name;

/// A row of SHOW FDS. The descriptors themselves are not handed over, and neither are secrets: cancel keys are 0.
pub(super) struct FdRow {
    fd: i32,
    task: &'static str,
    whose: Option<(Name, Name)>,
    address: Option<SocketAddr>,
    /// Where there is no port in the address.
    port: u16,
    link: i32,
}

fn number(fd: i32) -> Cell {
    Cell::Number(u64::try_from(fd).unwrap_or_default())
}

impl Row for FdRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::int("fd", |row| number(row.fd)),
        Field::text("task", |row| row.task.into()),
        Field::text("user", |row| row.whose.as_ref().map(|(user, _)| user.as_ref()).into()),
        Field::text("database", |row| {
            row.whose.as_ref().map(|(_, database)| database.as_ref()).into()
        }),
        Field::text("addr", |row| {
            let address = row.address.map(|address| address.ip().to_canonical().to_string());
            address.unwrap_or_else(|| "unix".to_owned()).into()
        }),
        Field::int("port", |row| {
            Cell::Number(row.address.map_or(row.port, |address| address.port()).into())
        }),
        Field::long("cancel", |_| 0_usize.into()),
        Field::int("link", |row| number(row.link)),
        Field::text("client_encoding", |_| Cell::Null),
        Field::text("std_strings", |_| Cell::Null),
        Field::text("datestyle", |_| Cell::Null),
        Field::text("timezone", |_| Cell::Null),
        Field::text("password", |_| Cell::Null),
        Field::bytes("scram_client_key", |_| Cell::Null),
        Field::bytes("scram_server_key", |_| Cell::Null),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let own_port = view.host.config().process.listen_port;
        let doors = view.host.listeners().into_iter().map(|(fd, address)| FdRow {
            fd,
            task: "pooler",
            whose: None,
            address,
            port: own_port,
            link: 0,
        });
        let servers: Vec<_> = view
            .snapshot
            .pools
            .iter()
            .flat_map(|pool| pool.servers.iter().map(move |server| (pool, server)))
            .collect();
        let clients = &view.snapshot.clients;
        let client_rows = clients.iter().map(|client| {
            let server = servers.iter().find(|(_, server)| server.id == client.link());
            of_client(client, own_port, server.map_or(0, |(_, server)| server.fd))
        });
        let server_rows = servers.iter().map(|(pool, server)| {
            let client = clients.iter().find(|client| client.id == server.link());
            of_server(pool, server, client.map_or(0, |client| client.fd))
        });
        doors.chain(client_rows).chain(server_rows).collect()
    }
}

fn of_client(client: &Arc<ClientRecord>, port: u16, link: i32) -> FdRow {
    let whose = Some((Name::clone(&client.user), Name::clone(&client.database)));
    FdRow { fd: client.fd, task: "client", whose, address: client.peer, port, link }
}

fn of_server(pool: &PoolFacts, server: &ServerRecord, link: i32) -> FdRow {
    let whose = Some((Name::clone(&pool.user), Name::clone(&pool.database)));
    let port = server.address.port();
    FdRow { fd: server.fd, task: "server", whose, address: server.peer, port, link }
}

/// A row of SHOW MEM: what is kept of things of one kind. Nothing is kept for things that are gone.
pub(super) struct MemRow {
    name: &'static str,
    size: usize,
    used: usize,
}

impl Row for MemRow {
    const FIELDS: &'static [Field<Self>] = &[
        Field::text("name", |row| row.name.into()),
        Field::int("size", |row| row.size.into()),
        Field::int("used", |row| row.used.into()),
        Field::int("free", |_| 0_usize.into()),
        Field::int("memtotal", |row| (row.size * row.used).into()),
    ];

    fn all(view: View<'_>) -> Vec<Self> {
        let all = &view.snapshot;
        let servers = all.pools.iter().map(|pool| pool.servers.len()).sum();
        vec![
            MemRow { name: "user_cache", size: size_of::<UserFacts>(), used: all.users.len() },
            MemRow {
                name: "db_cache",
                size: size_of::<DatabaseFacts>(),
                used: all.databases.len(),
            },
            MemRow {
                name: "pool_cache",
                size: size_of::<crate::pool::Pool>(),
                used: all.pools.len(),
            },
            MemRow { name: "server_cache", size: size_of::<ServerRecord>(), used: servers },
            MemRow {
                name: "client_cache",
                size: size_of::<ClientRecord>(),
                used: all.clients.len(),
            },
        ]
    }
}
