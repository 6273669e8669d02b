//! The first packets of a connection: what does the visitor want?

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use super::gate::Gate;
use super::late::Late;
use super::login_facts::Facts;
use super::manners::Manners;
use super::replies;
use super::turn::Turn;
use crate::net::{Arrival, Buffer, Line, Peer, Suspended, TlsFacts};
use crate::tls::{Acceptor, Keyring, speaks_postgresql};
use crate::wire::ErrorFields;
use crate::wire::startup::{self, Packet, Startup, StartupError};

/// A connection of which nothing is known but its address.
#[derive(Debug)]
pub struct Incoming {
    /// The socket.
    pub line: Line,
    /// Where it comes from.
    pub peer: Peer,
    /// Where it came in; `None` on the unix socket.
    pub local: Option<SocketAddr>,
    /// Bytes that have arrived and were not looked at.
    pub buffer: Buffer,
    /// What its TLS handshake settled; `None` without encryption.
    pub tls: Option<Arc<TlsFacts>>,
    /// Bytes that go out together with the next ones.
    held_back: Vec<u8>,
}

/// What a visitor wants.
#[derive(Debug)]
pub enum Wish {
    /// A session.
    Session(Startup),
    /// Somebody's query cancelled. No answer is due.
    Cancel {
        /// Process id as told to the client.
        pid: u32,
        /// Secret key as told to the client.
        key: Vec<u8>,
    },
}

/// Encryption requests one connection may make: TLS, then GSSAPI, each refused once.
const MAX_REQUESTS: usize = 4;
/// How a TLS record of a handshake begins. No start-up packet does: it would be far too long.
const TLS_HANDSHAKE: u8 = 0x16;

impl Incoming {
    /// A connection just accepted.
    pub fn new(arrival: Arrival) -> Self {
        let local = arrival.came_in_by();
        let Arrival { socket, peer, .. } = arrival;
        let (line, buffer) = (Line::new(socket), Buffer::new());
        Incoming { line, peer, local, buffer, tls: None, held_back: Vec::new() }
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
            match self.line.recv(&mut self.buffer).await {
                Ok(0) | Err(_) => return Ok(None),
                Ok(_) => {}
            }
        }
    }

    /// The first byte, left where it is.
    async fn first_byte(&mut self) -> Option<u8> {
        while self.buffer.is_empty() {
            if self.line.recv(&mut self.buffer).await.ok()? == 0 {
                return None;
            }
        }
        self.buffer.filled().first().copied()
    }

    /// Puts TLS over the connection; what has arrived belongs to it. The handshake is made at a desk.
    async fn secure(&mut self, gate: &Gate, acceptor: &Arc<Acceptor>) -> Option<()> {
        let (line, buffer) = (self.line.take(), std::mem::take(&mut self.buffer));
        let handshake = shake_hands(line, buffer, Arc::clone(acceptor), gate.turns.line_up());
        let made = gate.desks.run(handshake).await;
        let made = made.unwrap_or_else(|| Err("the process is ending".to_owned()));
        match made.and_then(|socket| socket.resume_quiet(None).map_err(|error| error.to_string())) {
            Ok(stream) => {
                self.tls = stream.tls().map(|ssl| Arc::new(acceptor.facts(ssl)));
                self.line = stream.into();
                Some(())
            }
            Err(error) => {
                tracing::info!(peer = %self.peer, %error, "TLS handshake failed");
                None
            }
        }
    }

    /// TLS without asking first, as since PostgreSQL 17. ALPN is required: it keeps what was meant for another
    /// protocol from being taken for PostgreSQL's.
    async fn secure_directly(
        &mut self,
        gate: &Gate,
        acceptor: Option<&Arc<Acceptor>>,
    ) -> Option<()> {
        let Some(acceptor) = acceptor else {
            tracing::info!(peer = %self.peer, "direct TLS, but there is no TLS here");
            return None;
        };
        self.secure(gate, acceptor).await?;
        if self.line.tls().is_some_and(speaks_postgresql) {
            return Some(());
        }
        tracing::info!(peer = %self.peer, "direct TLS without ALPN");
        None
    }

    /// Answers a request for encryption, which there is with an acceptor only.
    async fn answer_request(
        &mut self,
        gate: &Gate,
        request: &'static str,
        acceptor: Option<&Arc<Acceptor>>,
    ) -> Option<()> {
        if !self.buffer.is_empty() {
            tracing::warn!(peer = %self.peer, "received unencrypted data after {request} request");
            self.refuse(&replies::early_plaintext(request)).await;
            return None;
        }
        let Some(acceptor) = acceptor else { return self.send(b"N").await.ok() };
        self.send(b"S").await.ok()?;
        self.secure(gate, acceptor).await
    }

    /// The TLS version for the log; `off` without encryption.
    pub(super) fn tls_version(&self) -> &str {
        self.tls.as_ref().map_or("off", |tls| &tls.version)
    }

    /// Sends bytes, behind those that were held back.
    ///
    /// # Errors
    /// The socket's.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.held_back.is_empty() {
            return self.line.send_all(bytes).await;
        }
        let mut all = std::mem::take(&mut self.held_back);
        all.extend_from_slice(bytes);
        self.line.send_all(&all).await
    }

    /// Has bytes go out with the next ones: there are some that the visitor need not be waited for with.
    pub(super) fn hold_back(&mut self, bytes: &[u8]) {
        self.held_back.extend_from_slice(bytes);
    }

    /// Sends what was held back.
    ///
    /// # Errors
    /// The socket's.
    pub(super) async fn flush(&mut self) -> io::Result<()> {
        if self.held_back.is_empty() { Ok(()) } else { self.send(b"").await }
    }

    /// Says why the visitor cannot stay, and closes the connection.
    pub async fn refuse(&mut self, reason: &ErrorFields) {
        let mut bytes = Vec::new();
        reason.put_error(&mut bytes);
        // Boxed, so that those who may stay do not carry the room for it.
        Box::pin(self.leave_with(bytes)).await;
    }

    async fn leave_with(&mut self, bytes: Vec<u8>) {
        if self.send(&bytes).await.is_ok()
            && let Ok(stream) = self.line.take().into_stream(None)
        {
            super::disconnect::linger(stream).await;
        }
    }
}

