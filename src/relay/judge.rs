//! What the client's requests would do to its session, found out before they are sent.

use std::sync::Arc;

use super::keep::Admission;
use super::locals;
use super::requests::{Look, Requests};
use super::{Conversation, Release, RequestError};
use crate::server::progress::{Entry, Origin, Purpose, Request};
use crate::session::MAX_UNNAMED;
use crate::session::replay::{ask_sql, replay_inside, replay_whole};
use crate::session::statement::{Statement, sql_of, type_of};
use crate::sql::{self, Action, Quoting, Value, Verdict};
use crate::types::TransactionStatus;
use crate::wire::Header;
use crate::wire::frame::HEADER;
use crate::wire::frontend::{BindNames, BindValues, Parse, execute_portal, put_query, read_query};

impl Conversation<'_> {
    /// The session is the server's own: there is nothing to be kept apart.
    fn is_private(&self) -> bool {
        self.release == Release::Never
    }

    fn quoting(&self) -> Quoting {
        self.session.quoting(Some(&self.server.reported))
    }

    /// True when the server's parameters must be made the client's before the next request.
    pub(super) fn must_restore(&self) -> bool {
        (self.session.changes.is_some() || self.session.is_pinned())
            && self.differs()
            && self.server.progress.is_quiet()
            && self.server.progress.status() != TransactionStatus::Failed
    }

    /// True when values have to be asked for, and the server can answer.
    pub(super) fn must_ask(&self) -> bool {
        self.server.progress.is_quiet()
            && self.server.progress.status() == TransactionStatus::Idle
            && self.session.changes.as_ref().is_some_and(|changes| !changes.unknown().is_empty())
    }

    /// The client's unnamed statement is this one.
    pub(super) fn judge_unnamed(&mut self, content: &[u8]) {
        let verdict = match self.is_private() {
            false => sql::judge(sql_of(content), || self.quoting()).map(Arc::new),
            true => None,
        };
        if verdict.is_some() || self.session.portals.is_some() {
            self.session.portals.get_or_insert_default().set_unnamed_statement(verdict);
        }
    }

    /// The same for a client whose names are not followed.
    fn judge_raw(&mut self, parse: Parse<'_>) {
        if parse.name.is_empty() {
            self.judge_unnamed(parse.content);
            if self.session.portals.is_some() {
                self.session.unnamed.replace(parse.content);
            }
        } else if sql::judge(sql_of(parse.content), || self.quoting()).is_some() {
            self.keep_server();
        }
    }

    /// The verdict on a statement that is being bound.
    fn verdict(&self, statement: Option<&Arc<Statement>>) -> Option<Arc<Verdict>> {
        match statement {
            _ if self.is_private() => None,
            Some(statement) => statement.verdict(|| self.quoting()),
            None => self.session.portals.as_ref()?.unnamed_statement().cloned(),
        }
    }

    /// True when what binding this statement does depends on its values.
    pub(super) fn wants_values(&self, name: &[u8]) -> bool {
        let named = self.session.statement(name);
        let verdict = if named.is_none() && !name.is_empty() { None } else { self.verdict(named) };
        verdict.is_some_and(|verdict| verdict.pieces.iter().any(|piece| !piece.calls.is_empty()))
    }

    /// The parameter types a statement was given.
    fn type_of(&self, statement: Option<&Arc<Statement>>, parameter: u16) -> u32 {
        let content = statement.map_or(self.session.unnamed.content(), |s| s.content());
        type_of(content, parameter)
    }

    /// Takes note of what a portal would do to the session. `message` is the Bind, or what is there of it.
    pub(super) fn judge_bind(&mut self, statement: Option<&Arc<Statement>>, message: &[u8]) {
        let verdict = self.verdict(statement);
        if verdict.is_none() && self.session.portals.is_none() {
            return;
        }
        let Some(names) = BindNames::read(message) else { return };
        let verdict = verdict.map(|verdict| {
            if verdict.pieces.iter().all(|piece| piece.calls.is_empty()) {
                return verdict;
            }
            let values = BindValues::read(message);
            let known = |number| self.bound_value(statement, values.as_ref(), number);
            Arc::new(bound(&verdict, known))
        });
        let batch = self.server.progress.batch();
        self.session.portals.get_or_insert_default().bind(names.portal, verdict, batch);
    }

    /// The value of `$number` as text.
    fn bound_value(
        &self,
        statement: Option<&Arc<Statement>>,
        values: Option<&BindValues<'_>>,
        number: u16,
    ) -> Value {
        let Some((value, binary)) = values.and_then(|values| values.get(number)) else {
            return Value::Unknown;
        };
        match (self.type_of(statement, number), value) {
            (_, None) => Value::Default,
            (BOOL | ANY, Some([truth @ (0 | 1)])) if binary => {
                Value::Text(if *truth == 1 { b"true"[..].into() } else { b"false"[..].into() })
            }
            (BOOL, Some(text)) if !binary => Value::Text(text.into()),
            // Binary texts are the same bytes.
            (ANY | TEXT | VARCHAR | NAME | UNKNOWN, Some(text)) => Value::Text(text.into()),
            _ => Value::Unknown,
        }
    }

    /// Closes the idle servers of a database that a statement wants out of use.
    fn make_way(&self, verdict: &Verdict) {
        for piece in &verdict.pieces {
            match &piece.action {
                Action::DropDatabase(name) => self.way.make_way(name),
                Action::CreateDatabase { template, .. } => {
                    self.way.make_way(template.as_deref().unwrap_or(b"template1"));
                }
                _ => {}
            }
        }
    }

    /// The SQL that makes the server's parameters the client's, if there is anything to do.
    fn replay(&self) -> Option<String> {
        let (from, to) = (&self.server.applied, &self.session.params);
        match self.server.progress.status() {
            // What fails inside of a transaction fails the transaction.
            TransactionStatus::InTransaction => replay_inside(from, to),
            _ => replay_whole(from, to),
        }
    }

    /// The verdict on what a portal executes.
    fn portal(&self, message: &[u8]) -> Option<Arc<Verdict>> {
        self.session.portals.as_ref()?.get(execute_portal(message)?).cloned()
    }
}

