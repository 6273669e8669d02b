//! Names of prepared statements: what clients call them, and what servers do.
//!
//! A client's Parse is either sent under the statement's shared name or, where the server holds the statement already,
//! answered in the server's place. Errors are always the server's own: a name the client does not know is sent as it
//! is, so that PostgreSQL says so, in its own words and at its own place in the conversation.

use std::sync::Arc;

use memchr::{memchr, memmem};

use super::Conversation;
use crate::server::progress::{Entry, Origin, Request};
use crate::server::{Server, UNNAMED_UNKNOWN};
use crate::session::statement::{SERVER_PREFIX, Statement};
use crate::sql::Action;
use crate::stats::Cause;
use crate::types::TransactionStatus;
use crate::wire::frame::{self, HEADER};
use crate::wire::frontend;

/// What becomes of a client's Parse.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ParseFate {
    /// Send it, under this name if one is given.
    Send(Option<Vec<u8>>),
    /// Look at it again when the server has answered more.
    Wait,
    /// Drop it: pgusher answers.
    Answer,
}

/// What a client's name for a statement stands for.
#[derive(Debug)]
pub(super) enum Named {
    /// A statement that the server holds under another name.
    Shared(Arc<Statement>),
    /// Nothing; the server is to be asked for what it cannot have.
    Nothing(Vec<u8>),
    /// What the server calls so itself.
    Own,
}

impl Named {
    /// The shared statement.
    pub(super) fn statement(&self) -> Option<&Arc<Statement>> {
        match self {
            Named::Shared(statement) => Some(statement),
            Named::Nothing(_) | Named::Own => None,
        }
    }

    /// The name to send instead of the client's.
    pub(super) fn renamed(&self) -> Option<&[u8]> {
        match self {
            Named::Shared(statement) => Some(statement.server_name()),
            Named::Nothing(name) => Some(name),
            Named::Own => None,
        }
    }
}

/// Holdings are a detail of the server's; see [`crate::server::Prepared`].
use crate::server::Holding;

