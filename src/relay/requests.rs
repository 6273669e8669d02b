//! The client's messages on their way to the server.

use std::sync::Arc;

use thiserror::Error;

use super::Conversation;
use super::heal::Keep;
use crate::net::{Buffer, BufferPool};
use crate::server::progress::{Entry, Origin, Request};
use crate::session::MAX_NAME;
use crate::session::statement::Statement;
use crate::sql;
use crate::wire::frame::{self, HEADER};
use crate::wire::tag::frontend as tag;
use crate::wire::{FrameError, Header, frontend};

/// More outstanding requests than this are not read before some are answered. A server sends its replies at the
/// latest when 8 KiB of them have gathered, so this many cannot all be waiting for a Sync or Flush.
const MAX_OUTSTANDING: usize = 8_192;

/// What a client may not send.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RequestError {
    /// No message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A type byte that clients do not send after the login.
    #[error("invalid frontend message type {0}")]
    UnknownType(u8),
    /// A simple query where there are none (`disable_pqexec`).
    #[error("PQexec disallowed")]
    SimpleQuery,
    /// A message larger than `max_packet_size`.
    #[error("message of type 0x{:02x} has {} bytes, more than {limit} (max_packet_size)", .header.tag, .header.size)]
    TooLarge {
        /// How it begins.
        header: Header,
        /// The setting.
        limit: usize,
    },
    /// A statement that was never prepared, where that ends the session.
    #[error("prepared statement did not exist")]
    NoStatement,
    /// A name that a statement has, where that ends the session.
    #[error("prepared statement name is already in use")]
    NameInUse,
    /// A name without end.
    #[error("name of a prepared statement or portal is longer than {MAX_NAME} bytes")]
    NameTooLong,
}

/// The client's bytes: those ready to be sent, then those not yet looked at.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) buffer: Buffer,
    /// Bytes that are ready to be sent, behind those that are kept.
    pub(super) ready: usize,
    /// Bytes at the front that were sent and may be sent again.
    pub(super) keep: Keep,
    /// Bytes of the current message that have yet to arrive, to be sent on unseen.
    passing: usize,
    /// The same, to be dropped.
    dropping: usize,
    /// The bytes that are sent on unseen belong to a query that is too long to be seen whole.
    long: bool,
    /// It may do something to the session.
    suspect: bool,
    /// The message at the front waits for answers of the very server that is held; another one would not do.
    pub(super) postponed: bool,
    /// Simple queries are an error.
    pub(super) refuses_simple: bool,
    /// Wrong names of statements end the session, instead of being the server's to refuse.
    pub(super) ends_on_wrong_names: bool,
    /// The client has sent Terminate; nothing behind it counts.
    pub(super) leaving: bool,
    /// A query that changes the session is under way: what is behind it is looked at when it is answered.
    pub(super) barrier: bool,
    /// The batch that is being sent changes the session.
    pub(super) changing: bool,
    /// The statement bound last, so that an error of its execution finds it.
    pub(super) last_bound: Option<Arc<Statement>>,
}

/// Where the look at a message ended.
pub(super) enum Look {
    /// On to the next one.
    Next,
    /// More bytes have to come.
    More,
}

impl Default for Requests {
    fn default() -> Self {
        Requests {
            buffer: Buffer::for_requests(),
            ready: 0,
            keep: Keep::default(),
            passing: 0,
            dropping: 0,
            long: false,
            suspect: false,
            postponed: false,
            refuses_simple: false,
            ends_on_wrong_names: false,
            leaving: false,
            barrier: false,
            changing: false,
            last_bound: None,
        }
    }
}

impl Requests {
    /// True when no message is half sent.
    pub(super) fn at_boundary(&self) -> bool {
        self.passing == 0
    }

    /// True when there is nothing left to send.
    pub(super) fn is_drained(&self) -> bool {
        self.ready == 0
    }

    /// Bytes in front of those that nobody has looked at.
    fn front(&self) -> usize {
        self.keep.sent() + self.ready
    }

