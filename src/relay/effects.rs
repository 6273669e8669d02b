//! What the server's answers mean for the session: a statement that succeeded has its effect, one that failed has
//! none, and a transaction that is rolled back takes back what it did.

use std::sync::Arc;
use std::time::Instant;

use super::Conversation;
use super::locals::{self, Style};
use crate::server::progress::Entry;
use crate::session::changes::Both;
use crate::session::replay::ROLE;
use crate::sql::{Action, Discard, Piece, SetConfig, Setting, Traits, Value};
use crate::stats::Cause;
use crate::types::TransactionStatus;

/// A parameter that is reported to the client in the server's place: name and value.
pub(super) type Report = (Box<str>, Box<[u8]>);

impl Conversation<'_> {
    /// The client's parameters are not its server's.
    pub(super) fn differs(&self) -> bool {
        !Arc::ptr_eq(&self.session.params, &self.server.applied)
    }

    fn both(&self) -> Both {
        let (wanted, held) = (Arc::clone(&self.session.params), Arc::clone(&self.server.applied));
        Both { wanted, held }
    }

    /// Goes back to what was. Reported parameters are left alone: the server tells itself what has become of them.
    fn go_back(&mut self, then: Option<Both>) {
        let Some(then) = then else { return };
        let sets = Arc::clone(&self.session.param_sets);
        let told = |name: &str| self.server.reported.tells(name);
        let wanted = sets.mixed(&then.wanted, &self.session.params, told);
        let held = sets.mixed(&then.held, &self.server.applied, told);
        (self.session.params, self.server.applied) = (wanted, held);
    }

    /// A statement has succeeded. Returns what the client must be told in the server's place.
    pub(super) fn completed(&mut self, tag: &[u8]) -> Vec<Report> {
        let done = self.server.progress.completed();
        let piece = done.as_ref().and_then(|(verdict, at)| verdict.pieces.get(*at));
        match (tag, &mut self.session.changes) {
            (b"COMMIT" | b"PREPARE TRANSACTION", Some(changes)) => changes.commit(),
            (b"ROLLBACK", Some(changes)) => {
                let then = match piece.map(|piece| &piece.action) {
                    Some(Action::RollbackTo(name)) => changes.back_to(name),
                    _ => changes.roll_back(),
                };
                self.go_back(then);
            }
            _ => {}
        }
        self.note_completed(tag, piece);
        piece.map_or_else(Vec::new, |piece| self.apply(piece))
    }

    fn apply(&mut self, piece: &Piece) -> Vec<Report> {
        match &piece.action {
            Action::Set(setting) | Action::SetRole(setting) => self.set(setting),
            Action::Characteristics(settings) => settings.iter().for_each(|one| self.set(one)),
            Action::SetSessionAuthorization(setting) if !setting.local => self.change_user(),
            Action::Reset(Some(name)) if **name == *"session_authorization" => self.change_user(),
            Action::Reset(Some(name)) => return self.reset(name).into_iter().collect(),
            Action::Reset(None) => return self.reset_all(),
            Action::Discard(Discard::All) => {
                let reports = self.reset_all();
                self.change_user();
                return reports;
            }
            Action::Deallocate(Some(name)) => self.deallocated(name),
            Action::Savepoint(name) => {
                let now = self.both();
                self.session.changes.get_or_insert_default().save(name, now);
            }
            Action::Release(name) => {
                if let Some(changes) = &mut self.session.changes {
                    changes.release(name);
                }
            }
            _ => {}
        }
        let calls = piece.calls.iter();
        let mut reports: Vec<Report> = calls.filter_map(|call| self.called(call)).collect();
        if piece.traits.has(Traits::SET_CONFIG) && piece.calls.is_empty() {
            self.keep_server();
        }
        reports.dedup();
        reports
    }

    /// What the session holds cannot be told any more: the client keeps this server, which nobody gets as it is.
    pub(super) fn keep_server(&mut self) {
        self.session.pin(Cause::Unknown);
        self.server.needs_reset = true;
    }

    fn set(&mut self, setting: &Setting) {
        if setting.local {
            return;
        }
        match &setting.value {
            Value::Text(value) => self.set_param(&setting.name, Some(value)),
            Value::Default => drop(self.reset(&setting.name)),
            Value::Parameter(_) | Value::Unknown => self.ask_for(&setting.name),
        }
    }

    /// Calls of `set_config` whose effect the text does not show are asked about.
    fn called(&mut self, call: &SetConfig) -> Option<Report> {
        let local = call.is_local();
        if local == Some(true) {
            return None;
        }
        let name = match &call.name {
            Value::Text(name) => str::from_utf8(name).ok().map(str::to_ascii_lowercase),
            _ => None,
        };
        let Some(name) = name else {
            self.keep_server();
            return None;
        };
        match &call.value {
            Value::Text(value) if call.certain && local.is_some() => {
                self.set_param(&name, Some(value));
            }
            Value::Default if call.certain && local.is_some() => return self.reset(&name),
            _ => self.ask_for(&name),
        }
        None
    }

    /// A parameter has a new value, on both sides.
    fn set_param(&mut self, name: &str, value: Option<&[u8]>) {
        self.session.begin_change(&self.server.applied);
        if let Some(changes) = &mut self.session.changes {
            changes.note_set(name);
        }
        let value = value.filter(|value| name != ROLE || **value != *b"none");
        match name {
            "session_authorization" => self.change_user(),
            "transaction_isolation" | "transaction_read_only" | "transaction_deferrable" => {}
            _ if self.server.reported.tells(name) => {}
            _ if value.is_some_and(|value| !self.is_servers(value)) => self.ask_for(name),
            _ => {
                self.session.set_param(name, value);
                self.server.hold_param(name, value);
            }
        }
    }

    /// True when a text has the same bytes in the server's encoding.
    fn is_servers(&self, value: &[u8]) -> bool {
        let reported = &self.server.reported;
        let client = self.session.params.get("client_encoding");
        let client = client.or_else(|| reported.get("client_encoding"));
        value.is_ascii() || client == reported.get("server_encoding")
    }

    /// The server knows the value, and will be asked when the transaction is over.
    fn ask_for(&mut self, name: &str) {
        self.session.begin_change(&self.server.applied);
        let told = self.server.reported.tells(name);
        if let Some(changes) = self.session.changes.as_mut().filter(|_| !told) {
            changes.ask_for(name);
        }
    }

    /// The server has reset a parameter to its own default; the client's is what its start-up packet gave.
    fn reset(&mut self, name: &str) -> Option<Report> {
        self.session.begin_change(&self.server.applied);
        let told = self.server.reported.tells(name);
        let before = self.session.params.get(name).map(<[u8]>::to_vec);
        self.session.reset_param(name);
        if !told {
            self.server.hold_param(name, None);
            return None;
        }
        let start = self.session.params.get(name)?;
        let report = (before.as_deref() != Some(start)).then(|| self.report(name, start));
        if let Some(changes) = &mut self.session.changes {
            changes.note_reset(name);
        }
        report.flatten()
    }

    /// RESET ALL: everything but the role.
    fn reset_all(&mut self) -> Vec<Report> {
        self.session.begin_change(&self.server.applied);
        let sides = [&self.session.params, &self.server.applied, &self.session.start];
        let names = sides.into_iter().flat_map(|set| set.values().keys().cloned());
        let names: std::collections::BTreeSet<_> = names.filter(|name| **name != *ROLE).collect();
        names.iter().filter_map(|name| self.reset(name)).collect()
    }

    fn report(&self, name: &str, value: &[u8]) -> Option<Report> {
        let spelt =
            self.server.reported.values.iter().find(|(n, _)| n.eq_ignore_ascii_case(name))?;
        Some((spelt.0.clone(), value.into()))
    }

    /// Another session user has no role.
    fn change_user(&mut self) {
        self.session.begin_change(&self.server.applied);
        self.session.reset_param(ROLE);
        self.server.hold_param(ROLE, None);
    }

    /// A statement has failed.
    pub(super) fn failed(&mut self) {
        if let Some(changes) = &mut self.session.changes {
            changes.fail();
        }
        if let Some(listening) = &mut self.session.listening {
            listening.channels.fail();
        }
    }

    /// The server said ReadyForQuery.
    pub(super) fn settle_changes(&mut self) {
        if self.session.changes.is_none() && self.session.portals.is_none() {
            return;
        }
        let idle = self.server.progress.status() == TransactionStatus::Idle;
        let changes = self.session.changes.as_mut();
        let then = match changes {
            Some(changes) if idle => changes.end(),
            Some(changes) => {
                changes.pause();
                None
            }
            None => None,
        };
        self.go_back(then);
        self.session.forget_moment(idle.then(|| self.server.progress.ended()));
    }

    /// The answer to what was asked: one value for each unknown parameter.
    pub(super) fn answered(&mut self, values: &[Option<Vec<u8>>]) {
        let names = self.session.changes.as_mut().map(|changes| changes.answered());
        for (name, value) in names.into_iter().flatten().zip(values) {
            let custom = name.contains('.') && value.as_ref().is_some_and(Vec::is_empty);
            let none = &*name == ROLE && value.as_deref() == Some(b"none");
            let value = value.as_deref().filter(|_| !custom && !none);
            self.session.set_param(&name, value);
            self.server.hold_param(&name, value);
        }
        self.session.forget_moment(None);
    }

    /// Answers a query in the server's place.
    pub(super) fn answer_query(&mut self, entry: &Entry) -> Vec<u8> {
        let status = self.server.progress.status();
        if status == TransactionStatus::InTransaction {
            self.session.begin_change(&self.server.applied);
        }
        self.query_ended(status, Instant::now());
        let verdict = entry.verdict.as_deref();
        verdict.map_or_else(Vec::new, |verdict| {
            let defaults = &self.server.reported;
            locals::answer(verdict, self.session, defaults, status, Style::Simple)
        })
    }
}