/// Type OIDs of parameters (`pg_type.dat`); 0 is for the server to find out.
const ANY: u32 = 0;
const BOOL: u32 = 16;
const NAME: u32 = 19;
const TEXT: u32 = 25;
const UNKNOWN: u32 = 705;
const VARCHAR: u32 = 1043;

/// The verdict with the values of parameters put in.
fn bound(verdict: &Verdict, known: impl Fn(u16) -> Value) -> Verdict {
    let mut verdict = verdict.clone();
    for call in verdict.pieces.iter_mut().flat_map(|piece| &mut piece.calls) {
        for argument in [&mut call.name, &mut call.value, &mut call.local] {
            if let Value::Parameter(number) = argument {
                *argument = known(*number);
            }
        }
    }
    verdict
}

impl Requests {
    /// A simple query.
    pub(super) fn query(&mut self, header: Header, talk: &mut Conversation<'_>) -> Look {
        let entry = |verdict| Entry { verdict, ..Entry::client(Request::Query) };
        let seen = self.unseen();
        let seen = seen.get(HEADER..header.size.min(seen.len())).unwrap_or_default();
        talk.server.record.statement.write(seen.strip_suffix(b"\0").unwrap_or(seen));
        if talk.keeping.records.tracer.is_on() {
            talk.server.traced.note(seen);
        }
        if talk.is_private() {
            self.send_query(header, talk, entry(None));
            return Look::Next;
        }
        if header.size > MAX_UNNAMED {
            talk.session.unnamed.forget();
            talk.server.unnamed = 0;
            self.forward_long(header, talk, entry(None));
            return Look::Next;
        }
        if self.is_incomplete(header.size) {
            return Look::More;
        }
        let message = self.unseen().get(..header.size).unwrap_or_default();
        let sql = read_query(message).unwrap_or_default();
        talk.server.audit.note(sql);
        let Some(verdict) = sql::judge(sql, || talk.quoting()).map(Arc::new) else {
            self.send_query(header, talk, entry(None));
            return Look::Next;
        };
        let quiet = talk.server.progress.is_quiet_for_client();
        if !quiet && talk.server.progress.awaits_ready() {
            return self.postpone();
        }
        let status = talk.server.progress.status();
        if quiet && locals::are_local(&verdict, talk.session, status) {
            talk.session.unnamed.forget();
            let local = Entry::new(Request::Query, Origin::Local);
            talk.requests_began();
            talk.server.progress.sent(Entry { verdict: Some(verdict), ..local });
            self.drop_message(header.size);
            self.barrier = true;
            return Look::Next;
        }
        match talk.admit(&verdict, sql) {
            Admission::Pass => {}
            Admission::Wait => return self.postpone(),
            Admission::Refuse(fields) => {
                self.refuse_query(header, talk, fields);
                return Look::Next;
            }
        }
        if talk.session.sequences.is_stale {
            if talk.server.progress.is_quiet() && !talk.server.backend.shield() {
                return self.postpone();
            }
            talk.session.sequences.is_stale = false;
            self.inject(talk, "DISCARD SEQUENCES", Purpose::Other);
        }
        talk.make_way(&verdict);
        self.barrier = true;
        self.send_query(header, talk, entry(Some(verdict)));
        Look::Next
    }

