//! The client's messages while it holds no server: what can be answered without one is.

use super::RequestError;
use super::pump::Relay;
use crate::session::VirtualSession;
use crate::wire::frontend::Target;
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
    pub fn next_wish(&mut self, session: &mut VirtualSession) -> Result<Wish, RequestError> {
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
                tag::PARSE
                | tag::BIND
                | tag::DESCRIBE
                | tag::EXECUTE
                | tag::QUERY
                | tag::FUNCTION_CALL => {
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
