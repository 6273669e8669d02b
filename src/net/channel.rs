//! What a stream talks through: a bare socket, or a socket with TLS over it.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};

use openssl::ssl::{Error, ErrorCode, Ssl, SslRef, SslStream};
use socket2::Socket;

use super::{Buffer, BufferPool};

/// A connected socket, with or without TLS over it.
#[derive(Debug)]
pub(super) enum Channel {
    Plain(Socket),
    /// Boxed, so that the many without it do not carry its size.
    Tls(Box<TlsChannel>),
}

impl Channel {
    pub(super) fn socket(&self) -> &Socket {
        match self {
            Channel::Plain(socket) => socket,
            Channel::Tls(tls) => &tls.ssl.get_ref().socket,
        }
    }

    /// True when something was received that nobody has seen.
    pub(super) fn holds_bytes(&self) -> bool {
        match self {
            Channel::Plain(_) => false,
            Channel::Tls(tls) => tls.holds_bytes(),
        }
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.socket().as_raw_fd()
    }
}

/// TLS over a socket that it never touches: what was received is put in and taken out opened, what is to be sent is put
/// in and taken out sealed. So one system call carries many records, nothing is held back that readiness would not
/// tell of, and a send that the kernel refuses is no concern of TLS.
#[derive(Debug)]
pub(super) struct TlsChannel {
    ssl: SslStream<Wire>,
    end: End,
}

/// Whether there is more to come.
#[derive(Debug)]
enum End {
    Open,
    /// The peer has said its last word, or just closed.
    Closed,
    /// What it sent is no TLS, or not ours.
    Failed(Box<str>),
}

/// What TLS takes for its transport.
#[derive(Debug)]
struct Wire {
    socket: Socket,
    /// Received, and not opened yet.
    received: Buffer,
    /// Nothing comes behind `received`.
    ended: bool,
    /// Sealed, and not taken yet.
    sealed: Vec<u8>,
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.received.filled().read(into)?;
        self.received.consume(count);
        match count {
            0 if !self.ended => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.sealed.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The most that is sealed for one send: as much as the largest buffer holds.
const MOST_SEALED: usize = 64 * 1024;

impl TlsChannel {
    /// TLS to be, over a socket from which `received` was read already.
    pub(super) fn new(ssl: Ssl, socket: Socket, received: Buffer) -> io::Result<Self> {
        let wire = Wire { socket, received, ended: false, sealed: Vec::new() };
        Ok(TlsChannel { ssl: SslStream::new(ssl, wire)?, end: End::Open })
    }

    pub(super) fn ssl(&self) -> &SslRef {
        self.ssl.ssl()
    }

    /// Takes the handshake as far as it goes; false when it needs bytes of the peer. What it has to say is sealed.
    pub(super) fn handshake(&mut self) -> Result<bool, String> {
        match self.ssl.do_handshake() {
            Ok(()) => Ok(true),
            Err(error) if error.code() == ErrorCode::WANT_READ => Ok(false),
            Err(error) => Err(crate::tls::explain(&error, self.ssl.ssl())),
        }
    }

    /// Lends the buffer to receive into; it comes back by [`TlsChannel::take_back`].
    pub(super) fn lend_buffer(&mut self) -> Buffer {
        std::mem::take(&mut self.ssl.get_mut().received)
    }

    /// Takes back what was received; `ended`: nothing will come behind it.
    pub(super) fn take_back(&mut self, received: Buffer, ended: bool) {
        let wire = self.ssl.get_mut();
        wire.received = received;
        wire.ended |= ended;
    }

    /// True when something was received that was not taken out.
    pub(super) fn holds_bytes(&self) -> bool {
        let wire = self.ssl.get_ref();
        !wire.received.is_empty()
            || self.ssl.ssl().pending() > 0
            || wire.ended
            || !matches!(self.end, End::Open)
    }

    /// Takes out what was received, opened, up to the room there is in `buffer`. `Some(0)` is the end; `None`: more
    /// has to be received.
    pub(super) fn open(
        &mut self,
        buffer: &mut Buffer,
        pool: &BufferPool,
    ) -> io::Result<Option<usize>> {
        if !self.holds_bytes() {
            return Ok(None);
        }
        buffer.prepare(pool);
        let mut count = 0;
        while matches!(self.end, End::Open) && !buffer.space().is_empty() {
            match self.ssl.ssl_read(buffer.space()) {
                Ok(more) => {
                    buffer.fill(more);
                    count += more;
                }
                Err(error) if error.code() == ErrorCode::WANT_READ => break,
                Err(error) => self.end = end(&error),
            }
        }
        self.ssl.get_mut().received.release(pool);
        match &self.end {
            _ if count > 0 => Ok(Some(count)),
            End::Open => Ok(None),
            End::Closed => Ok(Some(0)),
            End::Failed(why) => Err(io::Error::new(io::ErrorKind::InvalidData, why.to_string())),
        }
    }

    /// Seals as much of `bytes` as is worth one send, and says how much that is.
    pub(super) fn seal(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let part = bytes.get(..MOST_SEALED).unwrap_or(bytes);
        let mut count = 0;
        while let Some(rest) = part.get(count..).filter(|rest| !rest.is_empty()) {
            count += self.ssl.ssl_write(rest).map_err(failure)?;
        }
        Ok(count)
    }

    /// What was sealed and must go out next. Nothing keeps its memory.
    pub(super) fn take_sealed(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.ssl.get_mut().sealed)
    }

    /// Sends `bytes` and TLS's own goodbye, if the kernel takes them now. To be called when nothing else is to be sent.
    pub(super) fn send_last(&mut self, bytes: &[u8]) -> io::Result<()> {
        if !bytes.is_empty() {
            self.seal(bytes)?;
        }
        // The peer's own goodbye is not waited for.
        let _ = self.ssl.shutdown();
        let sealed = self.take_sealed();
        (&self.ssl.get_ref().socket).write(&sealed).map(drop)
    }
}

/// A connection that is closed without TLS's own goodbye has ended as well: the messages inside have lengths.
fn end(error: &Error) -> End {
    let closed = error.code() == ErrorCode::ZERO_RETURN
        || (error.code() == ErrorCode::SYSCALL && error.ssl_error().is_none());
    if closed { End::Closed } else { End::Failed(error.to_string().into()) }
}

fn failure(error: Error) -> io::Error {
    error.into_io_error().unwrap_or_else(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
