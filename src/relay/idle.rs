//! The client's messages while it holds no server: what can be answered without one is.

use std::sync::Arc;

use memchr::memmem;

use super::RequestError;
use super::local_batch;
use super::locals::{self, Style};
use super::pump::Relay;
use crate::session::VirtualSession;
use crate::session::params::Reported;
use crate::sql;
use crate::types::TransactionStatus;
use crate::wire::frontend::{Target, read_query};
use crate::wire::tag::frontend as tag;
use crate::wire::{backend, frame};

/// What the client's next message asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// Nothing yet: more bytes have to come.
    Nothing,
    /// A server.
    Server,
    /// To leave.
    Leave,
}

impl Relay {
    /// Looks at the next messages, answers what needs no server, and says what is wanted.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub fn next_wish(
        &mut self,
        session: &mut VirtualSession,
        defaults: &dyn Fn() -> Option<Arc<Reported>>,
    ) -> Result<Wish, RequestError> {
        loop {
            if self.requests.drop_pending() {
                return Ok(Wish::Nothing);
            }
            let unseen = self.requests.unseen();
            let Some(header) = frame::header(unseen)? else { return Ok(Wish::Nothing) };
            match header.tag {
                tag::TERMINATE => return Ok(Wish::Leave),
                // Sync outside of a batch, or at the end of one that was refused.
                tag::SYNC => {
                    self.refusing = false;
                    self.replies.say(&backend::READY_IDLE);
                }
                _ if self.refusing => {}
                // Data of a COPY that has failed already; PostgreSQL ignores it, too.
                tag::FLUSH | tag::COPY_DATA | tag::COPY_DONE | tag::COPY_FAIL => {}
                tag::CLOSE if unseen.len() < header.size => return Ok(Wish::Server),
                tag::CLOSE => {
                    let target = Target::read(unseen.get(..header.size).unwrap_or_default())?;
                    if target.is_statement && target.name.is_empty() {
                        return Ok(Wish::Server);
                    }
                    if target.is_statement {
                        session.forget_statement(target.name);
                    }
                    self.replies.say(&backend::CLOSE_COMPLETE);
                }
                tag::QUERY if self.requests.refuses_simple => {
                    return Err(RequestError::SimpleQuery);
                }
                tag::QUERY => {
                    let message = unseen.get(..header.size).unwrap_or_default();
                    let Some(answer) = answer_query(message, session, defaults) else {
                        return Ok(Wish::Server);
                    };
                    self.replies.say(&answer);
                }
                tag::PARSE | tag::BIND => {
                    let Some(answer) = answer_batch(unseen, session, defaults) else {
                        return Ok(Wish::Server);
                    };
                    self.replies.say(&answer.bytes);
                    self.requests.drop_message(answer.size);
                    continue;
                }
                tag::DESCRIBE | tag::EXECUTE | tag::FUNCTION_CALL => {
                    return Ok(Wish::Server);
                }
                other => return Err(RequestError::UnknownType(other)),
            }
            self.requests.drop_message(header.size);
        }
    }

    /// Answers the request that wants a server with an error instead, as PostgreSQL answers one that fails: a simple
    /// query or function call is over with it, a batch is skipped up to its Sync.
    pub fn refuse(&mut self, error: &[u8]) {
        self.replies.say(error);
        let Ok(Some(header)) = frame::header(self.requests.unseen()) else { return };
        self.requests.drop_message(header.size);
        if matches!(header.tag, tag::QUERY | tag::FUNCTION_CALL) {
            self.replies.say(&backend::READY_IDLE);
        } else {
            self.refusing = true;
        }
    }
}

/// The answer to a query that needs no server; `None` when it needs one.
fn answer_query(
    message: &[u8],
    session: &mut VirtualSession,
    defaults: &dyn Fn() -> Option<Arc<Reported>>,
) -> Option<Vec<u8>> {
    let sql = read_query(message).ok()?;
    if !may_clear(sql) || sql::is_plain(sql) {
        return None;
    }
    let defaults = defaults()?;
    let verdict = sql::read(sql, session.quoting(Some(&defaults)));
    if !locals::are_local(&verdict, session, TransactionStatus::Idle) {
        return None;
    }
    session.unnamed.forget();
    Some(locals::answer(&verdict, session, &defaults, TransactionStatus::Idle, Style::Simple))
}

/// The answer to a batch that needs no server; `None` when it needs one.
fn answer_batch(
    bytes: &[u8],
    session: &mut VirtualSession,
    defaults: &dyn Fn() -> Option<Arc<Reported>>,
) -> Option<local_batch::Answer> {
    let looks_like = match bytes {
        [tag::PARSE, _, _, _, _, 0, sql @ ..] => may_clear(sql),
        [tag::BIND, ..] => session.portals.is_some(),
        _ => false,
    };
    if !looks_like {
        return None;
    }
    let defaults = defaults()?;
    local_batch::answer(bytes, session, &defaults)
}

/// True for what may be `* FROM pg_listening_channels()`, and for little else.
fn asks_for_channels(item: &[u8]) -> bool {
    const SEEN: usize = 64;
    let seen = item.get(..SEEN).unwrap_or(item);
    memmem::find(seen, b"pg_listening_channels").is_some()
}

/// The quickest look of all: true for the first words of what clears a session, or asks for what only pgusher knows.
fn may_clear(sql: &[u8]) -> bool {
    const WORDS: [&[u8]; 6] = [b"set", b"reset", b"close", b"discard", b"unlisten", b"deallocate"];
    let sql = sql::opening(sql);
    let begins = |sql: &[u8], word: &[u8]| {
        sql.get(..word.len()).is_some_and(|s| s.eq_ignore_ascii_case(word))
    };
    match sql.strip_prefix(b"select").or_else(|| sql.strip_prefix(b"SELECT")) {
        Some(item) => {
            let item = item.trim_ascii_start();
            begins(item, b"pg_") || (begins(item, b"*") && asks_for_channels(item))
        }
        None => WORDS.iter().any(|word| begins(sql, word)),
    }
}
