//! One client's connection: small, so that there can be thousands, and with a memory of what was said last.

use std::collections::VecDeque;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use pgusher_testkit::{Message, frontend};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long an answer may take; longer than every timeout of the pooler under test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(40);

/// Messages that are remembered for the transcript.
const MEMORY: usize = 80;

/// Bytes of each that are remembered.
const SHOWN: usize = 96;

/// Why no message came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lost {
    /// The connection ended between two messages.
    Closed,
    /// The connection ended within a message.
    Within,
    /// It was reset, or failed in another way.
    Reset,
    /// Nothing came for [`PATIENCE`].
    Silence,
}

/// A connection that is logged in.
#[derive(Debug)]
pub(crate) struct Peer {
    stream: TcpStream,
    buffer: BytesMut,
    memory: VecDeque<String>,
    /// Its BackendKeyData.
    pub(crate) pid: u32,
    /// Its BackendKeyData.
    pub(crate) key: Bytes,
}

/// How a login ended that was not let in.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The connection failed.
    Lost(Lost),
    /// It was told why.
    Told(Message),
}

impl Peer {
    /// Connects; nothing is sent.
    pub(crate) async fn connect(port: u16) -> io::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        let (buffer, memory) = (BytesMut::new(), VecDeque::new());
        Ok(Peer { stream, buffer, memory, pid: 0, key: Bytes::new() })
    }

    /// Connects and logs in without a password.
    pub(crate) async fn login(port: u16, params: &[(&str, &str)]) -> Result<Self, Refused> {
        let connected = Peer::connect(port).await;
        let mut peer = connected.map_err(|_| Refused::Lost(Lost::Reset))?;
        let _ = peer.send(&frontend::startup(0, params)).await;
        loop {
            let mut message = peer.recv().await.map_err(Refused::Lost)?;
            match message.tag {
                b'E' => return Err(Refused::Told(message)),
                b'Z' => return Ok(peer),
                b'K' => {
                    peer.pid = message.body.get_u32();
                    peer.key = message.body;
                }
                _ => {}
            }
        }
    }

    /// Sends bytes; a failure shows at the next receive as well.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.remember('>', bytes);
        self.stream.write_all(bytes).await
    }

    /// The next message.
    pub(crate) async fn recv(&mut self) -> Result<Message, Lost> {
        loop {
            if let Some(message) = take(&mut self.buffer) {
                let tag = char::from(message.tag);
                self.remember(if tag == 'E' { '!' } else { '<' }, &message.encode());
                return Ok(message);
            }
            let received = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.buffer));
            match received.await {
                Err(_) => return Err(self.note(Lost::Silence)),
                Ok(Ok(0)) if self.buffer.is_empty() => return Err(self.note(Lost::Closed)),
                Ok(Ok(0)) => return Err(self.note(Lost::Within)),
                Ok(Ok(_)) => {}
                Ok(Err(_)) => return Err(self.note(Lost::Reset)),
            }
        }
    }

    /// Ends the connection without a word: with a reset, or with a plain end.
    pub(crate) fn vanish(self, reset: bool) {
        if reset {
            let _ = socket2::SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        }
    }

    /// What was said last.
    pub(crate) fn transcript(&self) -> String {
        let lines: Vec<_> = self.memory.iter().map(String::as_str).collect();
        format!("{}\nunread: \"{}\"", lines.join("\n"), self.buffer.escape_ascii())
    }

    fn note(&mut self, lost: Lost) -> Lost {
        self.remember('x', format!("{lost:?}").as_bytes());
        lost
    }

    fn remember(&mut self, direction: char, bytes: &[u8]) {
        if self.memory.len() == MEMORY {
            self.memory.pop_front();
        }
        let shown = bytes.get(..SHOWN).unwrap_or(bytes);
        let line = format!("{direction} {:>6} \"{}\"", bytes.len(), shown.escape_ascii());
        self.memory.push_back(line);
    }
}

fn take(buffer: &mut BytesMut) -> Option<Message> {
    let mut header = buffer.get(..5)?;
    let (tag, length) = (header.get_u8(), header.get_u32() as usize);
    if buffer.len() < length + 1 {
        return None;
    }
    let mut body = buffer.split_to(length + 1).freeze();
    body.advance(5);
    Some(Message { tag, body })
}
