//! The nouns every room shares. Nothing here imports anything of ours.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Names of the console's database.
pub const CONSOLE: [&str; 2] = ["pgusher", "pgbouncer"];

/// A database or user name; cheap to clone and to share between threads.
pub type Name = Arc<str>;

/// A limit in time; `None` is `"off"`.
pub type Timeout = Option<Duration>;

/// When a server goes back to the pool.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PoolMode {
    /// After each transaction.
    #[default]
    Transaction,
    /// When the client leaves.
    Session,
    /// After each statement; transaction blocks are refused.
    Statement,
}

impl PoolMode {
    /// PgBouncer's word for the mode, as it appears in files and in SHOW.
    pub fn as_str(self) -> &'static str {
        match self {
            PoolMode::Transaction => "transaction",
            PoolMode::Session => "session",
            PoolMode::Statement => "statement",
        }
    }
}

impl fmt::Display for PoolMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What becomes of a statement whose effect on the session cannot be shared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Unsharable {
    /// The client keeps its server for as long as the effect lasts.
    #[default]
    Pin,
    /// The statement is refused.
    Error,
    /// The statement is run; what it leaves is discarded with the transaction.
    Warn,
}

/// Which of a database's servers a new connection goes to first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LoadBalance {
    /// The first of the list; the others when it cannot be reached.
    #[default]
    Disable,
    /// The one after that of the connection before.
    RoundRobin,
}

impl LoadBalance {
    /// PgBouncer's word.
    pub fn as_str(self) -> &'static str {
        match self {
            LoadBalance::Disable => "disable",
            LoadBalance::RoundRobin => "round-robin",
        }
    }
}

/// So many of a pool's servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// This many.
    Count(usize),
    /// So many in a hundred, and at least one.
    Percent(u8),
}

impl Part {
    /// How many of `whole` these are.
    pub fn of(self, whole: usize) -> usize {
        match self {
            Part::Count(count) => count,
            Part::Percent(0) => 0,
            Part::Percent(percent) => (whole * usize::from(percent) / 100).max(1),
        }
    }
}

/// Where a PostgreSQL server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerAddress {
    /// A host name or an IP address, and a port.
    Tcp {
        /// Name or literal address, without brackets.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// A socket folder; the socket is `<folder>/.s.PGSQL.<port>`.
    Unix {
        /// The folder that holds the socket.
        folder: PathBuf,
        /// The number in the socket's name.
        port: u16,
    },
}

impl ServerAddress {
    /// Reads PostgreSQL's `host` convention: a value that starts with `/` (or `@`) is a socket folder.
    pub fn new(host: &str, port: u16) -> Self {
        if host.starts_with('/') || host.starts_with('@') {
            ServerAddress::Unix { folder: PathBuf::from(host), port }
        } else {
            ServerAddress::Tcp { host: host.to_owned(), port }
        }
    }

    /// The host as configured: a name, an address or a folder.
    pub fn host(&self) -> String {
        match self {
            ServerAddress::Tcp { host, .. } => host.clone(),
            ServerAddress::Unix { folder, .. } => folder.display().to_string(),
        }
    }

    /// The port.
    pub fn port(&self) -> u16 {
        match self {
            ServerAddress::Tcp { port, .. } | ServerAddress::Unix { port, .. } => *port,
        }
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServerAddress::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            ServerAddress::Tcp { host, port } => write!(f, "{host}:{port}"),
            ServerAddress::Unix { folder, port } => {
                write!(f, "{}/.s.PGSQL.{port}", folder.display())
            }
        }
    }
}

/// Version and cipher of a TLS connection, as SHOW CLIENTS and SHOW SERVERS print them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TlsLabel {
    /// Such as `TLSv1.3`.
    pub version: &'static str,
    /// Such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: &'static str,
}

impl fmt::Display for TlsLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.version, self.cipher)
    }
}

/// One of the threads that relay traffic, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerId(pub u16);

impl WorkerId {
    /// The home of sockets that belong to no worker yet: logins, dials and clean-ups run there.
    pub const CONTROL: WorkerId = WorkerId(u16::MAX);
}

/// Transaction status as ReadyForQuery reports it (protocol chapter, "Message Formats").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransactionStatus {
    /// `I`: not in a transaction block.
    #[default]
    Idle,
    /// `T`: in a transaction block.
    InTransaction,
    /// `E`: in a failed block; commands are refused until it ends.
    Failed,
}

impl TransactionStatus {
    /// The status for ReadyForQuery's byte, or `None` for a byte PostgreSQL does not send.
    pub fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'I' => Some(TransactionStatus::Idle),
            b'T' => Some(TransactionStatus::InTransaction),
            b'E' => Some(TransactionStatus::Failed),
            _ => None,
        }
    }
}

/// How a client has proved who it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoginMethod(u8);

impl LoginMethod {
    /// All methods as logs and metrics name them; the first one is for logins that did not come that far.
    pub const NAMES: [&'static str; 9] =
        ["none", "trust", "password", "md5", "scram-sha-256", "cert", "peer", "ldap", "pam"];

    /// The method of this name.
    pub fn named(name: &str) -> Self {
        let at = Self::NAMES.iter().position(|&known| known == name);
        LoginMethod(at.and_then(|at| u8::try_from(at).ok()).unwrap_or_default())
    }

    /// Its name.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.get(self.index()).copied().unwrap_or(Self::NAMES[0])
    }

    /// Its place among the names.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}
