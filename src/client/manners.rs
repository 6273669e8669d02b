//! How clients are spoken to, in ways that only a restart changes.

use crate::config::{Compat, LogFormat, Process};
use crate::wire::{ErrorFields, Severity};

/// How clients are spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Manners {
    /// Clients read PgBouncer's words, and lose their sessions where PgBouncer closes them.
    pub like_pgbouncer: bool,
    /// The log has PgBouncer's words.
    pub log_in_brief: bool,
    /// `disable_pqexec`.
    pub refuses_simple: bool,
}

impl Manners {
    /// As the configuration says.
    pub fn new(process: &Process) -> Self {
        let like_pgbouncer = process.compat == Compat::PgBouncer;
        Manners {
            like_pgbouncer,
            log_in_brief: like_pgbouncer || process.log_format == LogFormat::PgBouncer,
            refuses_simple: process.disable_pqexec,
        }
    }

    /// What a client reads of a reply.
    pub(super) fn told(self, fields: ErrorFields) -> ErrorFields {
        if self.like_pgbouncer { fields.in_brief() } else { fields }
    }

    /// The same where PgBouncer would end the session.
    pub(super) fn ended(self, fields: ErrorFields) -> ErrorFields {
        self.told(fields).severity(Severity::Fatal)
    }

    /// PgBouncer's words for the log, where they are wanted.
    pub(super) fn log_words(self, fields: &ErrorFields) -> Option<&str> {
        self.log_in_brief.then(|| fields.brief.as_deref().unwrap_or(&fields.message))
    }
}
