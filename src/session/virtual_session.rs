//! What one client believes its session holds.

use std::sync::Arc;

use ahash::AHashMap;

use super::params::{ParamSet, ParamSets};
use super::statement::{Statement, Statements};

/// Longest name of a prepared statement that is kept; PostgreSQL's own limit is 63.
pub const MAX_NAME: usize = 1024;

/// The largest unnamed statement that is remembered beyond its batch.
pub const MAX_UNNAMED: usize = 1 << 20;

/// Statements by the client's names for them.
type Named = AHashMap<Box<[u8]>, Arc<Statement>>;

/// A client's side of the session, independent of the server that serves it.
#[derive(Debug)]
pub struct VirtualSession {
    /// Its parameters, as far as they differ from the pool's defaults.
    pub params: Arc<ParamSet>,
    /// Where sets of parameters are interned.
    pub param_sets: Arc<ParamSets>,
    /// Where statements are interned.
    pub statements: Arc<Statements>,
    /// The last unnamed statement.
    pub unnamed: Unnamed,
    /// What the next unnamed statement is called; unique over all clients.
    next_unnamed: u64,
    /// A name that a statement made on purpose takes on the server; it is closed behind the next Sync.
    pub stray: Option<Box<[u8]>>,
    /// The session holds something that only its present server has.
    pinned: bool,
    /// Named statements; none for most clients, hence boxed.
    named: Option<Box<Named>>,
}

/// The unnamed statement of a client, so that another server can be given it.
#[derive(Debug, Default)]
pub struct Unnamed {
    /// Changes with each Parse; 0 while there is no unnamed statement.
    pub version: u64,
    /// What follows the name in its Parse message.
    pub content: Vec<u8>,
}

impl VirtualSession {
    /// A session with nothing but parameters.
    pub fn new(
        client_id: u64,
        params: Arc<ParamSet>,
        param_sets: Arc<ParamSets>,
        statements: Arc<Statements>,
    ) -> Self {
        // 2^32 unnamed statements of one client before its numbers could meet those of the client after it.
        let next_unnamed = (client_id << 32) | 1;
        let unnamed = Unnamed::default();
        VirtualSession {
            params,
            param_sets,
            statements,
            unnamed,
            next_unnamed,
            stray: None,
            pinned: false,
            named: None,
        }
    }

    /// Remembers a new unnamed statement; returns its version.
    pub fn set_unnamed(&mut self, content: &[u8]) -> u64 {
        self.next_unnamed += 1;
        self.unnamed.version = self.next_unnamed;
        self.unnamed.content.clear();
        self.unnamed.content.extend_from_slice(content);
        self.unnamed.version
    }

    /// Keeps the client on its server until it leaves.
    pub fn pin(&mut self) {
        self.pinned = true;
    }

    /// True while the client must keep its server.
    pub fn is_pinned(&self) -> bool {
        self.pinned
    }

    /// There is no unnamed statement any more.
    pub fn forget_unnamed(&mut self) {
        self.unnamed.version = 0;
    }

    /// The statement behind a client's name.
    pub fn statement(&self, name: &[u8]) -> Option<&Arc<Statement>> {
        self.named.as_ref()?.get(name)
    }

    /// Gives a statement a name.
    pub fn name_statement(&mut self, name: Box<[u8]>, statement: Arc<Statement>) {
        self.named.get_or_insert_default().insert(name, statement);
    }

    /// Forgets a name; the statement it had is returned.
    pub fn forget_statement(&mut self, name: &[u8]) -> Option<Arc<Statement>> {
        let named = self.named.as_mut()?;
        let forgotten = named.remove(name);
        if named.is_empty() {
            self.named = None;
        }
        forgotten
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
