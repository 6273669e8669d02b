//! A stream of messages over TCP or a unix socket, with a time limit on every wait.

use crate::message::Message;
use bytes::{Bytes, BytesMut};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};

/// Why no message came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMessage {
    /// The peer closed in order (FIN), between two messages.
    Closed,
    /// The peer closed in order (FIN), within a message.
    ClosedWithin,
    /// The connection was reset (RST) or failed in another way.
    Reset,
    /// The time limit passed.
    TimedOut,
}

#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

#[derive(Debug)]
pub(crate) struct Wire {
    socket: Socket,
    buffer: BytesMut,
    pub(crate) time_limit: Duration,
}

impl Wire {
    pub(crate) fn new(socket: Socket) -> Self {
        if let Socket::Tcp(stream) = &socket {
            // Each send of a script shall leave as it is, not wait for the next one.
            let _ = stream.set_nodelay(true);
        }
        Wire { socket, buffer: BytesMut::new(), time_limit: Duration::from_secs(30) }
    }

    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let write = async {
            match &mut self.socket {
                Socket::Tcp(stream) => stream.write_all(bytes).await,
                Socket::Unix(stream) => stream.write_all(bytes).await,
            }
        };
        tokio::time::timeout(self.time_limit, write)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }

    pub(crate) async fn recv(&mut self) -> Result<Message, NoMessage> {
        self.take(Message::take).await
    }

    /// Exactly `count` bytes, for what comes before tagged messages.
    pub(crate) async fn recv_bytes(&mut self, count: usize) -> Result<Bytes, NoMessage> {
        self.take(|buffer| (buffer.len() >= count).then(|| buffer.split_to(count).freeze())).await
    }

    /// The next byte that no message was made of yet, if there is any.
    pub(crate) fn unread(&self) -> &[u8] {
        &self.buffer
    }

    async fn take<T>(
        &mut self,
        mut part: impl FnMut(&mut BytesMut) -> Option<T>,
    ) -> Result<T, NoMessage> {
        let limit = self.time_limit;
        let wait = async {
            loop {
                if let Some(taken) = part(&mut self.buffer) {
                    return Ok(taken);
                }
                match self.read_more().await {
                    Ok(0) if self.buffer.is_empty() => return Err(NoMessage::Closed),
                    Ok(0) => return Err(NoMessage::ClosedWithin),
                    Ok(_) => {}
                    Err(_) => return Err(NoMessage::Reset),
                }
            }
        };
        tokio::time::timeout(limit, wait).await.unwrap_or(Err(NoMessage::TimedOut))
    }

    async fn read_more(&mut self) -> io::Result<usize> {
        match &mut self.socket {
            Socket::Tcp(stream) => stream.read_buf(&mut self.buffer).await,
            Socket::Unix(stream) => stream.read_buf(&mut self.buffer).await,
        }
    }

    /// Says that nothing more will be sent (FIN), and goes on receiving.
    pub(crate) async fn shutdown(&mut self) {
        // The peer may be gone: then there is nobody to tell.
        let _ = match &mut self.socket {
            Socket::Tcp(stream) => stream.shutdown().await,
            Socket::Unix(stream) => stream.shutdown().await,
        };
    }

    /// Closes with a reset (RST); a unix socket knows only closing.
    pub(crate) fn reset(self) {
        if let Socket::Tcp(stream) = &self.socket {
            let _ = stream.set_zero_linger();
        }
    }
}
