//! The server's messages on their way to the client.

use std::time::Instant;

use thiserror::Error;

use super::effects::Report;
use super::{Conversation, Release, locals};
use crate::net::{Buffer, BufferPool};
use crate::server::Server;
use crate::server::progress::{Entry, Origin, Purpose, Request, Verdict};
use crate::types::TransactionStatus;
use crate::wire::frame::{self, HEADER};
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
            let view = header.size.min(MAX_VIEW);
            if must_see(header.tag, talk) && self.unseen().len() < view {
                self.buffer.reserve(self.ready + view);
                return Ok(());
            }
            let verdict = self.look(header, talk, now)?;
            self.swallowing = verdict == Verdict::Swallow;
            self.may_heal &= self.swallowing;
            self.passing = header.size;
            if matches!(header.tag, tag::DATA_ROW | tag::COPY_DATA) && !self.swallowing {
                self.pass_alike(header.tag);
            }
        }
    }

    /// Passes rows that stand whole in the buffer. A row changes nothing in the conversation, so what was judged of one
    /// holds for those of its type that follow it.
    fn pass_alike(&mut self, tag: u8) {
        self.pass();
        while self.passing == 0 {
            match frame::header(self.unseen()) {
                Ok(Some(next)) if next.tag == tag && next.size <= self.unseen().len() => {
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
                let verdict = ready(message, talk, now)?;
                if verdict == Verdict::Forward {
                    aside = notifications(talk)?;
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
                let verdict = error(message, fatal, talk)?;
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
            tag::PARAMETER_STATUS => return parameter_status(message, talk),
            tag::COMMAND_COMPLETE => {
                if let Some(warning) = talk.warning() {
                    warning.put_notice(&mut aside);
                }
                reports = command_complete(message, talk)?;
                talk.server.progress.reply(header.tag)
            }
            tag::DATA_ROW if is_answer(talk, Purpose::Confirm) => {
                talk.confirmed(&backend::read_data_row(message));
                talk.server.progress.reply(header.tag)
            }
            tag::DATA_ROW if is_answer(talk, Purpose::Ask) => {
                let values = backend::read_data_row(message).into_iter();
                let values: Vec<_> = values.map(|value| value.and_then(unhex)).collect();
                talk.answered(&values);
                talk.server.progress.reply(header.tag)
            }
            other => talk.server.progress.reply(other),
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
        tag::DATA_ROW => is_answer(talk, Purpose::Ask) || is_answer(talk, Purpose::Confirm),
        _ => false,
    }
}

/// True when the server answers what pgusher asked for.
fn is_answer(talk: &Conversation<'_>, purpose: Purpose) -> bool {
    talk.server.progress.head().is_some_and(|head| head.purpose == purpose)
}

/// Notifications that have come for the client, if it is not in a transaction.
pub(super) fn notifications(talk: &mut Conversation<'_>) -> Result<Vec<u8>, ReplyError> {
    if talk.server.progress.status() != TransactionStatus::Idle {
        return Ok(Vec::new());
    }
    let post = talk.post().unwrap_or_default();
    if post.overflow { Err(ReplyError::TooSlow) } else { Ok(post.messages) }
}

fn ready(message: &[u8], talk: &mut Conversation<'_>, now: Instant) -> Result<Verdict, ReplyError> {
    let malformed = FrameError::Malformed { tag: tag::READY_FOR_QUERY };
    if message.len() != HEADER + 1 {
        return Err(malformed.into());
    }
    let status = backend::ready_status(message).ok_or(malformed)?;
    let answered = talk.server.progress.ready(status);
    talk.settle_changes();
    match answered {
        Some(entry) if entry.origin == Origin::Injected => Ok(Verdict::Swallow),
        Some(_) => {
            talk.settle_channels();
            talk.query_ended(now);
            Ok(Verdict::Forward)
        }
        None => Ok(Verdict::Forward),
    }
}

fn error(message: &[u8], fatal: bool, talk: &mut Conversation<'_>) -> Result<Verdict, ReplyError> {
    let state = notice::sqlstate(message).unwrap_or(b"XX000");
    let head = talk.server.progress.head();
    let ours = |head: &&Entry| head.origin == Origin::Injected && head.request == Request::Query;
    match head.filter(ours).map(|head| head.purpose) {
        Some(Purpose::Confirm) => {
            talk.unconfirmed();
            return Ok(talk.server.progress.error(&mut drop));
        }
        Some(Purpose::Ask) => {
            talk.keep_server();
            return Ok(talk.server.progress.error(&mut drop));
        }
        Some(_) => return Err(ReplyError::ReplayRefused(ErrorFields::read(message))),
        None => {}
    }
    talk.errors.from_server(state);
    // After DDL a shared statement may be stale for ever: its next Parse must be a real one, on every server.
    if let Some(statement) = head.and_then(|head| head.statement.as_ref())
        && matches!(state, b"0A000" | b"XX000" | b"26000")
    {
        statement.outdate();
    }
    let failed_unnamed = head
        .filter(|head| head.request == Request::Parse && head.origin == Origin::Client)
        .map_or(0, |head| head.unnamed);
    let Server { progress, prepared, unnamed, .. } = &mut *talk.server;
    let session = &mut *talk.session;
    if failed_unnamed != 0 {
        session.fail_unnamed(failed_unnamed);
    }
    let unnamed_before = session.unnamed.version;
    let verdict = progress.error(&mut |entry| {
        prepared.undo(&entry);
        Conversation::undo(session, unnamed, &entry);
    });
    if fatal {
        progress.lose();
    }
    if !matches!(talk.session.unnamed.version, now if now == 0 || now == unnamed_before) {
        let content = talk.session.unnamed.content.clone();
        talk.judge_unnamed(&content);
    }
    talk.failed();
    Ok(verdict)
}

fn parameter_status(message: &[u8], talk: &mut Conversation<'_>) -> Result<Verdict, ReplyError> {
    let (name, value) = backend::read_parameter_status(message)?;
    let name = String::from_utf8_lossy(name);
    talk.server.note_parameter(&name, value);
    let ours = talk.server.progress.head().is_some_and(|head| head.origin == Origin::Injected);
    let lower = name.to_ascii_lowercase();
    // What the client's has become it was told already.
    let reset = talk.session.changes.as_ref().is_some_and(|changes| changes.is_reset(&lower));
    if ours || reset {
        return Ok(Verdict::Swallow);
    }
    // What the client set is what its session has from now on, on every server. Only this one: DISCARD ALL has taken
    // the others from the server, not from the client.
    let applied = talk.server.applied.get(&lower);
    let session = &mut *talk.session;
    session.params = session.param_sets.with(&session.params, &name, applied);
    Ok(Verdict::Forward)
}

/// The server's word on what was discarded, whatever the text said.
fn command_complete(
    message: &[u8],
    talk: &mut Conversation<'_>,
) -> Result<Vec<Report>, ReplyError> {
    let tag = backend::command_tag(message);
    let ours = talk.server.progress.head().is_some_and(|head| head.origin == Origin::Injected);
    let reports = if ours { Vec::new() } else { talk.completed(tag) };
    match tag {
        b"DISCARD ALL" => {
            talk.server.note_discarded();
            talk.forget_statements();
        }
        b"DEALLOCATE ALL" => talk.forget_statements(),
        _ => {}
    }
    if talk.session.changes.is_some() && talk.session.params.weight() > talk.state_limit {
        return Err(ReplyError::StateTooLarge(talk.state_limit));
    }
    Ok(reports)
}

/// Reads hexadecimal digits.
fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}