/// Makes a handshake, each of whose steps has its turn.
async fn shake_hands(
    line: Line,
    received: Buffer,
    acceptor: Arc<Acceptor>,
    mut turn: Turn,
) -> Result<Suspended, String> {
    let ssl = acceptor.begin().map_err(|error| error.to_string())?;
    let mut stream = line.begin_tls(ssl, received).map_err(|error| error.to_string())?;
    loop {
        turn.begin().await;
        let is_done = stream.shake_hands().await?;
        turn.pause();
        if is_done {
            return Ok(stream.suspend());
        }
        stream.hear_handshake().await?;
    }
}

/// A visitor has said nothing for too long. PostgreSQL closes such a connection without a word.
async fn dismiss(gate: &Gate, incoming: &mut Incoming) {
    if Manners::new(&gate.config().process).like_pgbouncer {
        turn_away(gate, incoming, replies::login_timeout(false)).await;
    }
}

/// Says why a visitor of whom nothing is known cannot stay.
async fn turn_away(gate: &Gate, incoming: &mut Incoming, fields: ErrorFields) {
    let config = gate.config();
    let manners = Manners::new(&config.process);
    let facts = Facts::new(gate.pools.context.records.ids.next(), manners);
    facts.log_refusal(incoming, &fields, &config);
    incoming.refuse(&manners.told(fields)).await;
}

/// Listens to a visitor until it says what it wants. `None`: it went away, or was sent away.
pub async fn receive(
    gate: &Gate,
    incoming: &mut Incoming,
    keyring: &Keyring,
    late: &Late,
) -> Option<Wish> {
    let acceptor = match incoming.peer {
        Peer::Tcp(_) => keyring.acceptor(),
        // Nobody is between the ends of a unix socket.
        Peer::Unix => None,
    };
    let acceptor = acceptor.as_ref();
    let Some(first) = late.or(incoming.first_byte()).await else {
        Box::pin(dismiss(gate, incoming)).await;
        return None;
    };
    // What is seldom is boxed, so that the others do not carry the room for it.
    if first? == TLS_HANDSHAKE {
        late.or(Box::pin(incoming.secure_directly(gate, acceptor))).await??;
    }
    for _ in 0..MAX_REQUESTS {
        let Some(packet) = late.or(incoming.packet()).await else {
            Box::pin(dismiss(gate, incoming)).await;
            return None;
        };
        match packet {
            Ok(Some(Packet::SslRequest | Packet::GssEncRequest)) if incoming.tls.is_some() => {
                let text = "encryption was requested on a connection that has it";
                incoming.refuse(&replies::bad_login(text)).await;
                return None;
            }
            Ok(Some(Packet::SslRequest)) => {
                let answered = Box::pin(incoming.answer_request(gate, "SSL", acceptor));
                late.or(answered).await??;
            }
            Ok(Some(Packet::GssEncRequest)) => {
                let answered = Box::pin(incoming.answer_request(gate, "GSSAPI encryption", None));
                late.or(answered).await??;
            }
            Ok(Some(Packet::Cancel { pid, key })) => return Some(Wish::Cancel { pid, key }),
            Ok(Some(Packet::Startup(startup))) => return Some(Wish::Session(startup)),
            Ok(None) => return None,
            Err(error) => {
                let fields = replies::bad_startup(&error, incoming.buffer.filled());
                Box::pin(turn_away(gate, incoming, fields)).await;
                return None;
            }
        }
    }
    incoming.refuse(&replies::bad_login("too many encryption requests")).await;
    None
}
