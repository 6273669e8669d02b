//! Connecting to a server's address.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use socket2::{SockRef, Socket, TcpKeepalive};

use super::Stream;
use crate::types::ServerAddress;

/// A silent peer is asked for a sign of life after this long.
const KEEPALIVE: Duration = Duration::from_secs(60);

/// Connects; every address a name stands for is tried in turn. Belongs to the current runtime.
///
/// # Errors
/// That of the last address tried.
pub async fn connect(address: &ServerAddress) -> io::Result<Stream> {
    let socket = match address {
        ServerAddress::Tcp { host, port } => {
            let stream = tokio::net::TcpStream::connect((host.as_str(), *port)).await?;
            tune(&stream)?;
            Socket::from(stream.into_std()?)
        }
        ServerAddress::Unix { folder, port } => {
            let path = folder.join(format!(".s.PGSQL.{port}"));
            let stream = tokio::net::UnixStream::connect(path).await?;
            Socket::from(OwnedFd::from(stream.into_std()?))
        }
    };
    Stream::new(socket)
}

/// What every TCP connection gets, on both sides: no delay, and keepalive so that a dead peer is noticed.
///
/// # Errors
/// The socket's.
pub(super) fn tune<'a>(stream: impl Into<SockRef<'a>>) -> io::Result<()> {
    let socket = stream.into();
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE))
}
