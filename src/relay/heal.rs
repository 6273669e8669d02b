//! Prepared statements that went stale heal themselves.
//!
//! After DDL a server may refuse to run its copy of a shared statement. Outside of a transaction, and while the client
//! has not been told anything of its batch, the statement is parsed anew and the batch is sent once more: its bytes are
//! kept until the first reply. Where its result has other columns now, that is done only for a client that asks for
//! their description in the same batch: another would take the new rows for the old ones.

use super::pump::Relay;
use super::replies::Replies;
use super::requests::Requests;
use super::{Conversation, Names};
use crate::server::progress::{Entry, Origin, Request, Verdict};
use crate::types::TransactionStatus;
use crate::wire::Header;
use crate::wire::tag::frontend as tag;

/// A batch of more bytes is not kept.
const MAX_KEPT: usize = 8 * 1024;

/// The batch at the front of the client's bytes, kept although it was sent.
#[derive(Debug, Default)]
pub(super) struct Keep {
    /// Whether bytes are kept.
    on: bool,
    /// Bytes that go before those to be kept.
    skip: u16,
    /// Bytes that were sent and kept.
    sent: u16,
    /// The batch is whole: its Sync has been seen.
    whole: bool,
}

/// What is kept, and what goes before it, is not much more than [`MAX_KEPT`]: names of statements may have grown.
fn narrow(count: usize) -> u16 {
    u16::try_from(count).unwrap_or(u16::MAX)
}

impl Keep {
    /// Bytes at the front that were sent.
    pub(super) fn sent(&self) -> usize {
        usize::from(self.sent)
    }
}

impl Requests {
    /// Drops `count` bytes that were sent, or keeps them.
    pub(super) fn sent(&mut self, count: usize) {
        self.ready = self.ready.saturating_sub(count);
        if !self.keep.on {
            self.buffer.consume(count);
            return;
        }
        // While bytes are skipped none has been kept.
        let skipped = count.min(usize::from(self.keep.skip));
        self.buffer.consume(skipped);
        self.keep.skip -= narrow(skipped);
        self.keep.sent += narrow(count - skipped);
    }

    /// What is sent from here on is kept, if it begins a batch outside of a transaction.
    pub(super) fn keep_batch(&mut self, header: Header, talk: &Conversation<'_>) {
        let progress = &talk.server.progress;
        if !self.keep.on
            && progress.status() == TransactionStatus::Idle
            && progress.is_quiet_for_client()
            && self.ready + header.size <= MAX_KEPT
        {
            self.keep = Keep { on: true, skip: narrow(self.ready), sent: 0, whole: false };
        }
    }

    /// A message of the batch, or the first one behind it: what cannot be repeated is not kept.
    pub(super) fn keep_on(&mut self, header: Header) {
        if !self.keep.on {
            return;
        }
        let repeatable = matches!(header.tag, tag::BIND | tag::DESCRIBE | tag::EXECUTE | tag::SYNC);
        let size = self.keep.sent() + self.ready + header.size;
        if self.keep.whole || !repeatable || size > MAX_KEPT {
            self.drop_kept();
        } else {
            self.keep.whole = header.tag == tag::SYNC;
        }
    }

    /// The batch will not be sent again.
    pub(super) fn drop_kept(&mut self) {
        if !self.keep.on {
            return;
        }
        self.buffer.consume(self.keep.sent());
        self.keep = Keep::default();
    }

    /// True when there is a whole batch that could be sent again.
    pub(super) fn may_heal(&self) -> bool {
        self.keep.whole
    }

    /// Sends the batch again, behind `before`.
    fn send_again(&mut self, before: &[u8]) {
        self.ready += self.keep.sent();
        self.keep = Keep::default();
        self.buffer.replace(0..0, before);
        self.ready += before.len();
    }
}

impl Replies {
    /// Decides whether an error shall be healed, and swallows it and the end of its batch if so.
    pub(super) fn heal(&mut self, state: &[u8], talk: &mut Conversation<'_>) -> Option<Verdict> {
        let progress = &mut talk.server.progress;
        let stale = matches!(state, b"0A000" | b"XX000" | b"26000");
        if !stale || !self.may_heal || progress.status() != TransactionStatus::Idle {
            return None;
        }
        let head = progress.head()?;
        let statement = head.statement.as_ref()?;
        let asked = matches!(head.request, Request::Bind | Request::Describe);
        if !asked || head.origin != Origin::Client || !progress.is_one_batch() {
            return None;
        }
        let described = progress.pending().any(|entry| entry.request == Request::Describe);
        if state == b"0A000" && head.request == Request::Bind && !described {
            return None;
        }
        statement.outdate();
        talk.errors.healed(state);
        progress.set_aside();
        Some(Verdict::Swallow)
    }
}

impl Relay {
    /// Parses a stale statement anew and sends its batch again.
    pub(super) fn heal(&mut self, talk: &mut Conversation<'_>) {
        let aside = talk.server.progress.take_aside();
        if !aside.is_empty() {
            self.repeat(talk, aside);
        }
        if !self.replies.may_heal {
            self.requests.drop_kept();
        }
    }

    fn repeat(&mut self, talk: &mut Conversation<'_>, requests: Vec<Entry>) {
        let mut before = Vec::new();
        let stale = requests.first().and_then(|entry| entry.statement.clone());
        if let (Some(statement), Names::Virtual { limit }) = (stale, talk.names) {
            talk.ensure_held(limit, &statement, &mut before);
        }
        requests.into_iter().for_each(|entry| talk.server.progress.sent(entry));
        talk.server.progress.sent(Entry::client(Request::Sync));
        self.requests.send_again(&before);
        self.replies.may_heal = false;
    }
}