    /// Makes the server's parameters the client's: one message in front of the client's own, its answer swallowed.
    pub(super) fn restore(&mut self, talk: &mut Conversation<'_>) {
        let sql = talk.replay();
        talk.server.applied = Arc::clone(&talk.session.params);
        let Some(sql) = sql else { return talk.server.backend.expose() };
        self.inject(talk, &sql, Purpose::Replay);
        talk.server.backend.begin();
        talk.cells.replays.add(1);
    }

    /// Asks for the values that only the server knows.
    pub(super) fn ask(&mut self, talk: &mut Conversation<'_>) {
        if let Some(changes) = &talk.session.changes {
            let sql = ask_sql(changes.unknown());
            self.inject(talk, &sql, Purpose::Ask);
        }
    }

    /// Asks the server something on pgusher's own account, in front of what the client asks next. The server is
    /// [shielded](crate::server::Backend::shield) then.
    pub(super) fn inject(&mut self, talk: &mut Conversation<'_>, sql: &str, purpose: Purpose) {
        let mut bytes = Vec::new();
        put_query(&mut bytes, sql);
        let entry = Entry { purpose, ..Entry::new(Request::Query, Origin::Injected) };
        talk.server.progress.sent(entry);
        // A simple query drops the unnamed statement.
        talk.server.unnamed = 0;
        self.insert(&bytes);
    }

    fn send_query(&mut self, header: Header, talk: &mut Conversation<'_>, entry: Entry) {
        talk.session.unnamed.forget();
        talk.server.unnamed = 0;
        self.forward(header, talk, entry);
    }

    /// Parse of a statement whose name is left to the client. What a named one does cannot be followed: where it
    /// concerns the session the client keeps its server.
    pub(super) fn parse_raw(
        &mut self,
        header: Header,
        talk: &mut Conversation<'_>,
    ) -> Result<Look, RequestError> {
        if !talk.is_private() {
            if header.size > MAX_UNNAMED {
                talk.keep_server();
            } else if self.is_incomplete(header.size) {
                return Ok(Look::More);
            } else {
                let message = self.unseen().get(..header.size).unwrap_or_default();
                talk.judge_raw(Parse::read(message)?);
            }
        }
        self.forward(header, talk, Entry::client(Request::Parse));
        Ok(Look::Next)
    }

    /// Bind of a statement whose name is left to the client.
    pub(super) fn bind_raw(
        &mut self,
        header: Header,
        talk: &mut Conversation<'_>,
    ) -> Result<Look, RequestError> {
        if talk.session.portals.is_some() {
            if header.size <= MAX_UNNAMED && self.is_incomplete(header.size) {
                return Ok(Look::More);
            }
            let message = self.unseen();
            talk.judge_bind(None, message.get(..header.size).unwrap_or(message));
        }
        talk.cells.binds.add(1);
        self.forward(header, talk, Entry::client(Request::Bind));
        Ok(Look::Next)
    }

    /// Execute. A batch that changes the session is answered before the next one is looked at.
    pub(super) fn execute(&mut self, header: Header, talk: &mut Conversation<'_>) -> Look {
        let mut verdict = None;
        if talk.session.portals.is_some() {
            if self.is_incomplete(header.size) {
                return Look::More;
            }
            verdict = talk.portal(self.unseen().get(..header.size).unwrap_or_default());
        }
        let statement = self.last_bound.clone();
        if let Some(verdict) = &verdict {
            let unnamed = talk.session.unnamed.content();
            let sql = sql_of(statement.as_ref().map_or(unnamed, |s| s.content())).to_vec();
            match talk.admit(verdict, &sql) {
                Admission::Pass => {}
                Admission::Wait => return self.postpone(),
                Admission::Refuse(fields) => {
                    self.refuse_execute(header, talk, fields);
                    return Look::Next;
                }
            }
        }
        if std::mem::take(&mut talk.session.sequences.is_stale) {
            self.discard_sequences(talk);
        }
        if let Some(verdict) = &verdict {
            talk.make_way(verdict);
            self.changing = true;
        }
        self.forward(header, talk, Entry { statement, verdict, ..Entry::client(Request::Execute) });
        Look::Next
    }
}
