//! Answers of the server's that are looked into, and what they do to the conversation.

use std::time::Instant;

use super::Conversation;
use super::effects::Report;
use super::replies::ReplyError;
use crate::server::progress::{Entry, Origin, Purpose, Request, Verdict};
use crate::server::{Fate, Server};
use crate::types::TransactionStatus;
use crate::wire::frame::HEADER;
use crate::wire::tag::backend as tag;
use crate::wire::{ErrorFields, FrameError, backend, notice};

/// True when the server answers what pgusher asked for.
pub(super) fn is_answer(talk: &Conversation<'_>, purpose: Purpose) -> bool {
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

pub(super) fn ready(
    message: &[u8],
    talk: &mut Conversation<'_>,
    now: Instant,
) -> Result<Verdict, ReplyError> {
    let malformed = FrameError::Malformed { tag: tag::READY_FOR_QUERY };
    if message.len() != HEADER + 1 {
        return Err(malformed.into());
    }
    let status = backend::ready_status(message).ok_or(malformed)?;
    let before = talk.server.progress.status();
    let answered = talk.server.progress.ready(status);
    talk.settle_schema();
    talk.settle_changes();
    match answered {
        Some(entry) if entry.origin == Origin::Injected => {
            let ours =
                |next: &Entry| next.origin == Origin::Injected && next.request == Request::Query;
            if !talk.server.progress.head().is_some_and(ours) {
                talk.server.backend.expose();
            }
            Ok(Verdict::Swallow)
        }
        Some(_) => {
            talk.server.backend.answered();
            talk.settle_channels();
            talk.query_ended(before, now);
            Ok(Verdict::Forward)
        }
        None => Ok(Verdict::Forward),
    }
}

pub(super) fn error(
    message: &[u8],
    fatal: bool,
    talk: &mut Conversation<'_>,
) -> Result<Verdict, ReplyError> {
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
        // There is nobody whom the server may be given to as it is.
        Some(Purpose::Other) if talk.server.progress.pending().next().is_none() => {
            talk.server.is_spent = true;
            return Ok(talk.server.progress.error(&mut drop));
        }
        Some(_) => return Err(ReplyError::ReplayRefused(ErrorFields::read(message))),
        None => {}
    }
    talk.errors.from_server(state);
    talk.server.fate = Fate::Failed;
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
        session.unnamed.failed(failed_unnamed);
    }
    let unnamed_before = session.unnamed.version();
    let verdict = progress.error(&mut |entry| {
        prepared.undo(&entry);
        Conversation::undo(session, unnamed, &entry);
    });
    if fatal {
        progress.lose();
    }
    if !matches!(talk.session.unnamed.version(), now if now == 0 || now == unnamed_before) {
        let content = talk.session.unnamed.content().to_vec();
        talk.judge_unnamed(&content);
    }
    talk.failed();
    Ok(verdict)
}

pub(super) fn parameter_status(
    message: &[u8],
    talk: &mut Conversation<'_>,
) -> Result<Verdict, ReplyError> {
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
pub(super) fn command_complete(
    message: &[u8],
    talk: &mut Conversation<'_>,
) -> Result<Vec<Report>, ReplyError> {
    let tag = backend::command_tag(message);
    let ours = talk.server.progress.head().is_some_and(|head| head.origin == Origin::Injected);
    let reports = if ours { Vec::new() } else { talk.completed(tag) };
    talk.note_schema(tag);
    match tag {
        b"DISCARD ALL" => {
            talk.server.note_discarded();
            talk.forget_statements();
        }
        b"DEALLOCATE ALL" => talk.forget_statements(),
        b"ROLLBACK" if !ours => talk.server.fate = Fate::Undone,
        b"COMMIT" if !ours => talk.server.fate = Fate::Good,
        _ => {}
    }
    if talk.session.changes.is_some() && talk.session.params.weight() > talk.state_limit {
        return Err(ReplyError::StateTooLarge(talk.state_limit));
    }
    Ok(reports)
}

/// Reads hexadecimal digits.
pub(super) fn unhex(digits: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    digits.chunks(2).map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}
