//! Prepared statements that clients share: one object for each distinct SQL text and parameter types.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use dashmap::DashMap;

use crate::sql::{self, Quoting, Verdict};

/// One statement, as content. It lives as long as a client or a server refers to it.
pub struct Statement {
    id: u64,
    /// Made once: each Bind is sent with it.
    server_name: Box<[u8]>,
    /// What follows the name in a Parse message, and behind it the scope in which it was parsed.
    key: Box<[u8]>,
    /// Where the scope begins.
    scope_at: usize,
    /// Counts up when servers report that their copies have gone stale.
    generation: AtomicU32,
    /// How many copies were made on servers.
    copies: AtomicU64,
    /// What executing it does to a session.
    verdict: OnceLock<Judged>,
    registry: Weak<Statements>,
}

impl Statement {
    /// Counts up over the process; never reused.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// SQL and parameter types as they stand in a Parse message.
    pub fn content(&self) -> &[u8] {
        self.key.get(..self.scope_at).unwrap_or_default()
    }

    /// What executing it does to a session whose texts are read in this way; `None`: nothing.
    pub fn verdict(&self, quoting: impl FnOnce() -> Quoting) -> Option<Arc<Verdict>> {
        let sql = sql_of(self.content());
        let read = |quoting| sql::judge(sql, || quoting).map(Arc::new);
        let judge = || match sql::is_plain(sql) {
            true => Judged::Plain,
            false => Judged::Usually(read(Quoting::default())),
        };
        let Judged::Usually(usual) = self.verdict.get_or_init(judge) else { return None };
        let quoting = quoting();
        if quoting == Quoting::default() { usual.clone() } else { read(quoting) }
    }

    /// A server's copy made under an older generation must be parsed anew before use.
    pub fn generation(&self) -> u32 {
        self.generation.load(Ordering::Relaxed)
    }

    /// Declares all servers' copies stale, after DDL changed what the statement means.
    pub fn outdate(&self) {
        self.generation.fetch_add(1, Ordering::Relaxed);
    }

    /// The number of a new copy on a server: those made later have higher ones.
    pub fn new_copy(&self) -> u64 {
        self.copies.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// How often clients have changed the schema of some database.
    pub fn schema_age(&self) -> u64 {
        self.registry.upgrade().map_or(0, |registry| registry.schema_age())
    }

    /// The name the statement has on servers.
    pub fn server_name(&self) -> &[u8] {
        &self.server_name
    }
}

/// What is known of a statement's effect.
enum Judged {
    /// It has none, however a session's texts are read.
    Plain,
    /// This one, as texts are usually read.
    Usually(Option<Arc<Verdict>>),
}

/// The SQL in what follows the name in a Parse message.
pub fn sql_of(content: &[u8]) -> &[u8] {
    content.split(|&byte| byte == 0).next().unwrap_or_default()
}

/// The types of the parameters in what follows the name in a Parse message, by number; 0 and none are left to the
/// server.
pub fn type_of(content: &[u8], parameter: u16) -> u32 {
    let at = sql_of(content).len() + 3 + 4 * (usize::from(parameter).saturating_sub(1));
    let found = content.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
    found.map_or(0, u32::from_be_bytes)
}

/// Names on servers start with this.
pub const SERVER_PREFIX: &[u8] = b"PGUSHER_";

impl fmt::Debug for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Statement")
            .field("id", &self.id)
            .field("bytes", &self.content().len())
            .finish_non_exhaustive()
    }
}

impl Drop for Statement {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.bytes.fetch_sub(weight(&self.key), Ordering::Relaxed);
            registry.by_key.remove_if(&self.key, |_, kept| kept.strong_count() == 0);
        }
    }
}

/// Every statement in use, by content and scope.
#[derive(Debug)]
pub struct Statements {
    by_key: DashMap<Box<[u8]>, Weak<Statement>, ahash::RandomState>,
    next_id: AtomicU64,
    bytes: AtomicUsize,
    limit: AtomicUsize,
    schema_age: AtomicU64,
}

/// The statements' memory is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfMemory {
    /// The limit, in bytes.
    pub limit: usize,
}

