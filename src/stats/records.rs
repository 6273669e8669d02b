//! Who is there: one record per client and per server, kept up to date by whoever drives the connection.

use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;
use socket2::Socket;

use super::StatementNote;
use crate::control::Control;
use crate::types::{LoginMethod, Name, ServerAddress, TlsLabel};

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ClientState {
    /// Logging in.
    Login,
    /// Connected, holds no server and wants none.
    Idle,
    /// Holds a server.
    Active,
    /// Wants a server.
    Waiting,
}

impl ClientState {
    /// All states.
    pub const ALL: [ClientState; 4] =
        [ClientState::Login, ClientState::Idle, ClientState::Active, ClientState::Waiting];

    /// PgBouncer's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            ClientState::Login => "login",
            ClientState::Idle => "idle",
            ClientState::Active => "active",
            ClientState::Waiting => "waiting",
        }
    }
}

/// What a server is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ServerState {
    /// Just logged in.
    New,
    /// Free.
    Idle,
    /// With a client.
    Active,
    /// Being checked or cleaned.
    Tested,
    /// Waiting for a cancel request to be over.
    BeingCanceled,
    /// Free for so long that it is to be checked before it is used (`server_check_delay`).
    Used,
}

impl ServerState {
    /// All states.
    pub const ALL: [ServerState; 6] = [
        ServerState::New,
        ServerState::Idle,
        ServerState::Active,
        ServerState::Tested,
        ServerState::BeingCanceled,
        ServerState::Used,
    ];

    /// True when nobody has it and nothing is done with it.
    pub fn is_free(self) -> bool {
        matches!(self, ServerState::Idle | ServerState::Used)
    }

    /// PgBouncer's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            ServerState::New => "new",
            ServerState::Idle => "idle",
            ServerState::Active => "active",
            ServerState::Tested => "tested",
            ServerState::BeingCanceled => "being_canceled",
            ServerState::Used => "used",
        }
    }
}

/// The two ends of a client's connection; addresses are `None` on the unix socket.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    /// Where it comes from.
    pub peer: Option<SocketAddr>,
    /// Where it came in.
    pub local: Option<SocketAddr>,
    /// Its descriptor.
    pub fd: i32,
    /// The client's process id, if it came by the unix socket and the system tells; else 0.
    pub peer_pid: u32,
}

impl Ends {
    /// Those of a socket whose addresses are known.
    pub fn new(socket: &Socket, peer: Option<SocketAddr>, local: Option<SocketAddr>) -> Self {
        let of_process = || rustix::net::sockopt::socket_peercred(socket).ok();
        let process = peer.is_none().then(of_process).flatten();
        let peer_pid = process.and_then(|who| u32::try_from(who.pid.as_raw_nonzero().get()).ok());
        Ends { peer, local, fd: socket.as_raw_fd(), peer_pid: peer_pid.unwrap_or_default() }
    }

    /// Those of a socket, which is asked for everything.
    pub fn of(socket: &Socket) -> Self {
        let peer = socket.peer_addr().ok().and_then(|address| address.as_socket());
        let local = socket.local_addr().ok().and_then(|address| address.as_socket());
        Ends::new(socket, peer, local)
    }
}

/// What a client replicates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Replicates {
    /// Nothing.
    #[default]
    Nothing,
    /// The write-ahead log.
    Physical,
    /// The changes of a database.
    Logical,
}

impl Replicates {
    /// PgBouncer's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Replicates::Nothing => "none",
            Replicates::Physical => "physical",
            Replicates::Logical => "logical",
        }
    }
}

/// A client, as the console shows it.
#[derive(Debug)]
pub struct ClientRecord {
    /// Its number.
    pub id: u64,
    /// The database it asked for.
    pub database: Name,
    /// The user it logged in as.
    pub user: Name,
    /// Its address; `None` on the unix socket.
    pub peer: Option<SocketAddr>,
    /// The address it came in by; `None` on the unix socket.
    pub local: Option<SocketAddr>,
    /// The descriptor of its socket.
    pub fd: i32,
    /// Its process on the unix socket; 0 where that is not known.
    pub peer_pid: u32,
    /// Its TLS; `None` without it.
    pub tls: Option<TlsLabel>,
    /// How it has proved who it is.
    pub method: LoginMethod,
    /// What it replicates.
    pub replicates: Replicates,
    /// When it came, on the wall clock.
    pub connected_at: SystemTime,
    /// When it came.
    pub since: Instant,
    /// Its application_name.
    pub application_name: Mutex<Name>,
    /// Statements it has prepared.
    pub prepared: AtomicU32,
    /// How to give its task an order.
    pub control: Control,
    state: AtomicU8,
    /// The server it holds, 0 for none.
    link: AtomicU64,
    /// Microseconds after `since` when the request in hand was made.
    requested: AtomicU64,
    /// Queries whose last ReadyForQuery said `T` or `E`.
    in_transaction: AtomicU8,
}

