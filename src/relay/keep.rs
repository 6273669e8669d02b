//! What ties a client to its server: statements that do are admitted or refused before they are sent, and when the
//! server is at rest its catalog is asked whether the tie still holds.

use std::sync::Arc;
use std::task::Waker;
use std::time::Instant;

use super::Conversation;
use crate::server::progress::Purpose;
use crate::session::channels::{Listening, OwnPost};
use crate::session::exchange::{Listener, Readiness};
use crate::session::pins::{LASTING, Pinned, causes_of, causes_of_all, sequence_use};
use crate::session::statement::{Statement, sql_of};
use crate::sql::{self, Action, Piece, Traits, Verdict};
use crate::stats::{
    Cause, Causes, ClientRecord, Offence, PinFacts, PoolPins, Records, StatementNote,
};
use crate::types::{TransactionStatus, Unsharable};
use crate::wire::{ErrorFields, backend};

/// What a client may keep, and where that is entered.
pub struct Keeping<'a> {
    /// `unsharable_state`.
    pub policy: Unsharable,
    /// `max_pinned`, as a number.
    pub max_pinned: usize,
    /// The pool's pins.
    pub pins: &'a Arc<PoolPins>,
    /// Who is there.
    pub records: &'a Arc<Records>,
    /// The client.
    pub record: &'a ClientRecord,
    /// Gives the client a place at its database's exchange.
    pub join: &'a dyn Fn() -> Listener,
    /// What the client is told.
    pub words: fn(Refusal<'_>) -> ErrorFields,
    /// The client's task.
    pub waker: &'a Waker,
}

impl std::fmt::Debug for Keeping<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keeping").field("policy", &self.policy).finish_non_exhaustive()
    }
}

/// Why a statement is not sent, or why the client is warned.
#[derive(Clone, Debug)]
pub enum Refusal<'a> {
    /// What it does cannot be shared, and may not be kept.
    Unsharable(Causes),
    /// As many clients keep their servers as may.
    TooManyPins(Causes, &'a Keeping<'a>),
    /// What it does will be discarded.
    Discarded(Causes),
    /// The channel cannot be listened to.
    NoChannel(ErrorFields),
    /// The client listens to as many channels as it may.
    TooManyChannels(usize),
}

/// Whether a statement is sent.
pub(super) enum Admission {
    /// It is.
    Pass,
    /// Not yet.
    Wait,
    /// This is said instead.
    Refuse(Box<ErrorFields>),
}

