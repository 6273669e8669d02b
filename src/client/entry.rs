//! Those who came in, on their way to whoever serves them.

use std::pin::Pin;
use std::sync::Arc;

use super::handshake::Incoming;
use super::late::Late;
use super::limits::Counted;
use super::replica::Replica;
use crate::cancel::Issued;
use crate::net::{Buffer, Line, Suspended};
use crate::pool::{Lease, Pool};
use crate::session::VirtualSession;
use crate::stats::Entered;
use crate::types::{Name, Timeout};

/// Who came in.
#[derive(Debug)]
pub enum Entry {
    /// Somebody for a worker.
    Resident(Resident),
    /// Somebody for the console.
    Console(Console),
}

/// Who stays with a worker.
#[derive(Debug)]
pub enum Resident {
    /// A client of a pool.
    Client(Box<Admitted>),
    /// A replication client, with a server of its own.
    Replica(Box<Replica>),
}

/// A visitor on its way to the worker that hears it out.
pub struct Visit {
    /// Hears it out, on the worker's runtime. Gives the client that has logged in and stays there.
    pub hearing: Pin<Box<dyn Future<Output = Option<Resident>> + Send>>,
    /// How long it may take over its login (`client_login_timeout`).
    pub limit: Timeout,
    /// How it learns that it has taken too long.
    pub late: Late,
}

impl std::fmt::Debug for Visit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Visit { hearing: _, limit, late } = self;
        f.debug_struct("Visit").field("limit", limit).field("late", late).finish_non_exhaustive()
    }
}

/// A client that has logged in.
#[derive(Debug)]
pub struct Admitted {
    pub(super) line: Line,
    pub(super) buffer: Buffer,
    pub(super) session: VirtualSession,
    pub(super) pool: Arc<Pool>,
    pub(super) record: Entered,
    pub(super) key: Issued,
    pub(super) counted: [Counted; 3],
}

/// Somebody at the console, logged in.
#[derive(Debug)]
pub struct Console {
    /// The socket.
    pub socket: Suspended,
    /// Bytes that came early.
    pub buffer: Buffer,
    /// Who it is.
    pub user: Name,
    /// What it calls itself.
    pub application_name: Name,
    /// What it may do.
    pub rights: ConsoleRights,
    /// Where it comes from.
    pub peer: String,
}

/// What somebody at the console may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleRights {
    /// Everything (`admin_users`).
    Admin,
    /// Look (`stats_users`).
    Stats,
}

/// What a login ended with, apart from the socket.
pub(super) enum Pass {
    Client {
        session: VirtualSession,
        pool: Arc<Pool>,
        record: Entered,
        key: Issued,
        counted: [Counted; 3],
    },
    Replica(OwnServer),
    Console {
        user: Name,
        application_name: Name,
        rights: ConsoleRights,
    },
}

/// A replication client's login, apart from the socket.
pub(super) struct OwnServer {
    pub(super) pool: Arc<Pool>,
    pub(super) record: Entered,
    pub(super) key: Issued,
    pub(super) lease: Lease,
    pub(super) counted: [Counted; 3],
}

impl Pass {
    /// Puts the connection to it; `None` when that is closed.
    pub(super) fn admit(self, incoming: &mut Incoming) -> Option<Entry> {
        let (line, buffer) = (incoming.line.take(), std::mem::take(&mut incoming.buffer));
        Some(match self {
            Pass::Client { session, pool, record, key, counted } => {
                let client = Admitted { line, buffer, session, pool, record, key, counted };
                Entry::Resident(Resident::Client(Box::new(client)))
            }
            Pass::Replica(OwnServer { pool, record, key, lease, counted }) => {
                let socket = line.suspend().ok()?;
                let client = Replica { socket, buffer, pool, record, key, lease, counted };
                Entry::Resident(Resident::Replica(Box::new(client)))
            }
            Pass::Console { user, application_name, rights } => {
                let (socket, peer) = (line.suspend().ok()?, incoming.peer.to_string());
                Entry::Console(Console { socket, buffer, user, application_name, rights, peer })
            }
        })
    }
}
