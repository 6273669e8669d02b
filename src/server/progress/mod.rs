//! What is outstanding between a server and whoever holds it: one entry for each request that will be answered.
//!
//! This is the court of last resort for the promise that no reply reaches another client. Every request that goes to
//! the server is entered here in order; every reply must fit the entry at the head. What does not fit makes the
//! conversation [lost](Progress::is_lost), and a lost server is closed, never reused.
//!
//! Pure: it sees type bytes, never sockets. The rules are those of PostgreSQL's `PostgresMain` (`tcop/postgres.c`)
//! and `CopyGetData` (`commands/copyfromparse.c`).

mod copy;
mod entry;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

pub use entry::{Entry, Origin, Purpose, Request};

use crate::sql;
use crate::types::TransactionStatus;
use crate::wire::ErrorFields;
use crate::wire::tag::backend as tag;

/// What to do with a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It answers the client.
    Forward,
    /// It answers pgusher.
    Swallow,
}

/// Where a COPY stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Copy {
    #[default]
    None,
    /// The server reads CopyData and ignores Sync and Flush.
    In,
}

/// The outstanding requests of one server.
#[derive(Debug, Default)]
pub struct Progress {
    queue: VecDeque<Entry>,
    status: TransactionStatus,
    copy: Copy,
    /// Extended-protocol messages were sent after the last Sync.
    open_batch: bool,
    /// The server ignores everything up to the next Sync.
    skipping: bool,
    /// How many requests that end with ReadyForQuery were sent.
    begun: u64,
    /// How many of them are over.
    ended: u64,
    lost: bool,
    /// A Sync was taken for one that the server ignores since it reads COPY data. That is certain when the COPY
    /// succeeds; when it fails the server may have failed before it came to that Sync, and honours it.
    ignored_sync: bool,
    /// That COPY has failed: one more ReadyForQuery may come, until something later is answered.
    uncertain: bool,
    /// A reply came that nothing asked for.
    out_of_sync: bool,
    /// Requests that are to be sent again.
    aside: Vec<Entry>,
}

impl Progress {
    /// The status of the last ReadyForQuery.
    pub fn status(&self) -> TransactionStatus {
        self.status
    }

    /// True when the conversation cannot be accounted for: the server must not be used by anybody else.
    pub fn is_lost(&self) -> bool {
        self.lost
    }

    /// True when a reply came that fits no request: server and pooler disagree on where they are.
    pub fn is_out_of_sync(&self) -> bool {
        self.out_of_sync
    }

    /// Declares the conversation lost.
    pub fn lose(&mut self) {
        self.lost = true;
    }

    /// True while the server ignores everything up to the next Sync.
    pub fn is_skipping(&self) -> bool {
        self.skipping
    }

    /// True when every request has been answered and no batch is open.
    pub fn is_quiet(&self) -> bool {
        self.queue.is_empty() && !self.open_batch && !self.skipping && self.copy == Copy::None
    }

    /// True when every request of the client's has been answered and no batch is open.
    pub fn is_quiet_for_client(&self) -> bool {
        let ours = |entry: &Entry| entry.origin == Origin::Injected;
        self.queue.iter().all(ours) && !self.needs_sync() && self.copy == Copy::None
    }

    /// True when what is outstanding is one batch of the client's, whole.
    pub fn is_one_batch(&self) -> bool {
        let mut behind = self.queue.iter().skip_while(|entry| entry.request != Request::Sync);
        behind.next().is_some_and(|sync| sync.origin == Origin::Client) && behind.next().is_none()
    }

    /// The server has refused the batch at the head, which will be sent again: its end is not for the client.
    pub fn set_aside(&mut self) {
        let mut aside = Vec::new();
        self.error(&mut |entry| aside.push(entry));
        aside.reverse();
        self.aside = aside;
        if let Some(end) = self.queue.front_mut() {
            end.origin = Origin::Injected;
        }
    }

    /// Everything outstanding, of which nothing will be answered: the conversation is lost.
    pub fn abandon(&mut self) -> VecDeque<Entry> {
        self.lost = true;
        std::mem::take(&mut self.queue)
    }

