//! What one client believes its session holds.

use std::sync::Arc;

use ahash::AHashMap;

use super::Portals;
use super::changes::{Both, Changes};
use super::channels::Listening;
use super::params::{ParamSet, ParamSets, Reported};
use super::pins::{Pinned, Sequences};
use super::replay::ROLE;
use super::statement::{Statement, Statements};
use super::unnamed::Unnamed;
use crate::sql::Quoting;
use crate::stats::{Cause, Causes};

/// Longest name of a prepared statement that is kept; PostgreSQL's own limit is 63.
pub const MAX_NAME: usize = 1024;

/// The largest unnamed statement that is remembered beyond its batch.
pub const MAX_UNNAMED: usize = 1 << 20;

/// Statements by the client's names for them.
type Named = AHashMap<Box<[u8]>, Known>;

/// What a client knows of a statement.
#[derive(Debug)]
struct Known {
    statement: Arc<Statement>,
    /// What it was told of its rows.
    told: Told,
}

/// What a client was told of the rows of a statement.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// What they look like; 0: nothing was said.
    pub shape: u64,
    /// Of which [copy](Statement::new_copy) that was true.
    pub copy: u64,
}

/// A client's side of the session, independent of the server that serves it.
#[derive(Debug)]
pub struct VirtualSession {
    /// Its parameters, as far as they differ from the pool's defaults.
    pub params: Arc<ParamSet>,
    /// What its start-up packet asked for: what RESET returns to.
    pub start: Arc<ParamSet>,
    /// What its open transaction has changed; none for most clients.
    pub changes: Option<Box<Changes>>,
    /// What its portals would change; none for most clients.
    pub portals: Option<Box<Portals>>,
    /// Where sets of parameters are interned.
    pub param_sets: Arc<ParamSets>,
    /// Where statements are interned.
    pub statements: Arc<Statements>,
    /// Its unnamed statement.
    pub unnamed: Unnamed,
    /// What ties it to its present server; nothing for most clients.
    pub pins: Option<Box<Pinned>>,
    /// Ties that last until the client leaves.
    pub lasting: Causes,
    /// Whether the client uses what `nextval` leaves.
    pub sequences: Sequences,
    /// The channels it listens to; none for most clients.
    pub listening: Option<Box<Listening>>,
    /// Named statements; none for most clients, hence boxed.
    named: Option<Box<Named>>,
}

impl VirtualSession {
    /// A session with nothing but parameters.
    pub fn new(
        client_id: u64,
        params: Arc<ParamSet>,
        param_sets: Arc<ParamSets>,
        statements: Arc<Statements>,
    ) -> Self {
        VirtualSession {
            start: Arc::clone(&params),
            params,
            changes: None,
            portals: None,
            param_sets,
            statements,
            unnamed: Unnamed::new(client_id),
            pins: None,
            lasting: Causes::NONE,
            sequences: Sequences::default(),
            listening: None,
            named: None,
        }
    }

    /// Keeps the client on its server until it leaves.
    pub fn pin(&mut self, cause: Cause) {
        self.lasting = self.lasting.or(cause.into());
    }

    /// True when the client asked for a server of its own.
    pub fn wants_session(&self) -> bool {
        self.lasting.has(Cause::Session)
    }

    /// True while the client must keep its server.
    pub fn is_pinned(&self) -> bool {
        self.pins.is_some() || !self.lasting.is_empty()
    }

    /// True when the client has statements on its server under names of its own.
    pub fn has_private_statements(&self) -> bool {
        self.lasting.has(Cause::Statement)
    }

    /// All that ties the client to its server.
    pub fn ties(&self) -> Causes {
        self.pins.as_ref().map_or(Causes::NONE, |pinned| pinned.pins.causes())
    }

    /// True when the server has to be asked whether a tie still holds, or a tie is not entered yet.
    pub fn has_loose_ends(&self) -> bool {
        let unknown = self.pins.as_ref().is_some_and(|pinned| pinned.pins.is_open());
        unknown || !self.lasting.without(self.ties()).is_empty()
    }

    /// UNLISTEN *.
    pub fn unlisten_all(&mut self) {
        self.listening = None;
    }

