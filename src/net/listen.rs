//! Listeners: the doors clients come in by.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::net::{SocketAddrAny, SocketFlags, acceptfrom_with};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::io::unix::AsyncFd;

use super::Tuning;
use super::option::set_option;
use super::stream::register;
use crate::config::Process;

/// How long accepting pauses when the process has no descriptors left.
const BACK_OFF: Duration = Duration::from_millis(100);

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
    tuning: Arc<Tuning>,
    /// The version of the options that the socket has.
    tuned: AtomicU32,
}

#[derive(Debug)]
enum Place {
    Tcp(SocketAddr),
    /// With what is to be removed, if anything is.
    Unix(Option<OwnPath>),
}

/// A unix socket in a folder: its name, and the file that has it as long as nobody else takes the name.
#[derive(Debug)]
struct OwnPath {
    path: PathBuf,
    file: (u64, u64),
}

impl OwnPath {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(OwnPath { path: path.to_owned(), file: file_at(path)? })
    }
}

/// The device and the number of a file.
fn file_at(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|found| (found.dev(), found.ino()))
}

impl Listener {
    /// A listening socket that does not block, watched by the current runtime.
    fn new(socket: Socket, place: Place, tuning: &Arc<Tuning>) -> io::Result<Self> {
        let (socket, tuning) = (register(socket)?, Arc::clone(tuning));
        Ok(Listener { socket, place, tuning, tuned: AtomicU32::new(0) })
    }

    /// True for a unix socket.
    pub fn is_unix(&self) -> bool {
        matches!(self.place, Place::Unix(_))
    }

    /// Gives the socket the options in force. Those that are accepted inherit them.
    fn tune(&self) {
        let version = self.tuning.version();
        if self.tuned.swap(version, Ordering::Relaxed) == version || self.is_unix() {
            return;
        }
        if let Err(error) = self.tuning.apply(self.socket.get_ref()) {
            tracing::warn!(%error, listener = %self, "socket options not set");
        }
    }

    /// The next client. Never fails: what goes wrong with one connection is the connection's, and a process without
    /// descriptors waits for better times.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn accept(&self) -> Arrival {
        loop {
            self.tune();
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

    /// A client that the kernel has let in already, if there is one.
    pub fn accept_waiting(&self) -> Option<Arrival> {
        self.arrival(accept(self.socket.get_ref()).ok()?).ok()
    }

    async fn try_accept(&self) -> io::Result<Arrival> {
        let accepted = loop {
            let mut guard = self.socket.readable().await?;
            if let Ok(accepted) = guard.try_io(|socket| accept(socket.get_ref())) {
                break accepted?;
            }
        };
        self.arrival(accepted)
    }

    fn arrival(&self, (socket, address): Accepted) -> io::Result<Arrival> {
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
            Place::Unix(Some(own)) => write!(f, "{}", own.path.display()),
            Place::Unix(None) => f.write_str("unix"),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Place::Unix(Some(own)) = &self.place
            && file_at(&own.path).is_ok_and(|file| file == own.file)
        {
            let _ = std::fs::remove_file(&own.path);
        }
    }
}

type Accepted = (OwnedFd, Option<SocketAddrAny>);

/// What is accepted has the listener's settings, and does not block.
fn accept(socket: &Socket) -> io::Result<Accepted> {
    Ok(acceptfrom_with(socket, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK)?)
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
    /// Whoever listens on the unix socket loses its name to this process.
    pub replaces: bool,
}

impl Doors<'_> {
    /// Opens every door the configuration names; or takes those that whoever started the process has opened.
    ///
    /// # Errors
    /// The first door that does not open, by name.
    pub async fn open(&self, inherited: Vec<OwnedFd>) -> Result<Vec<Listener>, String> {
        if !inherited.is_empty() {
            return inherited.into_iter().map(|door| self.take_over(door)).collect();
        }
        let at = |address| move |error: io::Error| format!("cannot listen on {address}: {error}");
        let mut bound = Vec::new();
        for name in &self.process.listen_addr {
            for address in resolve(name, self.process.listen_port).await? {
                bound.push((address, self.bind_tcp(address).map_err(at(address))?));
            }
        }
        let folder = self.process.unix_socket_dir.as_deref();
        let mut listeners =
            Vec::from_iter(folder.map(|folder| self.bind_unix(folder)).transpose()?);
        // The first one last: whoever comes in by it may count on the others.
        for (address, socket) in bound.into_iter().rev() {
            listeners.push(self.listen_tcp(socket, address).map_err(at(address))?);
        }
        listeners.reverse();
        Ok(listeners)
    }

    fn take_over(&self, door: OwnedFd) -> Result<Listener, String> {
        let listen = || {
            let socket = Socket::from(door);
            socket.set_nonblocking(true)?;
            // Whoever made a unix socket removes it.
            let place = match socket.local_addr()?.as_socket() {
                Some(address) => Place::Tcp(address),
                None => Place::Unix(None),
            };
            Listener::new(socket, place, &self.tuning)
        };
        listen()
            .map_err(|error: io::Error| format!("cannot listen on a socket of systemd: {error}"))
    }

    fn bind_tcp(&self, address: SocketAddr) -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        if address.is_ipv6() {
            // So that `::` and `0.0.0.0` can be listened on side by side.
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_address(true)?;
        if self.process.so_reuseport {
            socket.set_reuse_port(true)?;
        }
        socket.set_nonblocking(true)?;
        // Whom the kernel holds back it resets when the door closes, although another process has the same door.
        let held_back = self.process.tcp_defer_accept.filter(|_| !self.process.so_reuseport);
        if let Some(silence) = held_back {
            let seconds = i32::try_from(silence.as_secs().max(1)).unwrap_or(i32::MAX);
            set_option(&socket, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds)?;
        }
        socket.bind(&address.into())?;
        Ok(socket)
    }

    fn listen_tcp(&self, socket: Socket, address: SocketAddr) -> io::Result<Listener> {
        let backlog = i32::try_from(self.process.listen_backlog).unwrap_or(i32::MAX);
        socket.listen(backlog)?;
        let bound = socket.local_addr()?.as_socket().unwrap_or(address);
        Listener::new(socket, Place::Tcp(bound), &self.tuning)
    }

    fn bind_unix(&self, folder: &Path) -> Result<Listener, String> {
        let path = folder.join(format!(".s.PGSQL.{}", self.process.listen_port));
        let fail = |error: io::Error| format!("cannot listen on {}: {error}", path.display());
        if let Some(name) = path.to_str().and_then(|path| path.strip_prefix('@')) {
            // A name that stands in no folder, and goes with the process.
            return self.bind_at(format!("\0{name}"), None).map_err(fail);
        }
        if self.replaces {
            let _ = std::fs::remove_file(&path);
        } else {
            remove_stale_socket(&path).map_err(fail)?;
        }
        let listener = self.bind_at(&path, Some(&path)).map_err(fail)?;
        if let Some(group) = self.unix_group {
            std::os::unix::fs::chown(&path, None, Some(group)).map_err(fail)?;
        }
        let mode = std::fs::Permissions::from_mode(self.process.unix_socket_mode);
        std::fs::set_permissions(&path, mode).map_err(fail)?;
        Ok(listener)
    }

    fn bind_at(&self, name: impl AsRef<Path>, path: Option<&Path>) -> io::Result<Listener> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.bind(&SockAddr::unix(name)?)?;
        socket.listen(UNIX_BACKLOG)?;
        let own = path.map(OwnPath::of).transpose()?;
        Listener::new(socket, Place::Unix(own), &self.tuning)
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
