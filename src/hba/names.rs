//! Lists of databases and of users.

use regex::{Regex, RegexBuilder};

use super::rule::Visit;
use super::token::{Field, Token};

/// A compiled pattern takes at most this much memory.
const PATTERN_SIZE: usize = 1 << 20;

/// One entry of a list.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    All,
    SameUser,
    Replication,
    Exact(String),
    Pattern(Regex),
}

/// What is wrong with an entry: its column and why.
pub(super) type Wrong = (u32, String);

impl Entry {
    /// Reads an entry of the column of databases.
    pub(super) fn database(token: &Token) -> Result<Self, Wrong> {
        if token.is("all") {
            return Ok(Entry::All);
        }
        if token.is("sameuser") {
            return Ok(Entry::SameUser);
        }
        if token.is("replication") {
            return Ok(Entry::Replication);
        }
        if token.is("samerole") || token.is("samegroup") {
            let message = format!(
                "`{}` is not supported: pgusher does not know who is a member of a role",
                token.text
            );
            return Err((token.column, message));
        }
        Entry::text(token)
    }

    /// Reads an entry of the column of users.
    pub(super) fn user(token: &Token) -> Result<Self, Wrong> {
        if token.is("all") {
            return Ok(Entry::All);
        }
        if token.after('+').is_some() {
            let message = format!(
                "`{}` is not supported: pgusher does not know who is a member of a role; list the users, or name a file with @",
                token.text
            );
            return Err((token.column, message));
        }
        Entry::text(token)
    }

    fn text(token: &Token) -> Result<Self, Wrong> {
        match token.text.strip_prefix('/') {
            Some(pattern) => compile(pattern, token.column).map(Entry::Pattern),
            None => Ok(Entry::Exact(token.text.clone())),
        }
    }

    fn fits(&self, name: &str) -> bool {
        match self {
            Entry::All => true,
            Entry::Exact(text) => text == name,
            Entry::Pattern(pattern) => pattern.is_match(name),
            Entry::SameUser | Entry::Replication => false,
        }
    }

    /// Whether the entry is for the visitor's database. Only `replication` is for those who want none.
    pub(super) fn fits_database(&self, visit: &Visit<'_>) -> bool {
        match self {
            Entry::Replication => visit.is_replication,
            _ if visit.is_replication => false,
            Entry::SameUser => visit.database == visit.user,
            other => other.fits(visit.database),
        }
    }

    /// Whether the entry is for the visitor's user.
    pub(super) fn fits_user(&self, visit: &Visit<'_>) -> bool {
        self.fits(visit.user)
    }
}

/// Compiles a pattern; `column` is where it stands.
pub(super) fn compile(pattern: &str, column: u32) -> Result<Regex, Wrong> {
    RegexBuilder::new(pattern).size_limit(PATTERN_SIZE).build().map_err(|error| {
        let text = error.to_string();
        let why = text.lines().last().unwrap_or_default().trim_start_matches("error: ");
        (column, format!("\"{pattern}\" is not a regular expression: {why}"))
    })
}

/// Reads every entry of a field, or reports every mistake in it.
pub(super) fn list(
    field: &Field,
    read: impl Fn(&Token) -> Result<Entry, Wrong>,
    wrong: &mut Vec<Wrong>,
) -> Vec<Entry> {
    let mut entries = Vec::new();
    for token in field {
        match read(token) {
            Ok(entry) => entries.push(entry),
            Err(why) => wrong.push(why),
        }
    }
    entries
}