impl ClientRecord {
    /// A client that has logged in.
    pub fn new(
        id: u64,
        database: Name,
        user: Name,
        application_name: Name,
        ends: Ends,
        tls: Option<TlsLabel>,
        method: LoginMethod,
    ) -> Self {
        ClientRecord {
            id,
            database,
            user,
            peer: ends.peer,
            local: ends.local,
            fd: ends.fd,
            peer_pid: ends.peer_pid,
            tls,
            method,
            replicates: Replicates::Nothing,
            connected_at: SystemTime::now(),
            since: Instant::now(),
            application_name: Mutex::new(application_name),
            prepared: AtomicU32::new(0),
            control: Control::default(),
            state: AtomicU8::new(ClientState::Idle as u8),
            link: AtomicU64::new(0),
            requested: AtomicU64::new(0),
            in_transaction: AtomicU8::new(0),
        }
    }

    /// The same as a replication client.
    #[must_use]
    pub fn replicating(self, replicates: Replicates) -> Self {
        ClientRecord { replicates, ..self }
    }

    /// Enters a state; `link` is the server held, 0 for none.
    pub fn enter(&self, state: ClientState, link: u64) {
        self.state.store(state as u8, Ordering::Relaxed);
        self.link.store(link, Ordering::Relaxed);
    }

    /// A request was made.
    pub fn request_at(&self, now: Instant) {
        let micros = now.saturating_duration_since(self.since).as_micros();
        self.requested.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The client waits (or does not wait any more) inside a transaction for nobody but itself.
    pub fn set_idle_in_transaction(&self, is: bool) {
        self.in_transaction.store(u8::from(is), Ordering::Relaxed);
    }

    /// True while it holds a server in a transaction and asks nothing of it.
    pub fn is_idle_in_transaction(&self) -> bool {
        self.in_transaction.load(Ordering::Relaxed) != 0
    }

    /// What it is doing.
    pub fn state(&self) -> ClientState {
        let value = usize::from(self.state.load(Ordering::Relaxed));
        ClientState::ALL.get(value).copied().unwrap_or(ClientState::Idle)
    }

    /// The server it holds, 0 for none.
    pub fn link(&self) -> u64 {
        self.link.load(Ordering::Relaxed)
    }

    /// When its last request was made.
    pub fn requested_at(&self) -> Instant {
        self.since + std::time::Duration::from_micros(self.requested.load(Ordering::Relaxed))
    }
}

/// A server, as the console shows it.
#[derive(Debug)]
pub struct ServerRecord {
    /// Its number; 0 until it is entered in [`Records`].
    pub id: u64,
    /// The address dialled.
    pub address: ServerAddress,
    /// The address it has; `None` on a unix socket.
    pub peer: Option<SocketAddr>,
    /// Our end; `None` on a unix socket.
    pub local: Option<SocketAddr>,
    /// The descriptor of its socket.
    pub fd: i32,
    /// Its TLS; `None` without it.
    pub tls: Option<TlsLabel>,
    /// Process id of the backend.
    pub pid: u32,
    /// When it logged in, on the wall clock.
    pub connected_at: SystemTime,
    /// When it logged in.
    pub since: Instant,
    /// Statements it holds.
    pub prepared: AtomicU32,
    /// Cancel requests on their way to it.
    pub cancels: Arc<AtomicUsize>,
    /// It will be closed when its client lets go of it.
    pub close_needed: AtomicBool,
    /// The beginning of its last statement.
    pub statement: StatementNote,
    state: AtomicU8,
    link: AtomicU64,
    requested: AtomicU64,
}

impl ServerRecord {
    /// A server that has just logged in.
    pub fn new(
        id: u64,
        address: &ServerAddress,
        socket: &Socket,
        tls: Option<TlsLabel>,
        pid: u32,
    ) -> Self {
        ServerRecord {
            id,
            address: address.clone(),
            peer: socket.peer_addr().ok().and_then(|address| address.as_socket()),
            local: socket.local_addr().ok().and_then(|address| address.as_socket()),
            fd: socket.as_raw_fd(),
            tls,
            pid,
            connected_at: SystemTime::now(),
            since: Instant::now(),
            prepared: AtomicU32::new(0),
            cancels: Arc::default(),
            close_needed: AtomicBool::new(false),
            statement: StatementNote::default(),
            state: AtomicU8::new(ServerState::New as u8),
            link: AtomicU64::new(0),
            requested: AtomicU64::new(0),
        }
    }

    /// Enters a state; `link` is the client that holds it, 0 for none.
    pub fn enter(&self, state: ServerState, link: u64) {
        self.state.store(state as u8, Ordering::Relaxed);
        self.link.store(link, Ordering::Relaxed);
    }

    /// It was given to a client.
    pub fn request_at(&self, now: Instant) {
        let micros = now.saturating_duration_since(self.since).as_micros();
        self.requested.store(u64::try_from(micros).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// What it is doing.
    pub fn state(&self) -> ServerState {
        let value = usize::from(self.state.load(Ordering::Relaxed));
        ServerState::ALL.get(value).copied().unwrap_or(ServerState::New)
    }

    /// The client that holds it, 0 for none.
    pub fn link(&self) -> u64 {
        self.link.load(Ordering::Relaxed)
    }

    /// When it was last given to a client.
    pub fn requested_at(&self) -> Instant {
        self.since + std::time::Duration::from_micros(self.requested.load(Ordering::Relaxed))
    }
}