impl Conversation<'_> {
    /// A client gives a statement a name. What must be sent first is appended to `before`.
    pub(super) fn parse_named(
        &mut self,
        limit: usize,
        name: &[u8],
        content: &[u8],
        before: &mut Vec<u8>,
    ) -> ParseFate {
        if self.session.statement(name).is_some() {
            // The one that has the name may be about to fail, in a batch before this one.
            if self.server.progress.awaits_ready() {
                return ParseFate::Wait;
            }
            self.provoke_duplicate(name, before);
            return ParseFate::Send(None);
        }
        let Ok(statement) = self.session.statements.intern(content, &self.session.scope()) else {
            return self.parse_private();
        };
        if self.is_doubtful(&statement) {
            return ParseFate::Wait;
        }
        self.cells.client_parses.add(1);
        self.session.name_statement(name.into(), Arc::clone(&statement));
        let entry = |origin| Entry::new(Request::Parse, origin).about(&statement).named(name);
        let holding = match self.server.prepared.touch(&statement) {
            // Whoever parses now wants what the statement means now.
            Holding::Current if !self.server.prepared.is_fresh(&statement) => Holding::Stale,
            holding => holding,
        };
        if holding == Holding::Current && self.server.progress.status() != TransactionStatus::Failed
        {
            self.server.progress.sent(entry(Origin::Local));
            return ParseFate::Answer;
        }
        self.make_room(limit, &statement, holding, before);
        self.server.progress.sent(entry(Origin::Client));
        self.enter(&statement);
        ParseFate::Send(Some(statement.server_name().to_vec()))
    }

    /// True when a statement has this name, whatever comes of the requests under way.
    pub(super) fn is_taken(&self, name: &[u8]) -> bool {
        self.session.statement(name).is_some() && !self.server.progress.awaits_ready()
    }

    /// The client is told less.
    pub(super) fn log_name_in_use(&self, name: &[u8]) {
        let (client, name) = (self.keeping.record, String::from_utf8_lossy(name));
        let (database, user) = (&client.database, &client.user);
        let peer = client.peer.map_or_else(|| "unix".to_owned(), |peer| peer.to_string());
        tracing::error!(client = client.id, %database, %user, %peer, "prepared statement '{}' was already prepared", name.escape_debug());
    }

    /// True when no statement has this name, be it only on the client's own server.
    pub(super) fn is_unknown(&self, name: &[u8]) -> bool {
        let is_private = || self.session.has_private_statements();
        !name.is_empty() && self.session.statement(name).is_none() && !is_private()
    }

    /// A statement that cannot be shared, since it is too large or the memory for statements is used up, keeps the
    /// client on this server.
    pub(super) fn parse_private(&mut self) -> ParseFate {
        self.cells.client_parses.add(1);
        self.pin_for_statements();
        self.server.progress.sent(Entry::client(Request::Parse));
        ParseFate::Send(None)
    }

    fn pin_for_statements(&mut self) {
        self.session.pin(Cause::Statement);
        self.server.needs_reset = true;
    }

    /// The name is taken: make the server find that out. The statement that takes the name there is closed behind the
    /// client's next Sync.
    fn provoke_duplicate(&mut self, name: &[u8], before: &mut Vec<u8>) {
        // A shared statement may have the very name. And after a first duplicate the server skips to the Sync.
        let held = self.is_held(name);
        let stray = &mut self.session.portals.get_or_insert_default().stray;
        if !held && stray.is_none() {
            *stray = Some(name.into());
            frontend::put_parse(before, name, b"\0\0\0");
            self.server.progress.sent(Entry::new(Request::Parse, Origin::Injected));
        }
        self.server.progress.sent(Entry::client(Request::Parse));
    }

    /// True when a batch that is under way makes the statement, and may fail before it does: a batch behind that one
    /// must not count on it.
    fn is_doubtful(&self, statement: &Statement) -> bool {
        let progress = &self.server.progress;
        let batch = || self.server.prepared.batch(statement);
        progress.awaits_ready() && batch().is_some_and(|batch| progress.is_open(batch))
    }

    /// True when what this name means depends on a batch that is under way.
    pub(super) fn must_wait(&self, name: &[u8]) -> bool {
        match self.session.statement(name) {
            Some(statement) => self.is_doubtful(statement),
            None if name.is_empty() => self.is_unnamed_doubtful(),
            None => self.server.progress.may_keep(name),
        }
    }

    /// True when the client's unnamed statement was sent in a batch that may yet fail before it. What the server would
    /// use in its place may be somebody else's.
    fn is_unnamed_doubtful(&self) -> bool {
        let (progress, version) = (&self.server.progress, self.session.unnamed.version());
        let makes = |entry: &&Entry| entry.request == Request::Parse && entry.unnamed == version;
        version != 0
            && progress.awaits_ready()
            && progress.pending().rev().find(makes).is_some_and(|made| progress.is_open(made.batch))
    }

    /// True when the server holds a shared statement under this very name.
    fn is_held(&self, name: &[u8]) -> bool {
        let id = name.strip_prefix(SERVER_PREFIX).and_then(|id| str::from_utf8(id).ok());
        id.and_then(|id| id.parse().ok()).is_some_and(|id| self.server.prepared.holds(id))
    }

    /// Makes sure that the server holds a statement; what must be sent first is appended to `before`.
    pub(super) fn ensure_held(
        &mut self,
        limit: usize,
        statement: &Arc<Statement>,
        before: &mut Vec<u8>,
    ) {
        let holding = self.server.prepared.touch(statement);
        if holding == Holding::Current {
            return;
        }
        self.make_room(limit, statement, holding, before);
        frontend::put_parse(before, statement.server_name(), statement.content());
        self.server.progress.sent(Entry::new(Request::Parse, Origin::Injected).about(statement));
        self.enter(statement);
    }

    /// Closes the server's stale copy, or what was not used for longest.
    fn make_room(
        &mut self,
        limit: usize,
        statement: &Arc<Statement>,
        holding: Holding,
        before: &mut Vec<u8>,
    ) {
        if holding == Holding::Missing {
            // It may be there nevertheless, if the batch that was to close it failed before it did. Closing it is cheap
            // against parsing it.
            frontend::put_close_statement(before, statement.server_name());
            self.server.progress.sent(Entry::new(Request::Close, Origin::Injected));
        } else {
            self.server.prepared.remove(statement);
            self.close_on_server(statement, before);
        }
        while let Some(oldest) = self.server.prepared.evict(limit) {
            self.cells.evictions.add(1);
            self.close_on_server(&oldest, before);
        }
    }

    fn close_on_server(&mut self, statement: &Arc<Statement>, before: &mut Vec<u8>) {
        frontend::put_close_statement(before, statement.server_name());
        self.server.progress.sent(Entry::new(Request::Close, Origin::Injected).about(statement));
    }

    fn enter(&mut self, statement: &Arc<Statement>) {
        self.cells.server_parses.add(1);
        self.server.prepared.insert(statement, self.server.progress.batch());
        let held = u32::try_from(self.server.prepared.len()).unwrap_or(u32::MAX);
        self.server.record.prepared.store(held, std::sync::atomic::Ordering::Relaxed);
    }

    /// A client makes its unnamed statement.
    pub(super) fn parse_unnamed(&mut self, content: &[u8]) {
        let unnamed = &mut self.session.unnamed;
        let version = match self.server.progress.is_quiet() {
            true => unnamed.replace(content),
            false => unnamed.stack(content),
        };
        if unnamed.is_heavy() {
            self.pin_for_statements();
        }
        self.server.unnamed = version;
        self.server.progress.sent(Entry::client(Request::Parse).unnamed(version));
    }

    /// The server has done what the request at the head asks for: that may settle which unnamed statement there is.
    pub(super) fn parsed(&mut self) {
        if self.session.unnamed.is_stacked()
            && let Some(head) = self.server.progress.head().filter(|head| head.unnamed != 0)
        {
            self.session.unnamed.made(head.unnamed);
        }
    }

    /// Where the unnamed statement deallocates a shared one, it has to call it by its name on the server. Sharing is
    /// none of the statement's business: the server makes it again when it is wanted.
    pub(super) fn deallocation(&mut self, limit: usize, before: &mut Vec<u8>) -> Option<Vec<u8>> {
        let verdict = self.session.portals.as_ref()?.unnamed_statement()?;
        let Action::Deallocate(Some(name)) = &verdict.single()?.action else { return None };
        let statement = Arc::clone(self.session.statement(name)?);
        self.ensure_held(limit, &statement, before);
        Some([b"DEALLOCATE \"", statement.server_name(), b"\""].concat())
    }

    /// A statement was deallocated by name.
    pub(super) fn deallocated(&mut self, name: &[u8]) {
        if let Some(statement) = self.session.forget_statement(name) {
            self.server.prepared.remove(&statement);
        }
    }

    /// Makes sure that the server's unnamed statement is the client's, or none.
    pub(super) fn ensure_unnamed(&mut self, before: &mut Vec<u8>) {
        let version = self.session.unnamed.version();
        if self.server.unnamed == version || self.session.has_private_statements() {
            return;
        }
        if version == 0 {
            frontend::put_close_statement(before, b"");
            self.server.progress.sent(Entry::new(Request::Close, Origin::Injected));
        } else {
            frontend::put_parse(before, b"", self.session.unnamed.content());
            let entry = Entry::new(Request::Parse, Origin::Injected).unnamed(version);
            self.server.progress.sent(entry);
        }
        self.server.unnamed = version;
    }

    /// What a client's name stands for. What must be sent first is appended to `before`.
    pub(super) fn resolve(&mut self, limit: usize, name: &[u8], before: &mut Vec<u8>) -> Named {
        if name.is_empty() {
            self.ensure_unnamed(before);
            return Named::Own;
        }
        if let Some(statement) = self.session.statement(name).map(Arc::clone) {
            self.ensure_held(limit, &statement, before);
            return Named::Shared(statement);
        }
        // Another client's statement must not answer to a name that this client made up.
        if self.is_held(name) { Named::Nothing([b"~", name].concat()) } else { Named::Own }
    }

    /// The server has dropped all statements. Those that requests behind this one make come after that.
    pub(super) fn forget_statements(&mut self) {
        self.session.forget_all_statements();
        let Server { progress, prepared, .. } = &mut *self.server;
        prepared.clear();
        for entry in progress.pending().filter(|entry| entry.request == Request::Parse) {
            let Some(statement) = &entry.statement else { continue };
            if entry.origin != Origin::Local {
                prepared.insert(statement, entry.batch);
            }
            if let Some(name) = &entry.name {
                self.session.name_statement(name.clone(), Arc::clone(statement));
            }
        }
    }

    /// Takes back what was entered for a request that failed or was skipped.
    pub(super) fn undo(
        session: &mut crate::session::VirtualSession,
        unnamed: &mut u64,
        entry: &Entry,
    ) {
        match (entry.request, entry.origin, &entry.name, &entry.statement) {
            // A later batch may have given the name to another statement.
            (Request::Parse, Origin::Client | Origin::Local, Some(name), Some(statement))
                if session.statement(name).is_some_and(|named| Arc::ptr_eq(named, statement)) =>
            {
                session.forget_statement(name);
            }
            (Request::Close, Origin::Local, Some(name), Some(statement))
                if session.statement(name).is_none() =>
            {
                session.name_statement(name.clone(), Arc::clone(statement));
            }
            (Request::Parse, Origin::Client, None, None) => {
                session.unnamed.skipped(entry.unnamed);
                doubt(unnamed, entry);
            }
            // What was to replace or drop the unnamed statement may not have been executed.
            (Request::Query | Request::Close, Origin::Client, _, _)
            | (Request::Parse | Request::Close, Origin::Injected, _, None) => doubt(unnamed, entry),
            _ => {}
        }
    }
}

impl Conversation<'_> {
    /// An error that calls a shared statement by its name on the server, with the client's name for it; `None` for any
    /// other error.
    pub(super) fn in_clients_words(&self, message: &[u8]) -> Option<Vec<u8>> {
        let at = memmem::find(message, SERVER_PREFIX)?;
        let statement = self.server.progress.head()?.statement.as_ref()?;
        let name = self.session.name_of(statement)?;
        let behind = at + memchr(b'"', message.get(at..)?)?;
        let mut told = [message.get(..at)?, name, message.get(behind..)?].concat();
        let whole = frame::header(message).ok()??.size == message.len();
        let size = u32::try_from(told.len() - 1).ok().filter(|_| whole)?;
        told.get_mut(1..HEADER)?.copy_from_slice(&size.to_be_bytes());
        Some(told)
    }
}

/// The server may not hold the unnamed statement that the request was to leave, unless a later request leaves another.
fn doubt(unnamed: &mut u64, entry: &Entry) {
    if *unnamed == entry.unnamed {
        *unnamed = UNNAMED_UNKNOWN;
    }
}
