//! A server connection and all that is known of the session behind it.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

use super::{Backend, Bulk, Prepared, Progress};
use crate::net::{Sends, Stream};
use crate::session::params::{self, ParamSet, ParamSets, Reported};
use crate::stats::{ServerRecord, Traced};
use crate::types::WorkerId;

/// Counts up over the process; never reused.
pub type ServerId = u64;

/// Requests were skipped, so that nobody knows whose unnamed statement the server holds, if any. Whoever needs one must
/// make or close it first.
pub const UNNAMED_UNKNOWN: u64 = u64::MAX;

/// When a server is audited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Transactions since it was last audited.
    pub since: usize,
    /// This transaction is one whose traces are looked for.
    pub is_due: bool,
    /// The beginning of the last statement, if so.
    pub statement: Vec<u8>,
}

impl Audit {
    /// Remembers a statement, if this is one whose traces are looked for. Those that end a transaction say nothing.
    pub fn note(&mut self, sql: &[u8]) {
        let first = sql.trim_ascii_start().first().map(u8::to_ascii_lowercase);
        if self.is_due && !matches!(first, Some(b'c' | b'r' | b'b' | b'e') if sql.len() < 12) {
            self.statement.clear();
            self.statement.extend_from_slice(sql.get(..1_024).unwrap_or(sql));
        }
    }
}

/// How a transaction ends, as far as the replies since the last ReadyForQuery tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fate {
    /// Nothing has gone wrong.
    #[default]
    Good,
    /// ROLLBACK is the last word, be it of a savepoint.
    Undone,
    /// There was an error.
    Failed,
}

/// A logged-in connection to PostgreSQL.
pub struct Server {
    /// The socket; registered with the runtime of `home`.
    pub stream: Stream,
    /// Where it can be cancelled.
    pub backend: Arc<Backend>,
    /// How thick its replies come.
    pub bulk: Bulk,
    /// What is outstanding on it.
    pub progress: Progress,
    /// The parameters its session holds, beyond its defaults.
    pub applied: Arc<ParamSet>,
    /// Its defaults.
    pub reported: Arc<Reported>,
    /// Shared statements it holds.
    pub prepared: Prepared,
    /// Whose unnamed statement it holds: none (0), [`UNNAMED_UNKNOWN`], or that of a client's version.
    pub unnamed: u64,
    /// Its open transaction has changed a schema.
    pub altered: bool,
    /// The next client must not find what the last one left: run the reset query before it is shared again.
    pub needs_reset: bool,
    /// It holds what nothing takes away: it is closed instead of being shared again.
    pub is_spent: bool,
    /// Nobody has used it since it was made or reset.
    pub is_reset: bool,
    /// `connect_query` has set it up.
    pub is_greeted: bool,
    /// It listens to a channel that the exchange listens to.
    pub listens: bool,
    /// How the open transaction is about to end.
    pub fate: Fate,
    /// What is known of it for a span.
    pub traced: Traced,
    /// What its present holder leaves is looked at.
    pub audit: Audit,
    /// The thread its socket is registered with.
    pub home: WorkerId,
    /// What the console shows of it.
    pub record: Arc<ServerRecord>,
    /// When it logged in.
    pub connected_at: Instant,
    /// When it was last given back.
    pub last_used: Instant,
    /// Part of the configured lifetime, drawn at login, so that servers made together do not end together.
    pub lifetime_share: f64,
    pub(super) param_sets: Arc<ParamSets>,
}

impl Server {
    /// Takes note of a ParameterStatus: the session's value is `value` now.
    pub fn note_parameter(&mut self, name: &str, value: &[u8]) {
        if params::is_settable(name) {
            let beyond_default = (self.reported.get(name) != Some(value)).then_some(value);
            self.applied = self.param_sets.with(&self.applied, name, beyond_default);
        }
    }

    /// Takes note of a parameter that is not reported: the session's value is `value` now, or its default.
    pub fn hold_param(&mut self, name: &str, value: Option<&[u8]>) {
        self.applied = self.param_sets.with(&self.applied, name, value);
    }

    /// The one object for these parameters.
    pub fn intern(&self, values: params::Values) -> Arc<ParamSet> {
        self.param_sets.intern(values)
    }

    /// The session's state was discarded (DISCARD ALL): parameters and named statements.
    pub fn note_discarded(&mut self) {
        self.applied = self.param_sets.intern(params::Values::new());
        self.prepared.clear();
    }

    /// Nobody is holding it any more: what it sends next is heard as it comes.
    pub fn calm(&mut self) {
        self.bulk.end(&mut self.stream);
    }

    /// Moves the socket to the current runtime, whose thread is `home`, and its sends to that thread's.
    ///
    /// # Errors
    /// When it cannot be registered; the connection is lost then.
    pub fn rehome(
        mut self: Box<Self>,
        home: WorkerId,
        sends: &Arc<Sends>,
    ) -> std::io::Result<Box<Self>> {
        if self.home != home {
            self.stream = self.stream.rehome(Some(sends))?;
            self.home = home;
        }
        Ok(self)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("id", &self.record.id)
            .field("pid", &self.backend.pid)
            .field("home", &self.home)
            .field("progress", &self.progress)
            .finish_non_exhaustive()
    }
}
