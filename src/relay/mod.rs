//! The relay: bytes between one client and the server it holds.
//!
//! [`Relay::poll`] moves bytes both ways; [`requests`] and [`replies`] find the message boundaries and enter what
//! passes in the server's [`Progress`](crate::server::Progress), [`answers`] looks into those replies that matter.
//! [`extended`] sees the requests that name statements, and [`prepared`] gives statements their names on servers.
//! [`judge`] finds out what requests would do to the session, [`effects`] what they did, and [`locals`] answers those
//! that need no server.

mod answers;
mod effects;
mod extended;
mod heal;
mod idle;
mod judge;
mod keep;
mod local_batch;
mod locals;
mod prepared;
mod pump;
mod refuse;
mod replies;
mod requests;
mod shape;
mod unserved;

pub use idle::Wish;
pub use keep::{Keeping, Refusal};
pub use pump::{ClientSide, Outcome, Relay};
pub use replies::ReplyError;
pub use requests::RequestError;

use std::fmt;
use std::time::{Duration, Instant};

use crate::server::{Fate, Server};
use crate::session::VirtualSession;
use crate::stats::{ErrorCounts, PoolCells};
use crate::types::TransactionStatus;

/// Both sides of a conversation, and where it is counted.
#[derive(Debug)]
pub struct Conversation<'a> {
    /// What the client believes.
    pub session: &'a mut VirtualSession,
    /// The server it holds.
    pub server: &'a mut Server,
    /// How names of prepared statements are treated.
    pub names: Names,
    /// When the server is let go.
    pub release: Release,
    /// Where it is counted.
    pub cells: &'a PoolCells,
    /// Where errors are counted.
    pub errors: &'a ErrorCounts,
    /// What the conversation's timeouts are measured from.
    pub clock: &'a mut Clock,
    /// What the client may keep.
    pub keeping: Keeping<'a>,
    /// `max_session_state`.
    pub state_limit: usize,
    /// `max_packet_size`.
    pub packet_limit: usize,
    /// Who can make idle servers give way.
    pub way: &'a dyn MakeWay,
}

/// Whoever can close the idle servers of a database, so that a statement finds it out of use.
pub trait MakeWay: fmt::Debug {
    /// Closes those of this database, by its name on the server.
    fn make_way(&self, database: &[u8]);
}

/// How names of prepared statements are treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Names {
    /// Shared: each server holds at most `limit` statements.
    Virtual {
        /// `max_prepared_statements`.
        limit: usize,
    },
    /// As the client writes them: the server is the client's alone, or nothing is to be done about them.
    Raw,
}

/// When the server is let go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// After each transaction.
    Transaction,
    /// After each statement; a transaction block is refused.
    Statement,
    /// When the client leaves.
    Never,
}

/// When things began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clock {
    /// The requests outstanding now.
    pub requests_since: Option<Instant>,
    /// The client's silence while it holds its server.
    pub idle_since: Option<Instant>,
    /// The transaction; `None` between two of them.
    pub transaction_since: Option<Instant>,
}

impl Conversation<'_> {
    /// Requests were sent.
    fn requests_began(&mut self) {
        if self.clock.requests_since.is_none() {
            let now = Instant::now();
            self.clock.requests_since = Some(now);
            let is_inside = self.clock.transaction_since.is_some();
            self.clock.transaction_since.get_or_insert(now);
            if let Some(idle) = self.clock.idle_since.take().filter(|_| is_inside) {
                self.cells
                    .idle_in_transaction_micros
                    .add(micros(now.saturating_duration_since(idle)));
            }
        }
    }

    #[cold]
    fn trace_ended(&mut self, outcome: &'static str) {
        let traced = std::mem::take(&mut self.server.traced);
        let Keeping { records, record, .. } = self.keeping;
        records.tracer.transaction(traced, record, &self.server.record, outcome);
    }

    /// The server said ReadyForQuery to the client. `before`: what it had said the last time.
    fn query_ended(&mut self, before: TransactionStatus, now: Instant) {
        self.cells.queries.add(1);
        let fate = std::mem::take(&mut self.server.fate);
        let is_over = self.server.progress.status() == TransactionStatus::Idle;
        let since = self.clock.requests_since.unwrap_or(now);
        let took = now.saturating_duration_since(since);
        self.cells.query.observe(took);
        self.cells.query_micros.add(micros(took));
        // The next one of a pipeline begins where this one ended.
        self.clock.requests_since = (!self.server.progress.waits_for_client()).then_some(now);
        self.clock.idle_since = self.clock.requests_since.is_none().then_some(now);
        if is_over {
            self.cells.transactions.add(1);
            let outcome = match fate {
                Fate::Good => "commit",
                Fate::Failed if before == TransactionStatus::Idle => {
                    self.cells.failed.add(1);
                    "error"
                }
                // A block whose COMMIT fails is undone, too.
                Fate::Undone | Fate::Failed => {
                    self.cells.rolled_back.add(1);
                    "rollback"
                }
            };
            if self.server.traced.is_open() {
                self.trace_ended(outcome);
            }
            let since = self.clock.transaction_since.take().unwrap_or(now);
            self.cells.transaction_micros.add(micros(now.saturating_duration_since(since)));
            self.clock.transaction_since = self.clock.requests_since;
        }
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
