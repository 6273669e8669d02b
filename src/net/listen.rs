//! Listeners: the doors clients come in by.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener};

use super::Tuning;
use super::defer::defer_accept;
use crate::config::Process;

/// How long accepting pauses when the process has no descriptors left.
const BACK_OFF: Duration = Duration::from_millis(100);

/// Where a client comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over the unix socket.
    Unix,
}

impl Peer {
    /// The IP address; `None` on the unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Peer::Tcp(address) => Some(address.ip()),
            Peer::Unix => None,
        }
    }

    /// The address as SHOW CLIENTS prints it.
    pub fn host(&self) -> String {
        match self {
            Peer::Tcp(address) => address.ip().to_canonical().to_string(),
            Peer::Unix => "unix".to_owned(),
        }
    }

    /// The port; 0 for a unix socket.
    pub fn port(&self) -> u16 {
        match self {
            Peer::Tcp(address) => address.port(),
            Peer::Unix => 0,
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Tcp(address) => write!(f, "{}:{}", self.host(), address.port()),
            Peer::Unix => f.write_str("unix"),
        }
    }
}

/// An open door. Dropping it closes the door and removes its unix socket.
#[derive(Debug)]
pub struct Listener {
    kind: Kind,
    tuning: Arc<Tuning>,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpListener),
    Unix {
        listener: UnixListener,
        /// The socket's name, if there is one to be removed.
        path: Option<PathBuf>,
    },
}

impl Listener {
    /// True for a unix socket.
    pub fn is_unix(&self) -> bool {
        matches!(self.kind, Kind::Unix { .. })
    }

    /// The next client. Never fails: what goes wrong with one connection is the connection's, and a process without
    /// descriptors waits for better times.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn accept(&self) -> (Socket, Peer) {
        loop {
            match self.try_accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_connection_error(&error) => {}
                Err(error) => {
                    tracing::warn!(%error, listener = %self, "accept failed, pausing");
                    tokio::time::sleep(BACK_OFF).await;
                }
            }
        }
    }

    /// Its descriptor, and its address if it has one.
    pub fn facts(&self) -> (i32, Option<SocketAddr>) {
        match &self.kind {
            Kind::Tcp(listener) => (listener.as_raw_fd(), listener.local_addr().ok()),
            Kind::Unix { listener, .. } => (listener.as_raw_fd(), None),
        }
    }

    async fn try_accept(&self) -> io::Result<(Socket, Peer)> {
        match &self.kind {
            Kind::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                self.tuning.apply(&stream)?;
                Ok((Socket::from(stream.into_std()?), Peer::Tcp(address)))
            }
            Kind::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((Socket::from(OwnedFd::from(stream.into_std()?)), Peer::Unix))
            }
        }
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Tcp(listener) => match listener.local_addr() {
                Ok(address) => write!(f, "{address}"),
                Err(_) => f.write_str("tcp"),
            },
            Kind::Unix { path: Some(path), .. } => write!(f, "{}", path.display()),
            Kind::Unix { path: None, .. } => f.write_str("unix"),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Kind::Unix { path: Some(path), .. } = &self.kind {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::InvalidInput
    )
}

/// How the doors are opened.
#[derive(Clone, Debug)]
pub struct Doors<'a> {
    /// The settings.
    pub process: &'a Process,
    /// Who owns the unix socket.
    pub unix_group: Option<u32>,
    /// What accepted sockets get.
    pub tuning: Arc<Tuning>,
}

