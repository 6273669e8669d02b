//! Connecting to a server's address.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::os::linux::net::SocketAddrExt;
use std::path::Path;
use std::sync::Arc;

use socket2::Socket;

use super::{HostNames, Stream, Tuning};
use crate::config::Process;
use crate::types::ServerAddress;

/// How servers are reached.
#[derive(Debug)]
pub struct Dialler {
    /// What their sockets get.
    pub tuning: Arc<Tuning>,
    /// What their names stand for.
    pub names: HostNames,
}

impl Dialler {
    /// As the configuration says.
    pub fn new(process: &Process) -> Self {
        Dialler { tuning: Arc::new(Tuning::new(process)), names: HostNames::new(process) }
    }

    /// As the configuration says from now on.
    pub fn configure(&self, process: &Process) {
        self.tuning.configure(process);
        self.names.configure(process);
    }

    /// Connects; every address a name stands for is tried in turn. Belongs to the current runtime.
    ///
    /// # Errors
    /// That of the last address tried.
    pub async fn connect(&self, address: &ServerAddress) -> io::Result<Stream> {
        match address {
            ServerAddress::Tcp { host, port } => self.connect_tcp(host, *port).await,
            ServerAddress::Unix { folder, port } => {
                let stream = connect_unix(folder, *port).await?;
                Stream::new(Socket::from(OwnedFd::from(stream.into_std()?)))
            }
        }
    }

    async fn connect_tcp(&self, host: &str, port: u16) -> io::Result<Stream> {
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        let addresses = self.names.look_up(host).await.map_err(|error| {
            io::Error::new(error.kind(), format!("server DNS lookup failed: {error}"))
        })?;
        for address in addresses {
            match tokio::net::TcpStream::connect(SocketAddr::from((address, port))).await {
                Ok(stream) => {
                    self.tuning.apply(&stream)?;
                    return Stream::new(Socket::from(stream.into_std()?));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

/// A folder that begins with `@` is the beginning of an abstract name.
async fn connect_unix(folder: &Path, port: u16) -> io::Result<tokio::net::UnixStream> {
    let path = folder.join(format!(".s.PGSQL.{port}"));
    let Some(name) = path.to_str().and_then(|path| path.strip_prefix('@')) else {
        return tokio::net::UnixStream::connect(path).await;
    };
    let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
    let stream = std::os::unix::net::UnixStream::connect_addr(&address)?;
    stream.set_nonblocking(true)?;
    tokio::net::UnixStream::from_std(stream)
}