impl Statements {
    /// A registry that holds at most `limit` bytes of statements.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Statements {
            by_key: DashMap::default(),
            next_id: AtomicU64::new(1),
            bytes: AtomicUsize::new(0),
            limit: AtomicUsize::new(limit),
            schema_age: AtomicU64::new(0),
        })
    }

    /// The statement with this content, made if it is new. The same text means the same only in the same `scope`: what
    /// names of tables are looked up by.
    ///
    /// # Errors
    /// [`OutOfMemory`] when a new one does not fit.
    pub fn intern(
        self: &Arc<Self>,
        content: &[u8],
        scope: &[u8],
    ) -> Result<Arc<Statement>, OutOfMemory> {
        let key: Cow<'_, [u8]> = match scope {
            [] => content.into(),
            _ => [content, scope].concat().into(),
        };
        if let Some(found) = self.by_key.get(&*key).and_then(|kept| kept.upgrade()) {
            return Ok(found);
        }
        let limit = self.limit.load(Ordering::Relaxed);
        let before = self.bytes.fetch_add(weight(&key), Ordering::Relaxed);
        if before + weight(&key) > limit {
            self.bytes.fetch_sub(weight(&key), Ordering::Relaxed);
            return Err(OutOfMemory { limit });
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let statement = Arc::new(Statement {
            id,
            server_name: [SERVER_PREFIX, id.to_string().as_bytes()].concat().into(),
            key: key.as_ref().into(),
            scope_at: content.len(),
            generation: AtomicU32::new(0),
            copies: AtomicU64::new(0),
            verdict: OnceLock::new(),
            registry: Arc::downgrade(self),
        });
        self.by_key.insert(key.into(), Arc::downgrade(&statement));
        Ok(statement)
    }

    /// A client has changed a schema: what a statement means to those who parse it now may be new.
    pub fn schema_changed(&self) {
        self.schema_age.fetch_add(1, Ordering::Relaxed);
    }

    /// How often that has happened.
    pub fn schema_age(&self) -> u64 {
        self.schema_age.load(Ordering::Relaxed)
    }

    /// Changes the limit; what is there stays.
    pub fn set_limit(&self, limit: usize) {
        self.limit.store(limit, Ordering::Relaxed);
    }

    /// Bytes in use.
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Statements in use.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// True when no statement is in use.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }
}

/// A statement's share of the memory limit: its text is kept twice, by the registry and by itself.
fn weight(key: &[u8]) -> usize {
    2 * key.len() + 200
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_content_is_one_statement_and_goes_with_its_last_user() {
        let statements = Statements::new(1 << 20);
        let one = statements.intern(b"select 1\0\0\0", b"").expect("fits");
        let two = statements.intern(b"select 1\0\0\0", b"").expect("fits");
        assert!(Arc::ptr_eq(&one, &two));
        drop((one, two));
        assert_eq!((statements.len(), statements.bytes()), (0, 0));
    }

    #[test]
    fn a_scope_makes_it_another_and_is_no_content() {
        let statements = Statements::new(1 << 20);
        let one = statements.intern(b"select 1\0\0\0", b"a").expect("fits");
        let two = statements.intern(b"select 1\0\0\0", b"b").expect("fits");
        assert!(!Arc::ptr_eq(&one, &two));
        assert_eq!((one.content(), two.content()), (&b"select 1\0\0\0"[..], one.content()));
        drop((one, two));
        assert_eq!((statements.len(), statements.bytes()), (0, 0));
    }

    #[test]
    fn the_limit_holds() {
        let statements = Statements::new(500);
        let kept = statements.intern(b"a", b"").expect("fits");
        let also = statements.intern(b"b", b"").expect("fits");
        assert_eq!(statements.intern(b"c", b"").err(), Some(OutOfMemory { limit: 500 }));
        drop((kept, also));
        assert!(statements.intern(b"c", b"").is_ok());
    }

    #[test]
    fn ids_are_never_reused() {
        let statements = Statements::new(1 << 20);
        let first = statements.intern(b"a", b"").expect("fits").id();
        assert_ne!(statements.intern(b"a", b"").expect("fits").id(), first);
    }
}