    /// The requests of the batch that was [set aside](Progress::set_aside), without its end.
    pub fn take_aside(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.aside)
    }

    /// True when the server may be handed to another client.
    pub fn is_settled(&self) -> bool {
        self.is_quiet() && self.status == TransactionStatus::Idle && !self.lost && !self.uncertain
    }

    /// True when all that keeps the server from being settled is that one more ReadyForQuery may come. The answer to
    /// any query shows whether it does.
    pub fn wants_probe(&self) -> bool {
        self.uncertain && self.is_quiet() && self.status == TransactionStatus::Idle && !self.lost
    }

    /// True when the server owes nothing: it waits for the client.
    pub fn waits_for_client(&self) -> bool {
        self.queue.is_empty() || self.copy == Copy::In
    }

    /// True while the server reads COPY data.
    pub fn is_copying_in(&self) -> bool {
        self.copy == Copy::In
    }

    /// True when a Sync is needed before the server says ReadyForQuery.
    pub fn needs_sync(&self) -> bool {
        self.open_batch || self.skipping
    }

    /// The number of the batch that the next request belongs to: an error skips what is left of its batch, no more.
    pub fn batch(&self) -> u64 {
        self.begun
    }

    /// The number of the first batch that is not over.
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// True when a batch was sent whole, and what became of it is not known yet.
    pub fn is_open(&self, batch: u64) -> bool {
        batch < self.begun && batch >= self.ended
    }

    /// True when a name was given up in a batch that may yet fail before that. Looks at every outstanding request: only
    /// for names that mean nothing now, which are errors in the end.
    pub fn may_keep(&self, name: &[u8]) -> bool {
        let gives_up =
            |entry: &&Entry| entry.request == Request::Close && entry.name.as_deref() == Some(name);
        self.awaits_ready()
            && self.queue.iter().filter(gives_up).any(|entry| self.is_open(entry.batch))
    }

    /// True when the server owes a ReadyForQuery, for which it needs nothing more from the client.
    pub fn awaits_ready(&self) -> bool {
        self.copy == Copy::None && self.ended < self.begun
    }

    /// How many requests are outstanding.
    pub fn outstanding(&self) -> usize {
        self.queue.len()
    }

    /// Enters a request that is being sent (or answered in the server's place).
    pub fn sent(&mut self, entry: Entry) {
        let request = entry.request;
        match request {
            Request::CopyData | Request::CopyEnd => return self.sent_copy(entry),
            Request::Sync if self.copy == Copy::In => {
                self.ignored_sync = true;
                return;
            }
            // The server would take this message as the COPY's data and fail; which of the two it was by the time
            // the message arrives cannot be known.
            _ if self.copy == Copy::In => self.lost = true,
            Request::Sync => (self.open_batch, self.skipping) = (false, false),
            Request::Query | Request::FunctionCall => self.open_batch = false,
            _ if entry.origin != Origin::Local => self.open_batch = true,
            _ => {}
        }
        self.queue.push_back(Entry { batch: self.begun, ..entry });
        self.begun += u64::from(request.ends_batch());
    }

    /// The request at the head when pgusher is to answer it now. Behind a server's farewell nothing is answered.
    pub fn next_local(&mut self) -> Option<Entry> {
        let is_next = !self.lost && self.queue.front()?.origin == Origin::Local;
        if is_next { self.pop() } else { None }
    }

    /// The request the next reply belongs to.
    pub fn head(&self) -> Option<&Entry> {
        self.queue.front()
    }

    /// The statement that CommandComplete is about, of those that concern the session.
    pub fn completed(&mut self) -> Option<(Arc<sql::Verdict>, usize)> {
        let head = self.queue.front_mut()?;
        let verdict = head.verdict.as_ref()?;
        head.over += 1;
        Some((Arc::clone(verdict), head.over - 1))
    }

    /// What the client is told instead of the error that has come.
    pub fn take_refusal(&mut self) -> Option<Box<ErrorFields>> {
        self.queue.front_mut()?.refusal.take()
    }

    /// The requests behind the one that is being answered.
    pub fn pending(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.queue.iter().skip(1)
    }

    /// Judges a reply other than ErrorResponse and ReadyForQuery by its type.
    pub fn reply(&mut self, tag: u8) -> Verdict {
        if matches!(tag, tag::NOTICE_RESPONSE | tag::NOTIFICATION_RESPONSE | tag::PARAMETER_STATUS)
            || self.lost
        {
            return Verdict::Forward;
        }
        let Some(head) = self.queue.front() else { return self.misfit() };
        let (request, origin) = (head.request, head.origin);
        let (fits, completes) = match tag {
            tag::PARSE_COMPLETE => (request == Request::Parse, true),
            tag::BIND_COMPLETE => (request == Request::Bind, true),
            tag::CLOSE_COMPLETE => (request == Request::Close, true),
            tag::PARAMETER_DESCRIPTION => (request == Request::Describe, false),
            tag::NO_DATA => (request == Request::Describe, true),
            tag::ROW_DESCRIPTION if request == Request::Describe => (true, true),
            tag::ROW_DESCRIPTION => (request == Request::Query, false),
            tag::PORTAL_SUSPENDED => (request == Request::Execute, true),
            tag::COMMAND_COMPLETE | tag::EMPTY_QUERY_RESPONSE => {
                (runs(request), request == Request::Execute)
            }
            tag::DATA_ROW | tag::COPY_DATA | tag::COPY_DONE | tag::COPY_OUT_RESPONSE => {
                (runs(request), false)
            }
            tag::COPY_IN_RESPONSE => (runs(request), false),
            tag::FUNCTION_CALL_RESPONSE => (request == Request::FunctionCall, false),
            // COPY BOTH is replication, and anything else is no reply at all.
            _ => (false, false),
        };
        if !fits {
            return self.misfit();
        }
        self.uncertain = false;
        match tag {
            tag::COPY_IN_RESPONSE => self.copy_in_begins(),
            tag::COMMAND_COMPLETE => (self.copy, self.ignored_sync) = (Copy::None, false),
            _ => {}
        }
        if completes {
            self.pop();
        }
        verdict(origin)
    }

    /// Judges ReadyForQuery. `None`: it answers nothing that is outstanding.
    pub fn ready(&mut self, status: TransactionStatus) -> Option<Entry> {
        self.status = status;
        self.copy = Copy::None;
        match self.queue.front().map(|head| head.request) {
            // Nothing ends without an answer of its own: this one belongs to the Sync taken for ignored.
            head if self.uncertain && head != Some(Request::Sync) => {
                (self.open_batch, self.skipping) = (self.open_batch && !self.skipping, false);
                None
            }
            Some(Request::Query | Request::FunctionCall | Request::Sync) => self.pop(),
            _ => {
                self.misfit();
                None
            }
        }
    }

    /// Judges ErrorResponse. `undo` is called for each request that failed or will never be executed, the last first.
    pub fn error(&mut self, undo: &mut dyn FnMut(Entry)) -> Verdict {
        self.copy = Copy::None;
        self.uncertain = std::mem::take(&mut self.ignored_sync);
        let Some(head) = self.queue.front() else {
            // Nobody asked: the server is ending the connection.
            self.lost = true;
            return Verdict::Forward;
        };
        let origin = head.origin;
        match head.request {
            // ReadyForQuery follows.
            Request::Query | Request::FunctionCall | Request::Sync => verdict(origin),
            // The client's request needed pgusher's: its error is the client's.
            _ => {
                self.skip_to_sync(undo);
                Verdict::Forward
            }
        }
    }

    /// The server skips what is queued up to the next Sync; without one there, what is still to come.
    fn skip_to_sync(&mut self, undo: &mut dyn FnMut(Entry)) {
        let sync = self.queue.iter().position(|entry| entry.request == Request::Sync);
        let skipped = sync.unwrap_or(self.queue.len());
        self.skipping = sync.is_none();
        self.open_batch |= self.skipping;
        self.queue.drain(..skipped).rev().for_each(undo);
    }

    fn misfit(&mut self) -> Verdict {
        self.out_of_sync |= !self.lost;
        self.lost = true;
        Verdict::Forward
    }

    fn pop(&mut self) -> Option<Entry> {
        let done = self.queue.pop_front();
        if let Some(entry) = done.as_ref().filter(|entry| entry.request.ends_batch()) {
            self.ended = entry.batch + 1;
        }
        while self
            .queue
            .front()
            .is_some_and(|e| matches!(e.request, Request::CopyData | Request::CopyEnd))
        {
            self.queue.pop_front();
        }
        done
    }
}

fn runs(request: Request) -> bool {
    matches!(request, Request::Query | Request::Execute)
}

fn verdict(origin: Origin) -> Verdict {
    if origin == Origin::Injected { Verdict::Swallow } else { Verdict::Forward }
}
