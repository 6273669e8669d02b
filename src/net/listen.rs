//! Listeners: the doors clients come in by.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::{SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::unix::AsyncFd;

use super::dial::tune;
use super::option::set_option;
use super::stream::register;
use crate::config::Process;

/// How long accepting pauses when the process has no descriptors left.
const BACK_OFF: Duration = Duration::from_millis(100);

/// How long, in seconds, the kernel keeps connections to itself that say nothing. Whoever is accepted has mostly said
/// what it wants, so that nothing has to be waited for.
const SILENCE: libc::c_int = 1;

/// Clients of the unix socket that may wait for being accepted.
const UNIX_BACKLOG: i32 = 1024;

/// Where a client comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Over TCP.
    Tcp(SocketAddr),
    /// Over the unix socket.
    Unix,
}

impl Peer {
    /// The address; `None` on the unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Peer::Tcp(address) => Some(*address),
            Peer::Unix => None,
        }
    }

    /// The IP address; `None` on the unix socket.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address().map(|address| address.ip())
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

/// A connection that was accepted.
#[derive(Debug)]
pub struct Arrival {
    /// The socket, which does not block.
    pub socket: Socket,
    /// Where it comes from.
    pub peer: Peer,
    /// The address it came in by, where that is known without asking; `None` on the unix socket.
    pub local: Option<SocketAddr>,
}

impl Arrival {
    /// Where it came in; `None` on the unix socket.
    pub fn came_in_by(&self) -> Option<SocketAddr> {
        match self.peer {
            Peer::Unix => None,
            Peer::Tcp(_) => self.local.or_else(|| self.socket.local_addr().ok()?.as_socket()),
        }
    }
}

/// An open door. Dropping it closes the door and removes its unix socket.
#[derive(Debug)]
pub struct Listener {
    socket: AsyncFd<Socket>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Listener {
    /// A listening socket that does not block, watched by the current runtime.
    fn new(socket: Socket, place: Place) -> io::Result<Self> {
        Ok(Listener { socket: register(socket)?, place })
    }

    /// The next client. Never fails: what goes wrong with one connection is the connection's, and a process without
    /// descriptors waits for better times.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn accept(&self) -> Arrival {
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
        let address = match self.place {
            Place::Tcp(address) => Some(address),
            Place::Unix(_) => None,
        };
        (self.socket.as_raw_fd(), address)
    }

    /// What is accepted has the listener's settings, and does not block.
    async fn try_accept(&self) -> io::Result<Arrival> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let accept = |socket: &AsyncFd<Socket>| Ok(acceptfrom_with(socket.get_ref(), flags)?);
        let (socket, address) = loop {
            let mut guard = self.socket.readable().await?;
            if let Ok(accepted) = guard.try_io(accept) {
                break accepted?;
            }
        };
        let (peer, local) = match self.place {
            Place::Unix(_) => (Peer::Unix, None),
            Place::Tcp(own) => {
                let address = address.and_then(|address| SocketAddr::try_from(address).ok());
                let address = address.ok_or(io::ErrorKind::ConnectionAborted)?;
                (Peer::Tcp(address), (!own.ip().is_unspecified()).then_some(own))
            }
        };
        Ok(Arrival { socket: Socket::from(socket), peer, local })
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Tcp(address) => write!(f, "{address}"),
            Place::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Place::Unix(path) = &self.place {
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

/// Opens every door the configuration names; `unix_group` owns the unix socket.
///
/// # Errors
/// The first door that does not open, by name.
pub async fn bind_all(process: &Process, unix_group: Option<u32>) -> Result<Vec<Listener>, String> {
    let mut listeners = Vec::new();
    for name in &process.listen_addr {
        for address in resolve(name, process.listen_port).await? {
            let listener = bind_tcp(address, process.listen_backlog)
                .map_err(|error| format!("cannot listen on {address}: {error}"))?;
            listeners.push(listener);
        }
    }
    if let Some(folder) = &process.unix_socket_dir {
        listeners.push(bind_unix(folder, process, unix_group)?);
    }
    Ok(listeners)
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

fn bind_tcp(address: SocketAddr, backlog: u32) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        // So that `::` and `0.0.0.0` can be listened on side by side.
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    // Those that are accepted inherit it.
    tune(&socket)?;
    set_option(&socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, SILENCE)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    let bound = socket.local_addr()?.as_socket().unwrap_or(address);
    Listener::new(socket, Place::Tcp(bound))
}

fn bind_unix(folder: &Path, process: &Process, group: Option<u32>) -> Result<Listener, String> {
    let path = folder.join(format!(".s.PGSQL.{}", process.listen_port));
    let fail = |error: io::Error| format!("cannot listen on {}: {error}", path.display());
    remove_stale_socket(&path).map_err(fail)?;
    let bind = || {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(&path)?)?;
        socket.listen(UNIX_BACKLOG)?;
        Listener::new(socket, Place::Unix(path.clone()))
    };
    let listener = bind().map_err(fail)?;
    if let Some(group) = group {
        std::os::unix::fs::chown(&path, None, Some(group)).map_err(fail)?;
    }
    let mode = std::fs::Permissions::from_mode(process.unix_socket_mode);
    std::fs::set_permissions(&path, mode).map_err(fail)?;
    Ok(listener)
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