impl Conversation<'_> {
    /// Decides whether a statement is sent. `sql` is its text.
    pub(super) fn admit(&mut self, verdict: &Verdict, sql: &[u8]) -> Admission {
        if self.server.progress.status() == TransactionStatus::Failed {
            return Admission::Pass;
        }
        // What is asked about now is about what was before.
        if self.session.pins.as_ref().is_some_and(|pinned| pinned.asked.is_some()) {
            return Admission::Wait;
        }
        for piece in &verdict.pieces {
            if let Action::Listen(channel) = &piece.action {
                match self.admit_channel(channel) {
                    Admission::Pass => self.note_offence("listen", sql),
                    other => return other,
                }
            }
        }
        let causes = causes_of_all(verdict).or(self.admit_sequences(verdict, sql));
        match self.tie(causes, sql) {
            Ok(()) => Admission::Pass,
            Err(fields) => Admission::Refuse(fields),
        }
    }

    fn admit_channel(&mut self, channel: &[u8]) -> Admission {
        // The next ReadyForQuery has to be this statement's own: it settles what is listened to.
        if self.server.progress.awaits_ready() {
            return Admission::Wait;
        }
        let join = self.keeping.join;
        let (channels, own) = Default::default();
        let new = || Listening { channels, listener: join(), own };
        let listening = self.session.listening.get_or_insert_with(|| Box::new(new()));
        let refusal = match listening.listener.readiness(channel, self.keeping.waker) {
            Readiness::Ready => return Admission::Pass,
            Readiness::Waiting => return Admission::Wait,
            Readiness::Refused(fields) => Refusal::NoChannel(fields),
            Readiness::TooMany(limit) => Refusal::TooManyChannels(limit),
        };
        Admission::Refuse(Box::new((self.keeping.words)(refusal)))
    }

    /// What `nextval` leaves matters only for clients that use it in a later transaction.
    fn admit_sequences(&mut self, verdict: &Verdict, sql: &[u8]) -> Causes {
        let (uses, leaves) = sequence_use(verdict);
        let known = self.session.sequences.is_here || self.session.ties().has(Cause::Sequence);
        if uses && !leaves && !known {
            self.note_offence(Cause::Sequence.as_str(), sql);
            self.session.sequences.is_used = true;
            if self.keeping.policy == Unsharable::Error {
                return Cause::Sequence.into();
            }
            // Nobody finds what another client has left.
            self.session.sequences.is_stale = true;
            return Causes::NONE;
        }
        self.session.sequences.is_here |= leaves;
        if leaves && self.session.sequences.is_used { Cause::Sequence.into() } else { Causes::NONE }
    }

    /// The client is about to hold something that only this server has.
    fn tie(&mut self, causes: Causes, sql: &[u8]) -> Result<(), Box<ErrorFields>> {
        let new = causes.without(self.session.ties());
        if let Some(pinned) = &mut self.session.pins {
            pinned.pins.begin(causes);
        }
        if new.is_empty() {
            return Ok(());
        }
        for cause in new.iter() {
            self.note_offence(cause.as_str(), sql);
        }
        match self.keeping.policy {
            Unsharable::Error => Err(Box::new((self.keeping.words)(Refusal::Unsharable(new)))),
            Unsharable::Warn => {
                self.keeping.pins.warn(new);
                self.server.needs_reset = true;
                Ok(())
            }
            Unsharable::Pin => self.pin(causes, sql, self.keeping.max_pinned),
        }
    }

    fn pin(&mut self, causes: Causes, sql: &[u8], limit: usize) -> Result<(), Box<ErrorFields>> {
        self.server.needs_reset = true;
        if let Some(pinned) = &mut self.session.pins {
            pinned.pins.begin(causes);
            pinned.show();
            return Ok(());
        }
        let statement = self.fingerprint(sql);
        let (client, server) = (self.keeping.record.id, self.server.record.id);
        let facts = PinFacts { client, server, causes, statement, since: Instant::now() };
        tracing::debug!(client, server, ?causes, statement = %facts.statement, "client keeps its server");
        let Some(guard) = self.keeping.pins.pin(self.keeping.records, limit, facts) else {
            let refusal = Refusal::TooManyPins(causes, &self.keeping);
            return Err(Box::new((self.keeping.words)(refusal)));
        };
        let mut pinned = Pinned { pins: Default::default(), guard, asked: None };
        pinned.pins.begin(causes);
        self.session.pins = Some(Box::new(pinned));
        Ok(())
    }

    fn fingerprint(&self, sql: &[u8]) -> Arc<str> {
        sql::fingerprint(sql, self.session.quoting(Some(&self.server.reported))).into()
    }

    /// Enters what would break under a plain transaction pooler.
    pub(super) fn note_offence(&self, cause: &str, sql: &[u8]) {
        let (record, client) = (self.keeping.record, self.keeping.record.id);
        let (database, statement) = (Arc::clone(&record.database), self.fingerprint(sql));
        let application = Arc::clone(&record.application_name.lock());
        let offence = Offence {
            database: Arc::clone(&database),
            application: Arc::clone(&application),
            statement: statement.to_string(),
            cause: cause.to_owned(),
        };
        // Once, not each time: SHOW AUDIT counts them.
        if self.keeping.records.audit.note(offence) {
            tracing::info!(client, %database, %application, cause, %statement, "statement leaves what cannot be shared");
        }
    }

    /// A statement is bound: it is what the server does next, and what it leaves may be looked for.
    pub(super) fn note_bound(&mut self, statement: Option<&Statement>) {
        let unnamed = self.session.unnamed.content();
        let content = statement.map_or(unnamed, Statement::content);
        // Only what is kept is looked at: statements may be long.
        let start = content.get(..StatementNote::LONGEST).unwrap_or(content);
        self.server.record.statement.write(sql_of(start));
        if self.keeping.records.tracer.is_on() {
            self.server.traced.note(sql_of(content));
        }
        if self.server.audit.is_due {
            self.server.audit.note(sql_of(content));
        }
    }

    /// What the client is told about a statement that has just succeeded.
    pub(super) fn warning(&self) -> Option<ErrorFields> {
        if self.keeping.policy != Unsharable::Warn {
            return None;
        }
        let head = self.server.progress.head()?;
        let piece = head.verdict.as_ref()?.pieces.get(head.over)?;
        let causes = causes_of(piece).without(self.session.ties());
        (!causes.is_empty()).then(|| (self.keeping.words)(Refusal::Discarded(causes)))
    }

    /// A statement has succeeded: `piece` is the statement, where it concerns the session.
    pub(super) fn note_completed(&mut self, tag: &[u8], piece: Option<&Piece>) {
        if self.session.sequences.is_used {
            self.note_sequences(tag, piece);
        }
        if let (Some(pinned), Some(piece)) = (&mut self.session.pins, piece) {
            pinned.pins.completed(piece);
            pinned.show();
        }
        self.server.is_spent |= piece.is_some_and(|p| !causes_of(p).and(LASTING).is_empty());
        let action = piece.map(|piece| &piece.action);
        self.server.listens |= matches!(action, Some(Action::Listen(_)));
        let Some(listening) = &mut self.session.listening else { return };
        let calls = piece.is_some_and(|piece| piece.traits.has(Traits::NOTIFY));
        if calls || matches!(action, Some(Action::Notify(_))) {
            listening.own = OwnPost::Sent;
        }
        match (tag, action) {
            (b"COMMIT" | b"PREPARE TRANSACTION", _) => listening.channels.commit(),
            (b"ROLLBACK", Some(Action::RollbackTo(name))) => listening.channels.back_to(name),
            (b"ROLLBACK", _) => listening.channels.roll_back(),
            (_, Some(action)) => listening.channels.completed(action),
            _ => {}
        }
    }

    /// A client that uses what `nextval` leaves keeps the server that has it. An INSERT may have called it unseen.
    fn note_sequences(&mut self, tag: &[u8], piece: Option<&Piece>) {
        let calls = piece.is_some_and(|piece| piece.traits.has(Traits::NEXTVAL | Traits::SETVAL));
        if !calls && !tag.starts_with(b"INSERT") {
            return;
        }
        self.session.sequences.is_here = true;
        // Where it may not be kept, the next transaction gets PostgreSQL's own error.
        let _ = self.tie(Cause::Sequence.into(), b"");
        if let Some(pinned) = &mut self.session.pins {
            pinned.pins.hold(Cause::Sequence.into());
        }
    }

    /// The server said ReadyForQuery.
    pub(super) fn settle_channels(&mut self) {
        if self.server.progress.status() == TransactionStatus::Idle
            && let Some(listening) = &mut self.session.listening
        {
            listening.end_transaction();
            if listening.channels.is_empty() {
                self.session.listening = None;
            }
        }
    }

    /// True when the server has to be asked or told something before it is let go.
    pub(super) fn has_chore(&self) -> bool {
        self.server.listens || self.session.has_loose_ends()
    }

    /// What that is, now that the server is at rest.
    pub(super) fn chore(&mut self) -> Option<(String, Purpose)> {
        if std::mem::take(&mut self.server.listens) {
            return Some(("UNLISTEN *".to_owned(), Purpose::Other));
        }
        let lasting = self.session.lasting;
        if !lasting.without(self.session.ties()).is_empty() {
            // Too late to refuse it.
            let _ = self.pin(lasting, b"", usize::MAX);
            if let Some(pinned) = &mut self.session.pins {
                pinned.pins.hold(lasting);
            }
        }
        let pinned = self.session.pins.as_mut()?;
        let asked = pinned.pins.question();
        pinned.asked = asked;
        pinned.show();
        if asked.is_none() && pinned.pins.is_empty() {
            self.session.pins = None;
        }
        asked.map(|asked| (question(asked), Purpose::Confirm))
    }

    /// The server's answer about what holds the client.
    pub(super) fn confirmed(&mut self, values: &[Option<&[u8]>]) {
        let Some(pinned) = &mut self.session.pins else { return };
        let Some(asked) = pinned.asked.take() else { return };
        let login = self.server.reported.get("session_authorization");
        let mut found = Causes::NONE;
        for (cause, value) in asked.iter().zip(values) {
            let is = match cause {
                Cause::SessionAuthorization => *value != login,
                _ => *value != Some(b"f"),
            };
            if is {
                found = found.or(cause.into());
            }
        }
        pinned.pins.answered(asked, found);
        pinned.show();
        if pinned.pins.is_empty() {
            tracing::debug!(
                client = self.keeping.record.id,
                "client does not keep its server any more"
            );
            self.session.pins = None;
        }
    }

    /// The server refused to answer.
    pub(super) fn unconfirmed(&mut self) {
        if let Some(pinned) = &mut self.session.pins {
            pinned.asked = None;
            pinned.pins.unanswered();
        }
    }

    /// True when the server says that a transaction is over, and what the client has sent in it to channels that it may
    /// listen to itself is still on its way.
    pub(super) fn awaits_own_post(&mut self, ready: &[u8]) -> bool {
        let Some(listening) = &mut self.session.listening else { return false };
        backend::ready_status(ready) == Some(TransactionStatus::Idle) && listening.awaits_own()
    }

    /// True when that was found, and has changed.
    pub(super) fn has_own_post(&self) -> bool {
        let listening = self.session.listening.as_ref();
        listening.is_some_and(|listening| match listening.own {
            OwnPost::Awaited(fence) => listening.listener.is_past(fence),
            _ => false,
        })
    }

    /// Notifications that are there, if any.
    pub(super) fn post(&mut self) -> Option<crate::session::exchange::Post> {
        Some(self.session.listening.as_ref()?.listener.take())
    }
}

/// One row with an answer for each cause, in the order of their numbers.
fn question(asked: Causes) -> String {
    let part = |cause| match cause {
        Cause::Prepare => "EXISTS(SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql)",
        Cause::AdvisoryLock => {
            "EXISTS(SELECT FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' AND \
             pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid())"
        }
        Cause::TempObject => {
            "EXISTS(SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) 2615 AND \
             refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())"
        }
        Cause::HoldCursor => "EXISTS(SELECT FROM pg_catalog.pg_cursors WHERE is_holdable)",
        _ => "session_user",
    };
    let parts: Vec<_> = asked.iter().map(part).collect();
    format!("SELECT {}", parts.join(","))
}
