//! What SQL does to a session, as far as its text says.

/// What a string of SQL does: one piece for each statement in it, in order, empty ones left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// The statements. PostgreSQL answers each with one CommandComplete, up to the first that fails.
    pub pieces: Vec<Piece>,
}

impl Verdict {
    /// Everything that any of the statements does.
    pub fn traits(&self) -> Traits {
        self.pieces.iter().fold(Traits::NONE, |all, piece| all | piece.traits)
    }

    /// True when nothing in it concerns the session.
    pub fn is_plain(&self) -> bool {
        self.pieces.iter().all(Piece::is_plain)
    }

    /// The one statement, if it is one.
    pub fn single(&self) -> Option<&Piece> {
        match self.pieces.as_slice() {
            [piece] => Some(piece),
            _ => None,
        }
    }
}

/// One statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Piece {
    /// What kind of statement it is.
    pub action: Action,
    /// What it calls or names, anywhere in its text.
    pub traits: Traits,
    /// Its calls of `set_config`.
    pub calls: Vec<SetConfig>,
}

impl Piece {
    /// True when nothing in it concerns the session.
    pub fn is_plain(&self) -> bool {
        self.action == Action::Other && self.traits.is_empty() && self.calls.is_empty()
    }
}

/// A name as PostgreSQL reads it: lower case unless it was quoted.
pub type Ident = Box<[u8]>;