    /// Bytes that are ready to be sent.
    pub(super) fn outgoing(&self) -> &[u8] {
        self.buffer.filled().get(self.keep.sent()..self.front()).unwrap_or_default()
    }

    /// True when there are no bytes, and none are expected that belong to what was there.
    pub(super) fn is_blank(&self) -> bool {
        self.buffer.is_empty() && self.at_boundary() && self.dropping == 0 && !self.leaving
    }

    /// True when no byte waits here to be sent or looked at, and no message is half sent.
    pub(super) fn is_still(&self) -> bool {
        self.is_drained() && self.at_boundary() && self.dropping == 0 && self.unseen().is_empty()
    }

    /// Bytes that nobody has looked at.
    pub(super) fn unseen(&self) -> &[u8] {
        self.buffer.filled().get(self.front()..).unwrap_or_default()
    }

    /// True when more may be received.
    pub(super) fn wants_bytes(&self, outstanding: usize) -> bool {
        !self.leaving && !self.buffer.is_full() && outstanding < MAX_OUTSTANDING
    }

    /// Drops a message without sending it.
    pub(super) fn drop_message(&mut self, size: usize) {
        self.dropping = size;
        self.drop_pending();
    }

    /// Goes on dropping; true while there is more to come.
    pub(super) fn drop_pending(&mut self) -> bool {
        let count = self.dropping.min(self.unseen().len());
        if count > 0 {
            let front = self.front();
            self.buffer.replace(front..front + count, b"");
            self.dropping -= count;
        }
        self.dropping > 0
    }

    /// Gives idle memory back.
    pub(super) fn release(&mut self, pool: &BufferPool) {
        self.buffer.release(pool);
    }

    /// Gives all memory back, with what is in it.
    pub(super) fn discard(&mut self, pool: &BufferPool) {
        self.buffer.consume(self.buffer.len());
        self.buffer.release(pool);
    }

    /// Looks at what has arrived and makes it ready to be sent.
    pub(super) fn scan(&mut self, talk: &mut Conversation<'_>) -> Result<(), RequestError> {
        self.postponed = false;
        loop {
            self.pass();
            if std::mem::take(&mut self.suspect) {
                talk.keep_server();
            }
            if self.passing > 0 || self.drop_pending() || self.leaving {
                return Ok(());
            }
            self.barrier &= talk.server.progress.awaits_ready();
            if self.barrier {
                return Ok(());
            }
            let Some(header) = frame::header(self.unseen())? else { return Ok(()) };
            let limit = talk.packet_limit;
            if header.size > limit {
                return Err(RequestError::TooLarge { header, limit });
            }
            self.keep_on(header);
            if talk.must_restore() {
                if !talk.server.backend.shield() {
                    return Ok(());
                }
                self.restore(talk);
            }
            if let Look::More = self.look(header, talk)? {
                return Ok(());
            }
        }
    }

    pub(super) fn postpone(&mut self) -> Look {
        self.postponed = true;
        Look::More
    }

    fn pass(&mut self) {
        let count = self.passing.min(self.unseen().len());
        if self.long {
            let part = self.unseen().get(..count).unwrap_or_default();
            self.suspect |= !sql::is_plain_part(part);
        }
        self.ready += count;
        self.passing -= count;
        self.long &= self.passing > 0;
    }

    fn look(&mut self, header: Header, talk: &mut Conversation<'_>) -> Result<Look, RequestError> {
        if talk.server.progress.is_skipping()
            && header.tag != tag::SYNC
            && header.tag != tag::TERMINATE
        {
            // The server would ignore it as well.
            self.drop_message(header.size);
            return Ok(Look::Next);
        }
        let request = match header.tag {
            tag::TERMINATE => {
                self.leaving = true;
                return Ok(Look::More);
            }
            tag::PARSE => return self.parse(header, talk),
            tag::BIND => return self.bind(header, talk),
            tag::DESCRIBE | tag::CLOSE => return self.describe_or_close(header, talk),
            tag::SYNC => {
                self.sync(header, talk);
                return Ok(Look::Next);
            }
            tag::QUERY if self.refuses_simple => return Err(RequestError::SimpleQuery),
            tag::QUERY => return Ok(self.query(header, talk)),
            tag::EXECUTE => return Ok(self.execute(header, talk)),
            tag::FUNCTION_CALL => Request::FunctionCall,
            tag::COPY_DATA => Request::CopyData,
            tag::COPY_DONE | tag::COPY_FAIL => Request::CopyEnd,
            tag::FLUSH => {
                self.pass_on(header.size);
                return Ok(Look::Next);
            }
            other => return Err(RequestError::UnknownType(other)),
        };
        self.forward(header, talk, Entry::client(request));
        Ok(Look::Next)
    }

