//! A connected socket, polled by the one task that owns it.

use std::io::{self, Read, Write};
use std::task::{Context, Poll, ready};

use openssl::ssl::{Ssl, SslRef};
use socket2::Socket;
use tokio::io::unix::AsyncFd;

use super::channel::{Channel, Step, TlsChannel};
use super::{Buffer, BufferPool};

/// A connected TCP or unix socket, with TLS over it once it was [secured](Stream::secure).
///
/// It is registered once, edge-triggered, with the runtime it was made in. A receive that did not fill its buffer
/// has emptied the socket, so readiness is dropped right away and no second receive is spent on hearing `EAGAIN`.
#[derive(Debug)]
pub struct Stream {
    io: AsyncFd<Channel>,
    /// Readiness was consumed without reading: try once before waiting for an edge that has already passed.
    primed: bool,
}

impl Stream {
    /// Registers a connected socket with the current runtime.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking or registered.
    pub fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Ok(Stream { io: register(Channel::Plain(socket))?, primed: false })
    }

    /// Puts TLS over the connection. `received` was read from the socket already and belongs to the handshake.
    ///
    /// # Errors
    /// Why the handshake failed; the connection is closed then.
    pub async fn secure(self, ssl: Ssl, received: Buffer) -> Result<Self, String> {
        let Channel::Plain(socket) = self.io.into_inner() else {
            return Err("there is TLS already".to_owned());
        };
        let attempt = || -> io::Result<Self> {
            let tls = TlsChannel::new(ssl, socket, received)?;
            Ok(Stream { io: register(Channel::Tls(Box::new(tls)))?, primed: true })
        };
        let mut stream = attempt().map_err(|error| error.to_string())?;
        std::future::poll_fn(|cx| stream.poll_handshake(cx)).await?;
        Ok(stream)
    }

    /// What TLS has settled; `None` without it.
    pub fn tls(&self) -> Option<&SslRef> {
        match self.io.get_ref() {
            Channel::Plain(_) => None,
            Channel::Tls(tls) => Some(tls.ssl()),
        }
    }

    /// Moves the registration to the current runtime.
    ///
    /// # Errors
    /// When the registration fails; the socket is closed then.
    pub fn rehome(self) -> io::Result<Self> {
        self.suspend().resume()
    }

    /// True when nothing but the socket itself would tell that there is something to read.
    pub fn can_suspend(&self) -> bool {
        match self.io.get_ref() {
            Channel::Plain(_) => true,
            Channel::Tls(tls) => !tls.holds_bytes(),
        }
    }

    /// Takes the connection off its runtime, until [`Suspended::resume`].
    pub fn suspend(self) -> Suspended {
        Suspended { channel: self.io.into_inner() }
    }

    /// The socket, to ask it for addresses.
    pub fn socket(&self) -> &Socket {
        self.io.get_ref().socket()
    }

    /// Receives what is there into the end of `buffer`, whose memory is borrowed only once there is something.
    /// `Ready(Ok(0))` is the end of the stream.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
        pool: &BufferPool,
    ) -> Poll<io::Result<usize>> {
        match self.io.get_ref() {
            Channel::Plain(_) => self.poll_socket(cx, buffer, pool),
            Channel::Tls(_) => self.poll_decrypted(cx, buffer, pool),
        }
    }

    fn poll_decrypted(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
        pool: &BufferPool,
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Channel::Tls(tls) = self.io.get_mut()
                && let Step::Done(count) = tls.decrypt(buffer, pool)?
            {
                return Poll::Ready(Ok(count));
            }
            ready!(self.poll_encrypted(cx, pool))?;
        }
    }

    /// Receives for TLS what it will decrypt.
    fn poll_encrypted(&mut self, cx: &mut Context<'_>, pool: &BufferPool) -> Poll<io::Result<()>> {
        let Channel::Tls(tls) = self.io.get_mut() else { return Poll::Ready(Ok(())) };
        let mut buffer = tls.lend_buffer();
        let received = self.poll_socket(cx, &mut buffer, pool);
        if received.is_pending() {
            buffer.release(pool);
        }
        let Channel::Tls(tls) = self.io.get_mut() else { return Poll::Ready(Ok(())) };
        tls.take_back(buffer, matches!(received, Poll::Ready(Ok(0))));
        received.map_ok(drop)
    }

    fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), String>> {
        let lost = |error: io::Error| error.to_string();
        loop {
            let Channel::Tls(tls) = self.io.get_mut() else { return Poll::Ready(Ok(())) };
            match tls.handshake() {
                Ok(Step::Done(())) => return Poll::Ready(Ok(())),
                Ok(Step::WantsBytes) => {
                    ready!(self.poll_encrypted(cx, &BufferPool::default())).map_err(lost)?;
                }
                Ok(Step::WantsRoom) => {
                    ready!(self.io.poll_write_ready(cx)).map_err(lost)?.clear_ready();
                }
                Err(why) => return Poll::Ready(Err(why)),
            }
        }
    }

    fn poll_socket(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Buffer,
        pool: &BufferPool,
    ) -> Poll<io::Result<usize>> {
        if std::mem::take(&mut self.primed) {
            buffer.prepare(pool);
            let space = buffer.space();
            let asked = space.len();
            match self.io.get_ref().socket().read(space) {
                Ok(count) => {
                    // A full read may have left something whose edge has already passed.
                    self.primed = count == asked;
                    buffer.fill(count);
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        loop {
            let mut guard = ready!(self.io.poll_read_ready(cx))?;
            buffer.prepare(pool);
            let space = buffer.space();
            let asked = space.len();
            match guard.get_inner().socket().read(space) {
                Ok(count) => {
                    if count < asked {
                        guard.clear_ready();
                    }
                    buffer.fill(count);
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => guard.clear_ready(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }

    /// Sends from `bytes`; at once if the kernel takes them, else when it has room.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.try_send(bytes) {
                // Readiness may be older than the refusal: only after clearing it does a second refusal count.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.io.poll_write_ready(cx))?.clear_ready();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return Poll::Ready(other),
            }
        }
    }

    fn try_send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.io.get_mut() {
            Channel::Plain(socket) => socket.write(bytes),
            Channel::Tls(tls) => tls.send(bytes),
        }
    }

    /// Waits until the peer has closed its side, without reading anything.
    ///
    /// # Errors
    /// The runtime's, when it is shutting down.
    pub fn poll_peer_closed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.io.poll_read_ready(cx))?;
            if guard.ready().is_read_closed() {
                return Poll::Ready(Ok(()));
            }
            guard.clear_ready();
            self.primed = true;
        }
    }

    /// True when the runtime has seen bytes or an end on the socket that nobody has read. Costs no system call.
    pub fn has_news(&self) -> bool {
        if !self.can_suspend() {
            return true;
        }
        let mut cx = Context::from_waker(std::task::Waker::noop());
        self.io.poll_read_ready(&mut cx).is_ready()
    }

    /// Receives into `buffer`, with memory of its own: for conversations off the hot path. 0 is the end of the stream.
    ///
    /// # Errors
    /// The socket's.
    pub async fn recv(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_recv(cx, buffer, &BufferPool::default())).await
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// The socket's; `WriteZero` when it takes no more.
    pub async fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let sent = std::future::poll_fn(|cx| self.poll_send(cx, rest)).await?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Says goodbye: sends `bytes` if the kernel takes them now, and closes the sending side.
    pub fn farewell(&mut self, bytes: &[u8]) {
        // A peer that does not read loses the message, and nobody waits for it.
        let _ = self.try_send(bytes);
        self.close_sending();
    }

    /// Closes the sending side.
    pub fn close_sending(&mut self) {
        if let Channel::Tls(tls) = self.io.get_mut() {
            tls.close();
        }
        let _ = self.socket().shutdown(std::net::Shutdown::Write);
    }
}

