//! SHOW CLIENTS, SERVERS, SOCKETS and ACTIVE_SOCKETS: connections, in the same columns.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::look::{View, is_outdated};
use super::table::{Cell, Field, Row};
use crate::control::Order;
use crate::date;
use crate::pool::AUTH_QUERY;
use crate::stats::{
    AuthServerFacts, ClientRecord, ClientState, PoolFacts, ServerRecord, ServerState,
};
use crate::types::{Name, TlsLabel};

/// A connection as the tables show it.
struct Socket {
    kind: &'static str,
    user: Name,
    database: Name,
    state: &'static str,
    peer: Option<SocketAddr>,
    /// Where there is no port: that of the other end's unix socket.
    peer_port: u16,
    local: Option<SocketAddr>,
    local_port: u16,
    connected: String,
    requested: String,
    wait: Duration,
    close_needed: bool,
    id: u64,
    link: u64,
    remote_pid: u32,
    tls: Option<TlsLabel>,
    application_name: Name,
    prepared: u32,
    replication: &'static str,
}

fn address(address: Option<SocketAddr>) -> Cell {
    address
        .map_or_else(|| "unix".to_owned(), |address| address.ip().to_canonical().to_string())
        .into()
}

fn port(address: Option<SocketAddr>, on_unix: u16) -> Cell {
    Cell::Number(address.map_or(on_unix, |address| address.port()).into())
}

/// Stands in for PgBouncer's memory addresses: unique, and the same for as long as the connection lives.
fn pointer(id: u64) -> Cell {
    if id == 0 { "".into() } else { format!("0x{id:x}").into() }
}