    /// Takes note that the server is let go: what tied the client to it is gone.
    pub fn let_go(&mut self) {
        self.pins = None;
        self.lasting = self.lasting.and(Cause::Session.into());
        self.sequences.is_here = false;
    }

    /// A client's name for a statement.
    pub fn name_of(&self, statement: &Arc<Statement>) -> Option<&[u8]> {
        let mut named = self.named.as_ref()?.iter();
        named.find(|(_, known)| Arc::ptr_eq(&known.statement, statement)).map(|(name, _)| &**name)
    }

    /// The statement behind a client's name.
    pub fn statement(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        self.named.as_ref()?.get(name).map(|known| &known.statement)
    }

    /// The statement behind a client's name whose rows were described to it, and what it was told of them.
    pub fn described(&self, name: &[u8]) -> Option<(&Arc<Statement>, Told)> {
        let known = self.named.as_ref()?.get(name).filter(|known| known.told.shape != 0)?;
        Some((&known.statement, known.told))
    }

    /// The client is told what the rows of a statement look like.
    pub fn describe(&mut self, name: &[u8], statement: &Arc<Statement>, told: Told) {
        let known = self.named.as_mut().and_then(|named| named.get_mut(name));
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.statement, statement)) {
            known.told = told;
        }
    }

    /// What names of tables in its statements are looked up by, where that is not the pool's default.
    pub fn scope(&self) -> Vec<u8> {
        let values = ["search_path", ROLE].map(|name| self.params.get(name));
        if values == [None, None] {
            return Vec::new();
        }
        values.map(Option::unwrap_or_default).join(&0)
    }

    /// Gives a statement a name.
    pub fn name_statement(&mut self, name: Box<[u8]>, statement: Arc<Statement>) {
        self.named.get_or_insert_default().insert(name, Known { statement, told: Told::default() });
    }

    /// Forgets a name; the statement it had is returned.
    pub fn forget_statement(&mut self, name: &[u8]) -> Option<Arc<Statement>> {
        let named = self.named.as_mut()?;
        let forgotten = named.remove(name);
        if named.is_empty() {
            self.named = None;
        }
        forgotten.map(|known| known.statement)
    }

    /// How its texts are to be read; `defaults` are its server's.
    pub fn quoting(&self, defaults: Option<&Reported>) -> Quoting {
        let value = |name| self.params.get(name).or_else(|| defaults.and_then(|all| all.get(name)));
        Quoting::new(value("standard_conforming_strings"), value("client_encoding"))
    }

    /// A parameter is about to change, while its server holds `held`.
    pub fn begin_change(&mut self, held: &Arc<ParamSet>) {
        let wanted = &self.params;
        let now = || Both { wanted: Arc::clone(wanted), held: Arc::clone(held) };
        self.changes.get_or_insert_default().begin(now);
    }

    /// Gives a parameter a value, or takes it away.
    pub fn set_param(&mut self, name: &str, value: Option<&[u8]>) {
        self.params = self.param_sets.with(&self.params, name, value);
    }

    /// RESET: back to what the start-up packet asked for.
    pub fn reset_param(&mut self, name: &str) {
        let start = Arc::clone(&self.start);
        self.set_param(name, start.get(name));
    }

    /// RESET ALL, which leaves the role alone.
    pub fn reset_params(&mut self) {
        let (start, params) = (&self.start, &self.params);
        self.params = self.param_sets.mixed(start, params, |name| name == ROLE);
    }

    /// Forgets what is over: memory that is not needed any more, and portals with their transaction, if one was over
    /// before batch `next`.
    pub fn forget_moment(&mut self, next: Option<u64>) {
        if let (Some(portals), Some(next)) = (&mut self.portals, next) {
            portals.end_transaction(next);
        }
        self.portals.take_if(|portals| portals.is_empty());
        self.changes.take_if(|changes| changes.is_empty());
    }

    /// DISCARD ALL, as far as it concerns parameters and statements.
    pub fn discard(&mut self) {
        self.params = Arc::clone(&self.start);
        self.forget_all_statements();
    }

    /// Forgets every statement (DEALLOCATE ALL, DISCARD ALL).
    pub fn forget_all_statements(&mut self) {
        self.named = None;
    }

    /// How many statements have names.
    pub fn named_statements(&self) -> usize {
        self.named.as_ref().map_or(0, |named| named.len())
    }
}
