//! Statements that clear a session: where it holds nothing that only a server has, they need none.
//!
//! Drivers send them whenever a connection goes back to their own pool. What they clear is the virtual session, and the
//! answers are PostgreSQL's.

use std::sync::Arc;

use super::effects::Report;
use crate::session::VirtualSession;
use crate::session::params::{ParamSet, Reported};
use crate::session::replay::ROLE;
use crate::sql::{Action, Discard, Piece, Traits, Value, Verdict};
use crate::types::TransactionStatus;
use crate::wire::{Column, ColumnKind, backend};

/// True when every statement of the verdict can be answered without a server.
pub(super) fn are_local(
    verdict: &Verdict,
    session: &VirtualSession,
    status: TransactionStatus,
) -> bool {
    let alone = verdict.pieces.len() == 1;
    status != TransactionStatus::Failed
        && (!session.is_pinned() || asks_for_channels(verdict))
        && !verdict.pieces.is_empty()
        && verdict.pieces.iter().all(|piece| is_local(piece, session, status, alone))
}

/// What a client listens to no server knows, the one that it keeps neither.
fn asks_for_channels(verdict: &Verdict) -> bool {
    verdict.pieces.iter().all(|piece| piece.action == Action::ListeningChannels)
}

fn is_local(
    piece: &Piece,
    session: &VirtualSession,
    status: TransactionStatus,
    alone: bool,
) -> bool {
    let idle = status == TransactionStatus::Idle;
    match &piece.action {
        // Statements are no part of a transaction.
        Action::Deallocate(None) => true,
        Action::Deallocate(Some(name)) => session.statement(name).is_some(),
        Action::ListeningChannels => true,
        Action::Reset(None) => idle,
        Action::Reset(Some(name)) => idle && session.params.get(name).is_some(),
        Action::Discard(Discard::All) => idle && alone,
        Action::SetSessionAuthorization(setting) => idle && setting.value == Value::Default,
        Action::Discard(_) | Action::Close(None) | Action::Unlisten(None) => idle,
        Action::UnlockAll => idle && piece.traits == Traits::ADVISORY_UNLOCK_ALL,
        _ => false,
    }
}

/// Carries a statement out, and appends PostgreSQL's answer.
fn carry_out(piece: &Piece, session: &mut VirtualSession, style: Style, out: &mut Vec<u8>) {
    let tag = match &piece.action {
        Action::ListeningChannels => return put_channels(session, style, out),
        Action::Deallocate(None) => {
            session.forget_all_statements();
            "DEALLOCATE ALL"
        }
        Action::Deallocate(Some(name)) => {
            session.forget_statement(name);
            "DEALLOCATE"
        }
        Action::Reset(None) => {
            session.reset_params();
            "RESET"
        }
        Action::Reset(Some(name)) => {
            if **name == *"session_authorization" {
                session.set_param(ROLE, None);
            } else {
                session.reset_param(name);
            }
            "RESET"
        }
        Action::SetSessionAuthorization(_) => {
            session.set_param(ROLE, None);
            "SET"
        }
        Action::Discard(Discard::All) => {
            session.discard();
            session.unlisten_all();
            session.set_param(ROLE, None);
            "DISCARD ALL"
        }
        Action::Discard(Discard::Plans) => "DISCARD PLANS",
        Action::Discard(Discard::Sequences) => "DISCARD SEQUENCES",
        Action::Discard(Discard::Temp) => "DISCARD TEMP",
        Action::Close(_) => "CLOSE CURSOR ALL",
        Action::Unlisten(_) => {
            session.unlisten_all();
            "UNLISTEN"
        }
        _ => {
            if style == Style::Simple {
                put_unlock_description(out);
            }
            backend::put_data_row(out, [Some(b"")]);
            "SELECT 1"
        }
    };
    backend::put_command_complete(out, tag);
}

/// Reported parameters that have changed since `before`.
pub(super) fn reports(
    before: &Arc<ParamSet>,
    now: &Arc<ParamSet>,
    defaults: &Reported,
) -> Vec<Report> {
    if Arc::ptr_eq(before, now) {
        return Vec::new();
    }
    let value = |set: &ParamSet, (name, default): &(Box<str>, Box<[u8]>)| -> Box<[u8]> {
        set.get(&name.to_ascii_lowercase()).map_or_else(|| default.clone(), Into::into)
    };
    let told = defaults.values.iter().filter(|(name, _)| defaults.tells(name));
    told.filter(|one| value(before, one) != value(now, one))
        .map(|one| (one.0.clone(), value(now, one)))
        .collect()
}

/// Appends reports.
pub(super) fn put_reports(out: &mut Vec<u8>, reports: &[Report]) {
    for (name, value) in reports {
        backend::put_parameter_status(out, name.as_bytes(), value);
    }
}

/// The columns of `SELECT pg_advisory_unlock_all()`.
pub(super) fn put_unlock_description(out: &mut Vec<u8>) {
    backend::put_void_description(out, "pg_advisory_unlock_all");
}

/// The columns of `SELECT pg_listening_channels()`.
pub(super) fn put_channels_description(out: &mut Vec<u8>) {
    backend::put_row_description(out, &[CHANNELS], |_| false);
}

const CHANNELS: Column = Column { name: "pg_listening_channels", kind: ColumnKind::Text };

fn put_channels(session: &VirtualSession, style: Style, out: &mut Vec<u8>) {
    if style == Style::Simple {
        put_channels_description(out);
    }
    let listening = session.listening.as_ref().map(|listening| listening.channels.listening());
    let names = listening.into_iter().flatten();
    let mut count = 0;
    for name in names {
        backend::put_data_row(out, [Some(name)]);
        count += 1;
    }
    backend::put_command_complete(out, &format!("SELECT {count}"));
}

/// How a statement is executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// By a simple query: rows come with their description.
    Simple,
    /// By Execute: a description is asked for.
    Extended,
}

/// Answers a query without a server: what it says, and ReadyForQuery.
pub(super) fn answer(
    verdict: &Verdict,
    session: &mut VirtualSession,
    defaults: &Reported,
    status: TransactionStatus,
    style: Style,
) -> Vec<u8> {
    let mut out = Vec::new();
    let before = Arc::clone(&session.params);
    for piece in &verdict.pieces {
        carry_out(piece, session, style, &mut out);
    }
    put_reports(&mut out, &reports(&before, &session.params, defaults));
    out.extend_from_slice(&backend::ready(status));
    out
}