/// A table of connections; `extra` are columns that are 0: bytes are held only while they are under way, by nobody
/// who could be asked.
macro_rules! socket_table {
    ($(#[$doc:meta])* $name:ident from $all:path, extra $($extra:literal)*) => {
        $(#[$doc])*
        pub(super) struct $name(Socket);

        impl Row for $name {
            const FIELDS: &'static [Field<Self>] = &[
                Field::text("type", |row| row.0.kind.into()),
                Field::text("user", |row| row.0.user.as_ref().into()),
                Field::text("database", |row| row.0.database.as_ref().into()),
                Field::text("replication", |row| row.0.replication.into()),
                Field::text("state", |row| row.0.state.into()),
                Field::text("addr", |row| address(row.0.peer)),
                Field::int("port", |row| port(row.0.peer, row.0.peer_port)),
                Field::text("local_addr", |row| address(row.0.local)),
                Field::int("local_port", |row| port(row.0.local, row.0.local_port)),
                Field::text("connect_time", |row| row.0.connected.as_str().into()),
                Field::text("request_time", |row| row.0.requested.as_str().into()),
                Field::int("wait", |row| row.0.wait.as_secs().into()),
                Field::int("wait_us", |row| Cell::Number(row.0.wait.subsec_micros().into())),
                Field::int("close_needed", |row| usize::from(row.0.close_needed).into()),
                Field::text("ptr", |row| pointer(row.0.id)),
                Field::text("link", |row| pointer(row.0.link)),
                Field::int("remote_pid", |row| Cell::Number(row.0.remote_pid.into())),
                // Version and cipher; empty without TLS.
                Field::text("tls", |row| {
                    row.0.tls.map(|label| label.to_string()).unwrap_or_default().into()
                }),
                Field::text("application_name", |row| row.0.application_name.as_ref().into()),
                Field::int("prepared_statements", |row| Cell::Number(row.0.prepared.into())),
                Field::int("id", |row| row.0.id.into()),
                $(Field::int($extra, |_| 0_usize.into()),)*
            ];

            fn all(view: View<'_>) -> Vec<Self> {
                $all(&view).into_iter().map($name).collect()
            }
        }
    };
}

socket_table!(
    /// A row of SHOW CLIENTS.
    ClientRow from clients, extra
);
socket_table!(
    /// A row of SHOW SERVERS.
    ServerRow from servers, extra
);
socket_table!(
    /// A row of SHOW SOCKETS.
    SocketRow from sockets,
    extra "recv_pos" "pkt_pos" "pkt_remain" "send_pos" "send_remain" "pkt_avail" "send_avail"
);
socket_table!(
    /// A row of SHOW ACTIVE_SOCKETS.
    ActiveSocketRow from active_sockets,
    extra "recv_pos" "pkt_pos" "pkt_remain" "send_pos" "send_remain" "pkt_avail" "send_avail"
);

/// The state of a request to cancel a client's query; it is linked to the server that works for the client. None waits:
/// each has a connection of its own.
const CANCEL_REQUEST: &str = "active_cancel_req";

fn clients(view: &View<'_>) -> Vec<Socket> {
    let port = view.host.config().process.listen_port;
    let clients = view.snapshot.clients.iter().map(|client| of_client(client, port));
    let cancels = view.snapshot.cancels.iter();
    let cancels = cancels.map(|it| Socket { state: CANCEL_REQUEST, ..of_client(it, port) });
    clients.chain(cancels).collect()
}

fn of_client(client: &Arc<ClientRecord>, port: u16) -> Socket {
    let state = client.state();
    let asked = client.requested_at();
    let waits = state == ClientState::Waiting;
    let wait = if waits { Instant::now().saturating_duration_since(asked) } else { Duration::ZERO };
    Socket {
        kind: "C",
        user: Name::clone(&client.user),
        database: Name::clone(&client.database),
        state: state.as_str(),
        peer: client.peer,
        peer_port: port,
        local: client.local,
        local_port: port,
        connected: date::format(client.connected_at),
        requested: date::format(
            client.connected_at + asked.saturating_duration_since(client.since),
        ),
        wait,
        close_needed: client.control.order() != Order::None,
        id: client.id,
        link: client.link(),
        remote_pid: client.peer_pid,
        tls: client.tls,
        application_name: Name::clone(&client.application_name.lock()),
        prepared: client.prepared.load(Ordering::Relaxed),
        replication: client.replicates.as_str(),
    }
}

fn servers(view: &View<'_>) -> Vec<Socket> {
    let pools = view.snapshot.pools.iter();
    let of_pool = |pool: &PoolFacts| -> Vec<Socket> {
        let owner = (&pool.database, &pool.user);
        pool.servers.iter().map(|server| of_server(view, owner, server)).collect()
    };
    let asking = |asking: &AuthServerFacts| Socket {
        application_name: AUTH_QUERY.into(),
        ..of_server(view, (&asking.database, &asking.user), &asking.server)
    };
    pools.flat_map(of_pool).chain(view.snapshot.auth_servers.iter().map(asking)).collect()
}

fn of_server(view: &View<'_>, owner: (&Name, &Name), server: &ServerRecord) -> Socket {
    let holder = view.host.pools().context.records.client(server.link());
    let asked = server.requested_at().saturating_duration_since(server.since);
    let port = server.address.port();
    Socket {
        kind: "S",
        user: Name::clone(owner.1),
        database: Name::clone(owner.0),
        state: server.state().as_str(),
        peer: server.peer,
        peer_port: port,
        local: server.local,
        local_port: port,
        connected: date::format(server.connected_at),
        requested: date::format(server.connected_at + asked),
        wait: Duration::ZERO,
        close_needed: is_outdated(server),
        id: server.id,
        link: server.link(),
        remote_pid: server.pid,
        tls: server.tls,
        // A walsender is one client's alone.
        replication: holder.as_ref().map_or("none", |client| client.replicates.as_str()),
        application_name: holder
            .map(|client| Name::clone(&client.application_name.lock()))
            .unwrap_or_default(),
        prepared: server.prepared.load(Ordering::Relaxed),
    }
}

/// The words of SHOW SOCKETS for the states of clients and servers.
const WORDS: [(&str, &str, &str); 10] = [
    ("C", CANCEL_REQUEST, "cl_active_cancel_req"),
    ("C", ClientState::Login.as_str(), "cl_login"),
    ("C", ClientState::Waiting.as_str(), "cl_waiting"),
    ("S", ServerState::New.as_str(), "sv_login"),
    ("S", ServerState::Idle.as_str(), "sv_idle"),
    ("S", ServerState::Used.as_str(), "sv_used"),
    ("S", ServerState::Active.as_str(), "sv_active"),
    ("S", ServerState::Tested.as_str(), "sv_tested"),
    ("S", ServerState::BeingCanceled.as_str(), "sv_being_canceled"),
    // Clients that ask for nothing are active, too.
    ("C", ClientState::Active.as_str(), "cl_active"),
];

fn in_socket_words(mut socket: Socket) -> Socket {
    let found =
        WORDS.iter().find(|(kind, state, _)| (*kind, *state) == (socket.kind, socket.state));
    socket.state = found.map_or("cl_active", |(_, _, word)| word);
    socket
}

fn sockets(view: &View<'_>) -> Vec<Socket> {
    clients(view).into_iter().chain(servers(view)).map(in_socket_words).collect()
}

/// Connections on which something is under way.
fn active_sockets(view: &View<'_>) -> Vec<Socket> {
    let is_busy = |socket: &Socket| {
        let idle =
            [ClientState::Idle.as_str(), ServerState::Idle.as_str(), ServerState::Used.as_str()];
        !idle.contains(&socket.state)
    };
    clients(view).into_iter().chain(servers(view)).filter(is_busy).map(in_socket_words).collect()
}
