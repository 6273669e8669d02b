//! A connected socket, polled by the one task that owns it.

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::{Domain, Socket};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::channel::Channel;
use super::option::set_option;
use super::outgoing::Outgoing;
use super::room::Room;
use super::sends::Rest;
use super::{Buffer, BufferPool, Sends, Suspended};

/// A connected TCP or unix socket, with TLS over it once it was [secured](Stream::secure).
///
/// It is registered once, for what it receives, edge-triggered, with the runtime it was made in. A receive that did not
/// fill its buffer has emptied the socket, so readiness is dropped right away and no second receive is spent on hearing
/// `EAGAIN`. On a worker its small sends go out together with those of the other sockets ([`Sends`]).
#[derive(Debug)]
pub struct Stream {
    // In front of the socket: what is planned goes out before it is closed.
    pub(super) out: Outgoing,
    pub(super) io: AsyncFd<Channel>,
    room: Room,
    /// Readiness was consumed without reading: try once before waiting for an edge that has already passed.
    pub(super) primed: bool,
}

impl Stream {
    /// Registers a connected socket with the current runtime.
    ///
    /// # Errors
    /// When the socket cannot be made non-blocking or registered.
    pub fn new(socket: Socket) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let out = Outgoing::alone(socket.as_raw_fd());
        Stream::watch(out, Channel::Plain(socket), false)
    }

    /// Moves the registration to the current runtime, and its sends to those of the current thread, if it has any.
    ///
    /// # Errors
    /// When the registration fails; the socket is closed then.
    pub fn rehome(mut self, sends: Option<&Arc<Sends>>) -> io::Result<Self> {
        self.out.settle();
        let rest = self.out.rest().take();
        let Stream { out, io, .. } = self;
        drop(out);
        let channel = io.into_inner();
        let out = Outgoing::with(sends, channel.as_raw_fd(), rest);
        Stream::watch(out, channel, false)
    }

    /// Registers a channel with the current runtime.
    pub(super) fn watch(out: Outgoing, channel: Channel, primed: bool) -> io::Result<Self> {
        Ok(Stream { out, io: register(channel)?, room: Room::default(), primed })
    }

    /// The same connection, with its sends among those of the current thread. Nothing may be waiting to be sent.
    pub(super) fn sending_with(mut self, sends: Option<&Arc<Sends>>) -> Self {
        self.out = Outgoing::with(sends, self.io.get_ref().as_raw_fd(), None);
        self
    }

    /// True when something was received that nobody has seen.
    pub(super) fn holds_bytes(&self) -> bool {
        self.io.get_ref().holds_bytes()
    }

    /// True when the end of the turn has come for all that was planned to be sent.
    pub fn has_submitted(&self) -> bool {
        self.out.has_submitted()
    }

    /// Has the task woken at the end of the turn.
    pub fn wake_when_submitted(&self, cx: &Context<'_>) {
        self.out.wake_when_submitted(cx);
    }

    /// True when nothing but the socket itself would tell that there is something to be done: no bytes are held back
    /// in either direction.
    pub fn can_suspend(&mut self) -> bool {
        !self.io.get_ref().holds_bytes() && self.has_submitted() && self.is_sent()
    }

    /// Takes the socket off its runtime, until [`Suspended::resume`]. Only when it [can be](Stream::can_suspend).
    pub fn suspend(self) -> Suspended {
        let Stream { out, io, .. } = self;
        drop(out);
        Suspended { channel: io.into_inner() }
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
            Channel::Tls(_) => self.poll_opened(cx, buffer, pool),
        }
    }

    /// Receives what is on the socket itself.
    pub(super) fn poll_socket(
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

    /// Sends from `bytes`; at once if the kernel takes them, else when it has room. Bytes that are to go out at the end
    /// of the turn count as sent: what the kernel then does not take is sent before any others, and the task is woken
    /// to see to it by [`poll_sent`](Stream::poll_sent).
    ///
    /// # Errors
    /// The socket's, of earlier bytes too.
    pub fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_sent(cx))?;
            if let Channel::Tls(_) = self.io.get_ref() {
                return Poll::Ready(self.send_sealed(cx, bytes));
            }
            if self.out.plan(cx, bytes) {
                return Poll::Ready(Ok(bytes.len()));
            }
            if self.is_sent() {
                return self.poll_send_now(cx, bytes);
            }
        }
    }

    /// Sends what was left of bytes that counted as sent; ready when there is nothing left.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_sent(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(mut rest) = self.out.rest().take() else { return Poll::Ready(Ok(())) };
        let result = self.poll_rest(cx, &mut rest);
        if result.is_pending() {
            *self.out.rest() = Some(rest);
        }
        result
    }

    fn poll_rest(&mut self, cx: &mut Context<'_>, rest: &mut Rest) -> Poll<io::Result<()>> {
        if let Some(error) = rest.error.take() {
            return Poll::Ready(Err(error));
        }
        while !rest.bytes.is_empty() {
            let count = ready!(self.poll_send_now(cx, &rest.bytes))?;
            rest.bytes.drain(..count);
        }
        Poll::Ready(Ok(()))
    }

    /// True when the kernel has refused none of the bytes that counted as sent.
    pub fn is_sent(&mut self) -> bool {
        self.out.rest().is_none()
    }

    fn poll_send_now(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.io.get_ref().socket().write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    ready!(self.room.poll_free(cx, self.io.get_ref().socket()))?;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return Poll::Ready(other),
            }
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

    /// Asks the kernel to report bytes only when there are `least` of them; the end of the stream is reported in any
    /// case. 1 is what a socket begins with. False: this kind of socket cannot (only TCP can).
    pub fn fill_first(&mut self, least: i32) -> bool {
        let socket = self.socket();
        let is_tcp = matches!(socket.domain(), Ok(Domain::IPV4 | Domain::IPV6));
        let done = is_tcp && set_option(socket, libc::SOL_SOCKET, libc::SO_RCVLOWAT, least).is_ok();
        // Fewer may be there, of which no edge will tell.
        self.look();
        done
    }

    /// Has the next receive look at the socket whatever was reported.
    pub fn look(&mut self) {
        self.primed = true;
    }

    /// True when the runtime has seen bytes or an end on the socket that nobody has read. Costs no system call.
    pub fn has_news(&self) -> bool {
        if self.io.get_ref().holds_bytes() {
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
        std::future::poll_fn(|cx| {
            if !self.primed && !self.io.get_ref().holds_bytes() {
                // Whoever waits needs no memory.
                drop(ready!(self.io.poll_read_ready(cx))?);
            }
            buffer.prepare_alone();
            self.poll_recv(cx, buffer, &BufferPool::default())
        })
        .await
    }

    /// Sends all of `bytes`, with nobody else's.
    ///
    /// # Errors
    /// The socket's; `WriteZero` when it takes no more.
    pub async fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.settle();
        std::future::poll_fn(|cx| self.poll_sent(cx)).await?;
        if let Channel::Tls(_) = self.io.get_ref() {
            return self.send_all_sealed(bytes).await;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let sent = std::future::poll_fn(|cx| self.poll_send_now(cx, rest)).await?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// Says goodbye: sends `bytes` if the kernel takes them now, and closes the sending side.
    pub fn farewell(&mut self, bytes: &[u8]) {
        self.out.settle();
        // A peer that does not read loses the message, and nobody waits for it.
        if self.is_sent() {
            let _ = match self.io.get_mut() {
                Channel::Plain(socket) => socket.write(bytes).map(drop),
                Channel::Tls(tls) => tls.send_last(bytes),
            };
        }
        let _ = self.socket().shutdown(std::net::Shutdown::Write);
    }

    /// Closes the sending side behind everything that was sent.
    pub fn end_sending(&mut self) {
        self.farewell(b"");
    }
}

/// What owns its descriptor and neither closes nor replaces it before it is dropped.
pub(super) trait Owner: AsRawFd {}

// Neither a bare socket nor the one under TLS is taken out or replaced.
impl Owner for Channel {}
impl Owner for Socket {}
impl Owner for OwnedFd {}

/// Has the current runtime watch what comes in.
pub(super) fn register<T: Owner>(owner: T) -> io::Result<AsyncFd<T>> {
    register_for(Interest::READABLE, owner)
}

#[allow(unsafe_code, reason = "tokio cannot check that a descriptor stays open; see below")]
pub(super) fn register_for<T: Owner>(interest: Interest, owner: T) -> io::Result<AsyncFd<T>> {
    // SAFETY: `AsyncFd` keeps the owner until `into_inner`, and an `Owner`'s descriptor is valid and open, and the
    // same, for as long as the owner is there.
    Ok(unsafe { AsyncFd::register_with_interest(owner, interest) }?)
}
