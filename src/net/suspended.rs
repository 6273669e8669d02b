//! A connection that is not being talked over.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::sync::Arc;

use openssl::ssl::Ssl;
use socket2::Socket;

use super::channel::{Channel, TlsChannel};
use super::outgoing::Outgoing;
use super::{Buffer, Sends, Stream};

/// A connection that no runtime watches.
#[derive(Debug)]
pub struct Suspended {
    pub(super) channel: Channel,
}

impl Suspended {
    /// Over a non-blocking socket.
    pub(super) fn bare(socket: Socket) -> Self {
        Suspended { channel: Channel::Plain(socket) }
    }

    /// The socket, to ask it for addresses.
    pub fn socket(&self) -> &Socket {
        self.channel.socket()
    }

    /// True when there are bytes that the socket would not tell of: they were received, and are inside of TLS.
    pub fn holds_bytes(&self) -> bool {
        self.channel.holds_bytes()
    }

    /// Registers the connection with the current runtime, and its sends with those of the current thread. What arrived
    /// meanwhile is seen by the first receive.
    ///
    /// # Errors
    /// When the registration fails; the socket is closed then.
    pub fn resume(self, sends: Option<&Arc<Sends>>) -> io::Result<Stream> {
        let out = Outgoing::with(sends, self.channel.as_raw_fd(), None);
        Stream::watch(out, self.channel, true)
    }

    /// [`Suspended::resume`] for a connection on which nothing is likely to have arrived: the first receive waits for
    /// the runtime's word, which comes all the same if something has.
    ///
    /// # Errors
    /// As [`Suspended::resume`].
    pub fn resume_quiet(self, sends: Option<&Arc<Sends>>) -> io::Result<Stream> {
        let mut stream = self.resume(sends)?;
        stream.primed = false;
        Ok(stream)
    }
}

impl AsFd for Suspended {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.channel.socket().as_fd()
    }
}

impl Suspended {
    /// The connection with TLS to be over it, watched by the current runtime. `received` was read from the socket
    /// already and belongs to the handshake.
    ///
    /// # Errors
    /// The runtime's or the library's; there is TLS already.
    pub(super) fn begin_tls(self, ssl: Ssl, received: Buffer) -> io::Result<Stream> {
        let Channel::Plain(socket) = self.channel else {
            return Err(io::Error::other("there is TLS already"));
        };
        let out = Outgoing::alone(socket.as_raw_fd());
        let tls = TlsChannel::new(ssl, socket, received)?;
        Stream::watch(out, Channel::Tls(Box::new(tls)), false)
    }
}
