//! A server that was not given the client's session, for a reason that passes: it is let go, and the client stays.
//!
//! A timeout that the client before has left in force, or an administrator's `pg_cancel_backend`, may strike the very
//! message that restores a session. Nothing of what the client has sent behind it was run then, since the server ends
//! itself ([`replay`](crate::session::replay)): the client is told so of each of its requests, as PostgreSQL tells of one
//! that fails.

use super::Conversation;
use super::pump::Relay;
use crate::server::progress::{Entry, Origin, Request};
use crate::types::TransactionStatus;
use crate::wire::{ErrorFields, Severity, backend};

/// `query_canceled` and PostgreSQL 17's `transaction_timeout`.
const PASSING: [&str; 2] = ["57014", "25P04"];

impl Conversation<'_> {
    /// True when the client loses nothing but its request with this server.
    pub(super) fn can_be_unserved(&self, reason: &ErrorFields) -> bool {
        PASSING.contains(&&*reason.code)
            && self.server.progress.status() == TransactionStatus::Idle
            && !self.session.is_pinned()
    }
}

impl Relay {
    /// Answers every request that is outstanding with this error.
    pub(super) fn give_up(&mut self, talk: &mut Conversation<'_>, reason: ErrorFields) {
        let reason = reason.severity(Severity::Error);
        let requests = talk.server.progress.abandon();
        let (mut bytes, mut told) = (Vec::new(), false);
        let answered = |entry: &&Entry| {
            let data = matches!(entry.request, Request::CopyData | Request::CopyEnd);
            entry.origin != Origin::Injected && !data
        };
        for entry in requests.iter().filter(answered) {
            if !told && entry.request != Request::Sync {
                talk.errors.from_pgusher(&reason.code);
                reason.put_error(&mut bytes);
            }
            told = !entry.request.ends_batch();
            if !told {
                bytes.extend_from_slice(&backend::READY_IDLE);
            }
        }
        for entry in requests.iter().rev() {
            Conversation::undo(talk.session, &mut talk.server.unnamed, entry);
        }
        // What is left of the last batch is dropped up to its Sync.
        self.refusing = told;
        self.requests.abandon();
        self.replies.forget_unseen();
        self.replies.say(&bytes);
    }
}