/// What kind of statement it is. Names are as PostgreSQL folds them; those it could not read are empty, and the
/// statement has [`Traits::UNSURE`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// None of the others.
    #[default]
    Other,
    /// `SET name`, `SET TIME ZONE`, `SET NAMES`, `SET SCHEMA`, `SET XML OPTION`.
    Set(Setting),
    /// `SET SESSION CHARACTERISTICS AS TRANSACTION`: the parameters behind it.
    Characteristics(Vec<Setting>),
    /// `SET TRANSACTION` and `SET transaction_…`: over with the transaction.
    SetTransaction,
    /// `SET [LOCAL] ROLE`: its setting is the parameter `role`.
    SetRole(Setting),
    /// `SET [LOCAL] SESSION AUTHORIZATION`.
    SetSessionAuthorization(Setting),
    /// `RESET name`, by its lower-case name (`role` and `session_authorization` included); `None` for `RESET ALL`.
    Reset(Option<Box<str>>),
    /// `DISCARD`.
    Discard(Discard),
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`.
    Commit {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `ROLLBACK`, `ABORT`.
    Rollback {
        /// `AND CHAIN`.
        chain: bool,
    },
    /// `SAVEPOINT name`.
    Savepoint(Ident),
    /// `RELEASE [SAVEPOINT] name`.
    Release(Ident),
    /// `ROLLBACK TO [SAVEPOINT] name`.
    RollbackTo(Ident),
    /// `PREPARE TRANSACTION`.
    PrepareTransaction,
    /// `COMMIT PREPARED`, `ROLLBACK PREPARED`.
    FinishPrepared,
    /// `PREPARE name`.
    Prepare(Ident),
    /// `EXECUTE name`, also inside `EXPLAIN` and `CREATE TABLE AS`.
    Execute(Ident),
    /// `DEALLOCATE name`; `None` for `DEALLOCATE ALL`.
    Deallocate(Option<Ident>),
    /// `LISTEN channel`.
    Listen(Ident),
    /// `UNLISTEN channel`; `None` for `UNLISTEN *`.
    Unlisten(Option<Ident>),
    /// `NOTIFY channel`.
    Notify(Ident),
    /// `DECLARE name CURSOR`.
    Declare {
        /// The cursor.
        name: Ident,
        /// `WITH HOLD`.
        hold: bool,
    },
    /// `CLOSE name`; `None` for `CLOSE ALL`.
    Close(Option<Ident>),
    /// `SELECT pg_advisory_unlock_all()` and nothing else.
    UnlockAll,
    /// `SELECT pg_listening_channels()` or `SELECT * FROM pg_listening_channels()`, and nothing else.
    ListeningChannels,
    /// `LOAD`.
    Load,
    /// `CREATE DATABASE`.
    CreateDatabase {
        /// The new one.
        name: Ident,
        /// The one it is copied from; `None` where the statement does not say, which is `template1`.
        template: Option<Ident>,
    },
    /// `DROP DATABASE`, and `ALTER DATABASE … RENAME` and `… SET TABLESPACE`, which need it to be out of use as well.
    DropDatabase(Ident),
    /// Any other `DROP`.
    Drop,
    /// `DO`.
    Do,
    /// `CALL`.
    Call,
}

/// A parameter is given a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The parameter, lower case.
    pub name: Box<str>,
    /// Its new value.
    pub value: Value,
    /// `LOCAL`: over with the transaction.
    pub local: bool,
}

/// A value, as far as the text says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// This, as `set_config` takes it.
    Text(Box<[u8]>),
    /// Whatever `RESET` gives.
    Default,
    /// The value of `$n`.
    Parameter(u16),
    /// The server knows.
    Unknown,
}

/// A call of `set_config`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetConfig {
    /// The parameter's name.
    pub name: Value,
    /// Its value; `Default` for NULL.
    pub value: Value,
    /// Its third argument; see [`SetConfig::is_local`].
    pub local: Value,
    /// It is evaluated once and for certain: an item of a SELECT that reads no table.
    pub certain: bool,
}

impl SetConfig {
    /// Whether its effect is over with the transaction; `None`: not known.
    pub fn is_local(&self) -> Option<bool> {
        let Value::Text(text) = &self.local else { return None };
        let is = |known: &[&str]| known.iter().any(|k| text.eq_ignore_ascii_case(k.as_bytes()));
        if is(&["t", "true", "y", "yes", "on", "1"]) {
            Some(true)
        } else if is(&["f", "false", "n", "no", "off", "0"]) {
            Some(false)
        } else {
            None
        }
    }
}

/// What `DISCARD` discards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// Everything.
    All,
    /// Cached plans.
    Plans,
    /// What `currval` and `lastval` know.
    Sequences,
    /// Temporary tables.
    Temp,
}

/// A set of what a statement calls or names, anywhere in its text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traits(u32);

impl Traits {
    /// Nothing.
    pub const NONE: Traits = Traits(0);
    /// Takes a session's advisory lock, or tries to.
    pub const ADVISORY_LOCK: Traits = Traits(1);
    /// Gives back one.
    pub const ADVISORY_UNLOCK: Traits = Traits(1 << 1);
    /// Gives back all.
    pub const ADVISORY_UNLOCK_ALL: Traits = Traits(1 << 2);
    /// `nextval`.
    pub const NEXTVAL: Traits = Traits(1 << 3);
    /// `setval`.
    pub const SETVAL: Traits = Traits(1 << 4);
    /// `currval`.
    pub const CURRVAL: Traits = Traits(1 << 5);
    /// `lastval`.
    pub const LASTVAL: Traits = Traits(1 << 6);
    /// `setseed`, `SET SEED`.
    pub const SETSEED: Traits = Traits(1 << 7);
    /// `pg_replication_origin_session_…` and `…_xact_…`.
    pub const REPLICATION_ORIGIN: Traits = Traits(1 << 8);
    /// Makes a temporary object: `TEMP`, `TEMPORARY`, or `pg_temp` as a schema's name.
    pub const TEMP: Traits = Traits(1 << 9);
    /// `set_config`.
    pub const SET_CONFIG: Traits = Traits(1 << 10);
    /// Runs code that the text does not show: `DO`, `CALL`.
    pub const OPAQUE: Traits = Traits(1 << 11);
    /// Could not be read with certainty.
    pub const UNSURE: Traits = Traits(1 << 12);
    /// `pg_notify`.
    pub const NOTIFY: Traits = Traits(1 << 13);
    /// `pg_listening_channels`.
    pub const LISTENING_CHANNELS: Traits = Traits(1 << 14);

    /// True when there is nothing in it.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// True when any of `others` is in it.
    pub fn has(self, others: Traits) -> bool {
        self.0 & others.0 != 0
    }
}

impl std::ops::BitOr for Traits {
    type Output = Traits;

    fn bitor(self, other: Traits) -> Traits {
        Traits(self.0 | other.0)
    }
}

impl std::ops::BitOrAssign for Traits {
    fn bitor_assign(&mut self, other: Traits) {
        *self = *self | other;
    }
}
