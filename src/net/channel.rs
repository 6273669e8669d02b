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
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.socket().as_raw_fd()
    }
}

/// TLS over a socket. It never reads the socket itself: what is received is put in, and taken out decrypted. So one
/// receive serves many records, and nothing is held back that readiness would not tell of.
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
    Failed(String),
}

/// What TLS takes for its transport.
#[derive(Debug)]
struct Wire {
    socket: Socket,
    /// Received, and not decrypted yet.
    received: Buffer,
    /// Nothing comes behind `received`.
    ended: bool,
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.received.filled().len().min(into.len());
        if count == 0 {
            return if self.ended { Ok(0) } else { Err(io::ErrorKind::WouldBlock.into()) };
        }
        if let (Some(into), Some(from)) =
            (into.get_mut(..count), self.received.filled().get(..count))
        {
            into.copy_from_slice(from);
        }
        self.received.consume(count);
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match (&self.socket).write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// How a step went that may have to wait for the socket.
pub(super) enum Step<T> {
    Done(T),
    WantsBytes,
    WantsRoom,
}

impl TlsChannel {
    /// TLS to be, over a socket from which `received` was read already.
    pub(super) fn new(ssl: Ssl, socket: Socket, received: Buffer) -> io::Result<Self> {
        let ssl = SslStream::new(ssl, Wire { socket, received, ended: false })?;
        Ok(TlsChannel { ssl, end: End::Open })
    }

    pub(super) fn ssl(&self) -> &SslRef {
        self.ssl.ssl()
    }

    /// Takes the handshake as far as it goes.
    pub(super) fn handshake(&mut self) -> Result<Step<()>, String> {
        match self.ssl.do_handshake() {
            Ok(()) => Ok(Step::Done(())),
            Err(error) if error.code() == ErrorCode::WANT_READ => Ok(Step::WantsBytes),
            Err(error) if error.code() == ErrorCode::WANT_WRITE => Ok(Step::WantsRoom),
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

    /// Takes out what was received, decrypted, up to the room there is in `buffer`. `Done(0)` is the end.
    pub(super) fn decrypt(
        &mut self,
        buffer: &mut Buffer,
        pool: &BufferPool,
    ) -> io::Result<Step<usize>> {
        if !self.holds_bytes() {
            return Ok(Step::WantsBytes);
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
            _ if count > 0 => Ok(Step::Done(count)),
            End::Open => Ok(Step::WantsBytes),
            End::Closed => Ok(Step::Done(0)),
            End::Failed(why) => Err(io::Error::new(io::ErrorKind::InvalidData, why.clone())),
        }
    }

    /// Encrypts and sends as much as the kernel takes. What it did not take must be offered again, with more behind it
    /// if there is more: a part of it is encrypted already. The error is `WouldBlock` when it took nothing.
    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut count = 0;
        while let Some(rest) = bytes.get(count..).filter(|rest| !rest.is_empty()) {
            match self.ssl.ssl_write(rest) {
                Ok(more) => count += more,
                Err(_) if count > 0 => break,
                Err(error) if error.code() == ErrorCode::WANT_WRITE => {
                    return Err(io::ErrorKind::WouldBlock.into());
                }
                Err(error) => return Err(failure(error)),
            }
        }
        Ok(count)
    }

    /// Says that nothing follows, if the kernel takes it now.
    pub(super) fn close(&mut self) {
        // Nobody waits for the peer's answer, and one that is gone misses nothing.
        let _ = self.ssl.shutdown();
    }
}

impl Drop for TlsChannel {
    fn drop(&mut self) {
        // Without this the peer's library would speak of a truncated stream.
        self.close();
    }
}

/// A connection that is closed without TLS's own goodbye has ended as well: the messages inside have lengths.
fn end(error: &Error) -> End {
    let closed = error.code() == ErrorCode::ZERO_RETURN
        || (error.code() == ErrorCode::SYSCALL && error.ssl_error().is_none());
    if closed { End::Closed } else { End::Failed(error.to_string()) }
}

fn failure(error: Error) -> io::Error {
    error.into_io_error().unwrap_or_else(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
