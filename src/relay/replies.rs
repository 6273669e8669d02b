//! The server's messages on their way to the client.

use std::time::Instant;

use thiserror::Error;

use super::answers::{self, is_answer, unhex};
use super::{Conversation, Release, locals};
use crate::net::{Buffer, BufferPool};
use crate::server::progress::{Purpose, Request, Verdict};
use crate::wire::frame;
use crate::wire::tag::backend as tag;
use crate::wire::{ErrorFields, FrameError, Header, backend, notice};

/// A message is looked at up to this size if its type asks for it. Only an ErrorResponse may honestly be larger, and
/// what matters of it stands at its front.
const MAX_VIEW: usize = 8 * 1024;

/// What ends a conversation from the server's side.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ReplyError {
    /// No message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A message larger than `max_packet_size`.
    #[error("message of type 0x{:02x} has {} bytes, more than {limit} (max_packet_size)", .header.tag, .header.size)]
    TooLarge {
        /// How it begins.
        header: Header,
        /// The setting.
        limit: usize,
    },
    /// A reply to nothing that was asked.
    #[error("server sent message type 0x{0:02x} where none was expected")]
    OutOfSync(u8),
    /// The server refuses parameters that it accepted before.
    #[error("could not restore the session's parameters: {0}")]
    ReplayRefused(ErrorFields),
    /// The client did not read its notifications.
    #[error("too many notifications are waiting to be read (listen_buffer)")]
    TooSlow,
    /// The client has set more than it may.
    #[error("session state of this client would take more than {0} bytes (max_session_state)")]
    StateTooLarge(usize),
}

/// The server's bytes: those ready for the client, then those not yet looked at.
#[derive(Debug, Default)]
pub(super) struct Replies {
    pub(super) buffer: Buffer,
    /// Bytes at the front that are ready for the client.
    pub(super) ready: usize,
    /// Bytes of the current message that have yet to arrive.
    passing: usize,
    /// Whether they are dropped as they come.
    swallowing: bool,
    /// The server said FATAL: what follows is the end.
    pub(super) farewell: bool,
    /// The client has been told nothing of its batch, which is kept.
    pub(super) may_heal: bool,
}

impl Replies {
    /// True when no message is half sent to the client. One that is half swallowed is none of the client's.
    pub(super) fn at_boundary(&self) -> bool {
        self.passing == 0 || self.swallowing
    }

    /// True when every byte the server sent has been looked at.
    pub(super) fn is_clean(&self) -> bool {
        self.passing == 0 && self.unseen().is_empty()
    }

    /// True when there are no bytes, and none are expected that belong to what was there.
    pub(super) fn is_blank(&self) -> bool {
        self.buffer.is_empty() && self.passing == 0
    }