impl Doors<'_> {
    /// Opens every door the configuration names; or those that whoever started the process has opened.
    ///
    /// # Errors
    /// The first door that does not open, by name.
    pub async fn open(&self, inherited: Vec<OwnedFd>) -> Result<Vec<Listener>, String> {
        let listener = |kind| Listener { kind, tuning: Arc::clone(&self.tuning) };
        if !inherited.is_empty() {
            let taken = inherited.into_iter().map(|door| self.take_over(door).map(listener));
            return taken.collect();
        }
        let mut kinds = Vec::new();
        for name in &self.process.listen_addr {
            for address in resolve(name, self.process.listen_port).await? {
                let door = bind_tcp(address, self.process)
                    .map_err(|error| format!("cannot listen on {address}: {error}"))?;
                kinds.push(Kind::Tcp(door));
            }
        }
        if let Some(folder) = &self.process.unix_socket_dir {
            kinds.push(bind_unix(folder, self.process, self.unix_group)?);
        }
        Ok(kinds.into_iter().map(listener).collect())
    }

    fn take_over(&self, door: OwnedFd) -> Result<Kind, String> {
        let fail = |error: io::Error| format!("cannot listen on a socket of systemd: {error}");
        let socket = Socket::from(door);
        socket.set_nonblocking(true).map_err(fail)?;
        let address = socket.local_addr().map_err(fail)?;
        if address.is_unix() {
            let listener = UnixListener::from_std(socket.into()).map_err(fail)?;
            // Whoever made it removes it.
            return Ok(Kind::Unix { listener, path: None });
        }
        self.process
            .tcp_defer_accept
            .map_or(Ok(()), |limit| defer_accept(&socket, limit))
            .map_err(fail)?;
        TcpListener::from_std(socket.into()).map(Kind::Tcp).map_err(fail)
    }
}

async fn resolve(name: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    if name == "*" {
        return Ok(vec![
            SocketAddr::from(([0, 0, 0, 0], port)),
            SocketAddr::from(([0_u16; 8], port)),
        ]);
    }
    let found = tokio::net::lookup_host((name, port)).await;
    let mut found: Vec<_> =
        found.map_err(|error| format!("cannot resolve listen_addr {name:?}: {error}"))?.collect();
    found.dedup();
    Ok(found)
}

fn bind_tcp(address: SocketAddr, process: &Process) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // So that `::` and `0.0.0.0` can be listened on side by side.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    if process.so_reuseport {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    process.tcp_defer_accept.map_or(Ok(()), |limit| defer_accept(&socket, limit))?;
    socket.listen(backlog(process))?;
    TcpListener::from_std(socket.into())
}

fn backlog(process: &Process) -> i32 {
    i32::try_from(process.listen_backlog).unwrap_or(i32::MAX)
}

fn bind_unix(folder: &Path, process: &Process, group: Option<u32>) -> Result<Kind, String> {
    let path = folder.join(format!(".s.PGSQL.{}", process.listen_port));
    let fail = |error: io::Error| format!("cannot listen on {}: {error}", path.display());
    if let Some(name) = path.to_str().and_then(|path| path.strip_prefix('@')) {
        let listener = bind_abstract(name, process).map_err(fail)?;
        return Ok(Kind::Unix { listener, path: None });
    }
    remove_stale_socket(&path).map_err(fail)?;
    let listener = listen_at(&SockAddr::unix(&path).map_err(fail)?, process).map_err(fail)?;
    if let Some(group) = group {
        std::os::unix::fs::chown(&path, None, Some(group)).map_err(fail)?;
    }
    let mode = std::fs::Permissions::from_mode(process.unix_socket_mode);
    std::fs::set_permissions(&path, mode).map_err(fail)?;
    Ok(Kind::Unix { listener, path: Some(path) })
}

/// A name that stands in no folder, and goes with the process.
fn bind_abstract(name: &str, process: &Process) -> io::Result<UnixListener> {
    listen_at(&SockAddr::unix(format!("\0{name}"))?, process)
}

fn listen_at(address: &SockAddr, process: &Process) -> io::Result<UnixListener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.bind(address)?;
    socket.listen(backlog(process))?;
    UnixListener::from_std(socket.into())
}

/// Removes a socket that nobody listens on any more; a live one is somebody else's.
fn remove_stale_socket(path: &Path) -> io::Result<()> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(io::Error::new(
                    io::ErrorKind::AddrInUse,
                    "another process listens there",
                ));
            }
            std::fs::remove_file(path)
        }
        _ => Ok(()),
    }
}