/// A connection that no runtime watches.
#[derive(Debug)]
pub struct Suspended {
    channel: Channel,
}

impl Suspended {
    /// Registers the connection with the current runtime. What arrived meanwhile is seen by the first receive.
    ///
    /// # Errors
    /// When the registration fails; the connection is closed then.
    pub fn resume(self) -> io::Result<Stream> {
        Ok(Stream { io: register(self.channel)?, primed: false })
    }
}

#[allow(unsafe_code, reason = "tokio cannot check that a descriptor stays open; see below")]
fn register(channel: Channel) -> io::Result<AsyncFd<Channel>> {
    // SAFETY: `AsyncFd` owns the channel until `into_inner`, and neither a bare socket nor the one under TLS is taken
    // out or replaced before that, so the descriptor is valid and open for as long as it is registered.
    Ok(unsafe { AsyncFd::register(channel) }?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Stream, std::os::unix::net::UnixStream) {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("socketpair");
        (Stream::new(Socket::from(std::os::fd::OwnedFd::from(ours))).expect("stream"), theirs)
    }

    #[tokio::test]
    async fn bytes_go_both_ways_and_the_end_is_seen() {
        let (mut ours, mut theirs) = pair();
        let mut buffer = Buffer::new();
        theirs.write_all(b"one").expect("write");
        assert_eq!(ours.recv(&mut buffer).await.expect("recv"), 3);
        ours.send_all(b"two").await.expect("send");
        let mut got = [0; 3];
        theirs.read_exact(&mut got).expect("read");
        assert_eq!(&got, b"two");
        drop(theirs);
        assert_eq!(ours.recv(&mut buffer).await.expect("end"), 0);
    }

    #[tokio::test]
    async fn waiting_for_the_end_loses_no_bytes() {
        let (mut ours, mut theirs) = pair();
        let (mut buffer, pool) = (Buffer::new(), BufferPool::default());
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert!(ours.poll_recv(&mut cx, &mut buffer, &pool).is_pending());
        theirs.write_all(b"early").expect("write");
        tokio::task::yield_now().await;
        assert!(ours.poll_peer_closed(&mut cx).is_pending());
        assert_eq!(ours.recv(&mut buffer).await.expect("recv"), 5);
        drop(theirs);
        std::future::poll_fn(|cx| ours.poll_peer_closed(cx)).await.expect("closed");
    }

    #[tokio::test]
    async fn more_than_the_kernel_takes_arrives_in_order() {
        let (mut ours, mut theirs) = pair();
        let sent: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
        let copy = sent.clone();
        let reader = std::thread::spawn(move || {
            let mut got = Vec::new();
            theirs.read_to_end(&mut got).expect("read");
            got
        });
        ours.send_all(&sent).await.expect("send");
        drop(ours);
        assert!(reader.join().expect("reader") == copy);
    }
}