    /// Drops `count` bytes that were sent.
    pub(super) fn sent(&mut self, count: usize) {
        self.buffer.consume(count);
        self.ready = self.ready.saturating_sub(count);
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

    /// Says something to the client in pgusher's own name. Only at a boundary.
    pub(super) fn say(&mut self, bytes: &[u8]) {
        self.buffer.replace(self.ready..self.ready, bytes);
        self.ready += bytes.len();
    }

    /// Forgets bytes of a server that will not complete its message.
    pub(super) fn forget_unseen(&mut self) {
        let end = self.buffer.len();
        self.buffer.replace(self.ready..end, b"");
    }

    fn unseen(&self) -> &[u8] {
        self.buffer.filled().get(self.ready..).unwrap_or_default()
    }

    /// Looks at what has arrived and makes it ready for the client.
    pub(super) fn scan(
        &mut self,
        talk: &mut Conversation<'_>,
        now: Instant,
    ) -> Result<(), ReplyError> {
        loop {
            self.pass();
            if self.passing > 0 {
                return Ok(());
            }
            self.answer_locals(talk);
            let Some(header) = frame::header(self.unseen())? else { return Ok(()) };
            let limit = talk.packet_limit;
            if header.size > limit {
                return Err(ReplyError::TooLarge { header, limit });
            }
            let view = header.size.min(MAX_VIEW);
            if must_see(header.tag, talk) && self.unseen().len() < view {
                self.buffer.reserve(self.ready + view);
                return Ok(());
            }
            if header.tag == tag::READY_FOR_QUERY && talk.awaits_own_post(self.unseen()) {
                return Ok(());
            }
            let verdict = self.look(header, talk, now)?;
            self.swallowing = verdict == Verdict::Swallow;
            self.may_heal &= self.swallowing;
            self.passing = header.size;
            if matches!(header.tag, tag::DATA_ROW | tag::COPY_DATA) && !self.swallowing {
                self.pass_alike(header.tag, limit);
            }
        }
    }

    /// Passes rows that stand whole in the buffer. A row changes nothing in the conversation, so what was judged of one
    /// holds for those of its type that follow it.
    fn pass_alike(&mut self, tag: u8, limit: usize) {
        self.pass();
        while self.passing == 0 {
            match frame::header(self.unseen()) {
                Ok(Some(next))
                    if next.tag == tag && next.size <= self.unseen().len().min(limit) =>
                {
                    self.ready += next.size;
                }
                _ => return,
            }
        }
    }

    fn pass(&mut self) {
        let count = self.passing.min(self.unseen().len());
        self.passing -= count;
        if self.swallowing {
            self.buffer.replace(self.ready..self.ready + count, b"");
        } else {
            self.ready += count;
        }
    }

    /// Answers, in the server's place, requests that were never sent and whose turn it is.
    pub(super) fn answer_locals(&mut self, talk: &mut Conversation<'_>) -> bool {
        let mut answered = false;
        if !self.at_boundary() {
            return answered;
        }
        while let Some(entry) = talk.server.progress.next_local() {
            match entry.request {
                Request::Parse => self.say(&backend::PARSE_COMPLETE),
                Request::Query => {
                    let bytes = talk.answer_query(&entry);
                    self.say(&bytes);
                }
                _ => self.say(&backend::CLOSE_COMPLETE),
            }
            answered = true;
        }
        answered
    }

    fn look(
        &mut self,
        header: Header,
        talk: &mut Conversation<'_>,
        now: Instant,
    ) -> Result<Verdict, ReplyError> {
        let unseen = self.buffer.filled().get(self.ready..).unwrap_or_default();
        let message = unseen.get(..header.size).unwrap_or(unseen);
        let (mut reports, mut aside) = (Vec::new(), Vec::new());
        let verdict = match header.tag {
            tag::READY_FOR_QUERY => {
                let verdict = answers::ready(message, talk, now)?;
                if verdict == Verdict::Forward {
                    aside = answers::notifications(talk)?;
                }
                verdict
            }
            tag::ERROR_RESPONSE if self.may_heal => {
                let state = notice::sqlstate(message).unwrap_or_default().to_vec();
                if let Some(verdict) = self.heal(&state, talk) {
                    return Ok(verdict);
                }
                self.may_heal = false;
                return self.look(header, talk, now);
            }
            tag::ERROR_RESPONSE => {
                let fatal = ErrorFields::read(message).is_fatal();
                self.farewell |= fatal;
                let refusal = talk.server.progress.take_refusal().filter(|_| !fatal);
                let told = talk.in_clients_words(message);
                let verdict = answers::error(message, fatal, talk)?;
                let Some(fields) = refusal else {
                    let Some(told) = told.filter(|_| verdict == Verdict::Forward) else {
                        return Ok(verdict);
                    };
                    self.say(&told);
                    return Ok(Verdict::Swallow);
                };
                talk.errors.from_pgusher(&fields.code);
                fields.put_error(&mut aside);
                self.say(&aside);
                return Ok(Verdict::Swallow);
            }
            // The exchange hands notifications on, wherever they come from.
            tag::NOTIFICATION_RESPONSE if talk.release != Release::Never => {
                return Ok(Verdict::Swallow);
            }
            tag::PARAMETER_STATUS => return answers::parameter_status(message, talk),
            tag::COMMAND_COMPLETE => {
                if let Some(warning) = talk.warning() {
                    warning.put_notice(&mut aside);
                }
                reports = answers::command_complete(message, talk)?;
                talk.server.progress.reply(header.tag)
            }
            tag::DATA_ROW if is_answer(talk, Purpose::Confirm) => {
                talk.confirmed(&backend::read_data_row(message)?);
                talk.server.progress.reply(header.tag)
            }
            tag::DATA_ROW if is_answer(talk, Purpose::Ask) => {
                let values = backend::read_data_row(message)?.into_iter();
                let values: Vec<_> = values.map(|value| value.and_then(unhex)).collect();
                talk.answered(&values);
                talk.server.progress.reply(header.tag)
            }
            tag::ROW_DESCRIPTION | tag::NO_DATA => {
                talk.note_description(message);
                talk.server.progress.reply(header.tag)
            }
            other => {
                if other == tag::PARSE_COMPLETE {
                    talk.parsed();
                }
                talk.server.progress.reply(other)
            }
        };
        if talk.server.progress.is_out_of_sync() {
            return Err(ReplyError::OutOfSync(header.tag));
        }
        locals::put_reports(&mut aside, &reports);
        if !aside.is_empty() {
            self.say(&aside);
        }
        Ok(verdict)
    }
}

/// Messages whose content matters. The others are told by their type alone.
fn must_see(kind: u8, talk: &Conversation<'_>) -> bool {
    match kind {
        tag::READY_FOR_QUERY
        | tag::ERROR_RESPONSE
        | tag::PARAMETER_STATUS
        | tag::COMMAND_COMPLETE => true,
        tag::ROW_DESCRIPTION => talk.awaits_description(),
        tag::DATA_ROW => is_answer(talk, Purpose::Ask) || is_answer(talk, Purpose::Confirm),
        _ => false,
    }
}
