//! A connection that has just come in.

use std::io::{self, Read, Write};
use std::sync::Arc;

use openssl::ssl::{Ssl, SslRef};
use socket2::Socket;

use super::{Buffer, Sends, Stream, Suspended};

/// A connection that the runtime hears of only once there is something to wait for.
///
/// What a client says first has mostly arrived before it is accepted. Whoever has to show nothing is admitted without
/// its socket ever being registered here, which is not where it will be served.
#[derive(Debug)]
pub struct Line {
    state: State,
}

#[derive(Debug)]
enum State {
    /// Nobody has read from it.
    Fresh(Suspended),
    /// What was there has been read; what comes next has to be waited for.
    Heard(Suspended),
    Watched(Stream),
    /// It is somebody else's, or the runtime would not have it.
    Lost,
}

impl Line {
    /// Over a non-blocking socket.
    pub fn new(socket: Socket) -> Self {
        Line { state: State::Fresh(Suspended::bare(socket)) }
    }

    /// The socket, to ask it who is at the other end.
    ///
    /// # Errors
    /// It is closed already.
    pub fn socket(&self) -> io::Result<&Socket> {
        match &self.state {
            State::Fresh(bare) | State::Heard(bare) => Ok(bare.socket()),
            State::Watched(stream) => Ok(stream.socket()),
            State::Lost => Err(closed()),
        }
    }

    /// What TLS has settled; `None` without it.
    pub fn tls(&self) -> Option<&SslRef> {
        match &self.state {
            State::Watched(stream) => stream.tls(),
            // TLS has to be waited for.
            State::Fresh(_) | State::Heard(_) | State::Lost => None,
        }
    }

    /// Receives into `buffer`. 0 is the end of the stream.
    ///
    /// # Errors
    /// The socket's.
    pub async fn recv(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
        if let State::Fresh(bare) = &self.state {
            buffer.prepare_alone();
            match bare.socket().read(buffer.space()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
                Ok(count) => {
                    buffer.fill(count);
                    self.change(State::Heard);
                    return Ok(count);
                }
            }
        }
        self.watched()?.recv(buffer).await
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// The socket's; `WriteZero` when it takes no more.
    pub async fn send_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        if let State::Fresh(bare) | State::Heard(bare) = &self.state {
            match bare.socket().write(bytes) {
                Ok(count) if count == bytes.len() => return Ok(()),
                Ok(count) => rest = bytes.get(count..).unwrap_or_default(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        self.watched()?.send_all(rest).await
    }

    /// The connection with TLS to be over it; `received` was read already and belongs to the handshake.
    ///
    /// # Errors
    /// The runtime's or the library's; there is TLS already.
    pub fn begin_tls(self, ssl: Ssl, received: Buffer) -> io::Result<Stream> {
        self.suspend()?.begin_tls(ssl, received)
    }

    /// The connection, watched by the current runtime, with its sends among those of the thread, if that has any. It
    /// must have been watched by this runtime if by any.
    ///
    /// # Errors
    /// The runtime's.
    pub fn into_stream(self, sends: Option<&Arc<Sends>>) -> io::Result<Stream> {
        match self.state {
            State::Fresh(bare) | State::Heard(bare) => bare.resume_quiet(sends),
            State::Watched(stream) => Ok(stream.sending_with(sends)),
            State::Lost => Err(closed()),
        }
    }

    /// True when something was received that nobody has seen.
    pub fn holds_bytes(&self) -> bool {
        match &self.state {
            State::Watched(stream) => stream.holds_bytes(),
            State::Fresh(_) | State::Heard(_) | State::Lost => false,
        }
    }

    /// Closes the connection behind everything that was sent.
    pub fn close(self) {
        if let State::Watched(mut stream) = self.state {
            stream.end_sending();
        }
    }

    /// The connection, watched by no runtime.
    ///
    /// # Errors
    /// It is closed already.
    pub fn suspend(self) -> io::Result<Suspended> {
        match self.state {
            State::Fresh(bare) | State::Heard(bare) => Ok(bare),
            State::Watched(stream) => Ok(stream.suspend()),
            State::Lost => Err(closed()),
        }
    }

    /// The connection; what is left behind is closed.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Line { state: std::mem::replace(&mut self.state, State::Lost) }
    }

    /// Has the runtime watch the socket from now on.
    fn watched(&mut self) -> io::Result<&mut Stream> {
        if let State::Fresh(_) | State::Heard(_) = self.state
            && let State::Fresh(bare) | State::Heard(bare) =
                std::mem::replace(&mut self.state, State::Lost)
        {
            self.state = State::Watched(bare.resume_quiet(None)?);
        }
        match &mut self.state {
            State::Watched(stream) => Ok(stream),
            _ => Err(closed()),
        }
    }

    fn change(&mut self, into: impl FnOnce(Suspended) -> State) {
        self.state = match std::mem::replace(&mut self.state, State::Lost) {
            State::Fresh(bare) | State::Heard(bare) => into(bare),
            other => other,
        };
    }
}

impl From<Stream> for Line {
    fn from(stream: Stream) -> Self {
        Line { state: State::Watched(stream) }
    }
}

fn closed() -> io::Error {
    io::ErrorKind::NotConnected.into()
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn pair() -> (Line, UnixStream) {
        let (ours, theirs) = UnixStream::pair().expect("socketpair");
        ours.set_nonblocking(true).expect("non-blocking");
        (Line::new(Socket::from(OwnedFd::from(ours))), theirs)
    }

    #[test]
    fn what_is_there_needs_no_runtime() {
        let (mut line, mut theirs) = pair();
        theirs.write_all(b"hello").expect("write");
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        let mut buffer = Buffer::new();
        {
            let mut recv = std::pin::pin!(line.recv(&mut buffer));
            assert!(recv.as_mut().poll(&mut cx).is_ready());
        }
        assert_eq!(buffer.filled(), b"hello");
        let mut send = std::pin::pin!(line.send_all(b"welcome"));
        assert!(send.as_mut().poll(&mut cx).is_ready());
        let mut heard = [0; 7];
        theirs.read_exact(&mut heard).expect("read");
        assert_eq!(&heard, b"welcome");
    }

    #[tokio::test]
    async fn what_is_not_there_is_waited_for() {
        let (mut line, mut theirs) = pair();
        let mut buffer = Buffer::new();
        let told = tokio::task::spawn_blocking(move || {
            theirs.write_all(b"late").expect("write");
            theirs
        });
        while buffer.filled().len() < 4 {
            assert!(line.recv(&mut buffer).await.expect("recv") > 0);
        }
        // More than the kernel holds at once.
        let mut theirs = told.await.expect("no panic");
        let reading = tokio::task::spawn_blocking(move || {
            let mut all = vec![0; 4 << 20];
            theirs.read_exact(&mut all).map(|()| theirs)
        });
        line.send_all(&vec![7; 4 << 20]).await.expect("send");
        drop(reading.await.expect("no panic").expect("all of it"));
        assert_eq!(line.recv(&mut buffer).await.expect("recv"), 0);
    }
}
