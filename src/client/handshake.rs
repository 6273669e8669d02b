//! The first packets of a connection: what does the visitor want?

use std::io;
use std::sync::Arc;

use super::replies;
use crate::net::{Buffer, Peer, Stream, TlsFacts};
use crate::wire::ErrorFields;
use crate::wire::startup::{self, Packet, Startup, StartupError};

/// A connection of which nothing is known but its address.
#[derive(Debug)]
pub struct Incoming {
    /// The socket.
    pub stream: Stream,
    /// Where it comes from.
    pub peer: Peer,
    /// Bytes that have arrived and were not looked at.
    pub buffer: Buffer,
    /// What its TLS handshake settled; `None` without encryption.
    pub tls: Option<Arc<TlsFacts>>,
}

/// What a visitor wants.
#[derive(Debug)]
pub enum Visitor {
    /// A session.
    Client(Incoming, Startup),
    /// Somebody's query cancelled. No answer is due.
    Cancel {
        /// Where the request comes from.
        peer: Peer,
        /// Process id as told to the client.
        pid: u32,
        /// Secret key as told to the client.
        key: Vec<u8>,
        /// Kept open until the request is over, as PostgreSQL does.
        stream: Stream,
    },
}

/// Encryption requests one connection may make: TLS, then GSSAPI, each refused once.
const MAX_REQUESTS: usize = 4;

impl Incoming {
    /// A connection just accepted.
    pub fn new(stream: Stream, peer: Peer) -> Self {
        Incoming { stream, peer, buffer: Buffer::new(), tls: None }
    }

    /// The next packet of the start-up phase.
    async fn packet(&mut self) -> Result<Option<Packet>, StartupError> {
        loop {
            if let Some(size) = startup::packet_size(self.buffer.filled())?
                && let Some(packet) = self.buffer.filled().get(..size)
            {
                let packet = startup::read(packet)?;
                self.buffer.consume(size);
                return Ok(Some(packet));
            }
            match self.stream.recv(&mut self.buffer).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => {}
            }
        }
    }

    /// The TLS version for the log; `off` without encryption.
    pub(super) fn tls_version(&self) -> &str {
        self.tls.as_ref().map_or("off", |tls| &tls.version)
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// The socket's.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.send_all(bytes).await
    }

    /// Says why the visitor cannot stay.
    pub async fn refuse(mut self, reason: &ErrorFields) {
        let mut bytes = Vec::new();
        reason.put_error(&mut bytes);
        if self.stream.send_all(&bytes).await.is_ok() {
            super::disconnect::linger(self.stream).await;
        }
    }
}

/// Listens to a visitor until it says what it wants. `None`: it went away, or was sent away.
pub async fn receive(mut incoming: Incoming) -> Option<Visitor> {
    for _ in 0..MAX_REQUESTS {
        match incoming.packet().await {
            Ok(Some(Packet::SslRequest | Packet::GssEncRequest)) => {
                incoming.send(b"N").await.ok()?
            }
            Ok(Some(Packet::Cancel { pid, key })) => {
                return Some(Visitor::Cancel {
                    peer: incoming.peer,
                    pid,
                    key,
                    stream: incoming.stream,
                });
            }
            Ok(Some(Packet::Startup(startup))) => return Some(Visitor::Client(incoming, startup)),
            Ok(None) => return None,
            Err(error) => {
                tracing::info!(peer = %incoming.peer, %error, "bad start-up packet");
                incoming.refuse(&replies::bad_startup(&error)).await;
                return None;
            }
        }
    }
    incoming.refuse(&replies::bad_login("too many encryption requests")).await;
    None
}