    /// Sends a message as it is, and enters it.
    pub(super) fn forward(&mut self, header: Header, talk: &mut Conversation<'_>, entry: Entry) {
        talk.requests_began();
        talk.server.progress.sent(entry);
        self.pass_on(header.size);
    }

    /// Sends a query that is too long to be seen whole: what there is of it is looked at as it comes.
    pub(super) fn forward_long(
        &mut self,
        header: Header,
        talk: &mut Conversation<'_>,
        entry: Entry,
    ) {
        let sql = self.unseen().get(HEADER..).unwrap_or_default();
        if !sql::is_plain(sql) {
            talk.keep_server();
        }
        self.long = true;
        self.forward(header, talk, entry);
    }

    /// The next `size` bytes are to be sent.
    pub(super) fn pass_on(&mut self, size: usize) {
        self.passing = size;
        self.pass();
    }

    /// Puts bytes in front of the message that is looked at.
    pub(super) fn insert(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.drop_kept();
            let front = self.front();
            self.buffer.replace(front..front, bytes);
            self.ready += bytes.len();
        }
    }

    /// Changes a text inside the message that is looked at, and its length; returns the message's new size.
    pub(super) fn rename(&mut self, header: Header, at: usize, old: usize, new: &[u8]) -> usize {
        let from = self.front() + at;
        self.buffer.replace(from..from + old, new);
        let size = header.size - old + new.len();
        let length = u32::try_from(size - 1).unwrap_or(u32::MAX).to_be_bytes();
        let front = self.front();
        self.buffer.replace(front + 1..front + HEADER, &length);
        size
    }

    /// Sends the message that is looked at behind `before`, with another name for the `old` bytes at `at` if there is one.
    pub(super) fn send_renamed(
        &mut self,
        header: Header,
        before: &[u8],
        renamed: Option<&[u8]>,
        at: usize,
        old: usize,
    ) {
        self.insert(before);
        let size = renamed.map_or(header.size, |name| self.rename(header, at, old, name));
        self.pass_on(size);
    }

    fn sync(&mut self, header: Header, talk: &mut Conversation<'_>) {
        self.last_bound = None;
        self.barrier = std::mem::take(&mut self.changing);
        self.forward(header, talk, Entry::client(Request::Sync));
        let portals = talk.session.portals.as_mut();
        if let Some(stray) = portals.and_then(|portals| portals.stray.take()) {
            let mut bytes = Vec::new();
            frontend::put_close_statement(&mut bytes, &stray);
            bytes.extend_from_slice(&frontend::SYNC);
            talk.server.progress.sent(Entry::new(Request::Close, Origin::Injected));
            talk.server.progress.sent(Entry::new(Request::Sync, Origin::Injected));
            self.insert(&bytes);
        }
    }

    /// Nothing that was sent, or is being sent, will be answered.
    pub(super) fn abandon(&mut self) {
        let (unseen, rest) = (self.unseen().to_vec(), self.passing);
        *self = Requests {
            refuses_simple: self.refuses_simple,
            ends_on_wrong_names: self.ends_on_wrong_names,
            ..Requests::default()
        };
        self.buffer.push(&unseen);
        self.drop_message(rest);
    }

    /// True when a message that must be seen whole is not all there; makes room for the rest of it.
    pub(super) fn is_incomplete(&mut self, size: usize) -> bool {
        let incomplete = self.unseen().len() < size;
        if incomplete {
            self.buffer.reserve(self.front() + size);
        }
        incomplete
    }
}
