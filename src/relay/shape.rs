//! What the rows of statements look like: what a client was told of them must be true on every server.
//!
//! On a connection of its own a client that has had a statement described, and executes it after the table has changed,
//! gets `cached plan must not change result type`. Another server may be given the statement only then, and would return
//! rows that the client reads by the old description. So a server's copy is described before such a client uses it for
//! the first time, and the error is given where it differs. A client that asks for a description in the same batch is
//! told the truth anyway.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use super::Conversation;
use super::prepared::Named;
use super::requests::Requests;
use crate::server::progress::{Entry, Origin, Request};
use crate::session::Told;
use crate::types::TransactionStatus;
use crate::wire::frame::HEADER;
use crate::wire::{Header, backend, frontend};

/// Whether the server's copy of a statement is what its client was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It is, or the client was told nothing.
    Yes,
    /// Its rows look otherwise.
    No,
    /// The server has to be asked.
    Unknown,
}

impl Conversation<'_> {
    /// Compares what the client was told of the statement behind this name with what the server has.
    pub(super) fn fit(&mut self, name: &[u8]) -> Fit {
        let Some((statement, told)) = self.session.described(name) else { return Fit::Yes };
        let prepared = &mut self.server.prepared;
        match prepared.shape(statement) {
            Some(shape) if shape == told.shape => Fit::Yes,
            _ if self.server.progress.status() == TransactionStatus::Failed => Fit::Yes,
            // The client knows of a newer copy, on another server: this one is out of date, not the client.
            Some(_) if prepared.copy(statement) < told.copy => {
                prepared.remove(statement);
                Fit::Unknown
            }
            Some(_) => Fit::No,
            None => Fit::Unknown,
        }
    }

    /// True when the next description is one of a statement.
    pub(super) fn awaits_description(&self) -> bool {
        let head = self.server.progress.head();
        head.is_some_and(|head| head.request == Request::Describe && head.statement.is_some())
    }

    /// The server describes a statement.
    pub(super) fn note_description(&mut self, message: &[u8]) {
        let head = self.server.progress.head();
        let Some(head) = head.filter(|head| head.request == Request::Describe) else { return };
        let Some(statement) = &head.statement else { return };
        let (statement, shape) = (Arc::clone(statement), shape_of(message));
        if let Some(name) = &head.name {
            let told = Told { shape, copy: self.server.prepared.copy(&statement) };
            self.session.describe(name, &statement, told);
        }
        self.server.prepared.describe(&statement, shape);
    }

    /// A statement has succeeded that may have changed a schema. It is so for others when its transaction is over.
    pub(super) fn note_schema(&mut self, tag: &[u8]) {
        let changes = match tag.first() {
            Some(b'A') => tag.starts_with(b"ALTER "),
            Some(b'C') => tag.starts_with(b"CREATE "),
            Some(b'D') => tag.starts_with(b"DROP ") || tag == b"DO",
            _ => false,
        };
        if changes {
            self.server.altered = true;
            self.session.statements.schema_changed();
        }
    }

    /// The server said ReadyForQuery.
    pub(super) fn settle_schema(&mut self) {
        if self.server.altered && self.server.progress.status() == TransactionStatus::Idle {
            self.server.altered = false;
            self.session.statements.schema_changed();
        }
    }
}

impl Requests {
    /// Has the server describe its copy of a statement, which it is given if it has none.
    pub(super) fn ask_shape(&mut self, limit: usize, name: &[u8], talk: &mut Conversation<'_>) {
        let mut bytes = Vec::new();
        let Named::Shared(statement) = talk.resolve(limit, name, &mut bytes) else { return };
        let asked = |entry: &Entry| {
            let about =
                entry.statement.as_ref().is_some_and(|about| Arc::ptr_eq(about, &statement));
            about && entry.request == Request::Describe
        };
        if !bytes.is_empty() || !talk.server.progress.pending().any(asked) {
            talk.requests_began();
            frontend::put_describe_statement(&mut bytes, statement.server_name());
            bytes.extend_from_slice(&frontend::FLUSH);
            let entry = Entry::new(Request::Describe, Origin::Injected).about(&statement);
            talk.server.progress.sent(entry);
            self.insert(&bytes);
        }
    }

    /// True when the message behind this one is there and of this type.
    pub(super) fn is_before(&self, header: Header, tag: u8) -> bool {
        self.unseen().get(header.size) == Some(&tag)
    }
}

/// As much of a description is looked at.
const MAX_SEEN: usize = 8 * 1024;

/// Stands for what a RowDescription says of names and types, as far as a plan may not change it; never 0. Where the
/// columns come from does not count.
fn shape_of(message: &[u8]) -> u64 {
    let mut hasher = ahash::RandomState::with_seeds(1, 2, 3, 4).build_hasher();
    let seen = message.get(..MAX_SEEN).unwrap_or(message);
    hasher.write(seen.get(..HEADER).unwrap_or_default());
    for (name, kind) in backend::read_row_description(seen) {
        hasher.write(name);
        hasher.write(kind);
    }
    hasher.finish().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(columns: &[(&str, u32, u32)]) -> u64 {
        let mut message = vec![b'T', 0, 0, 0, 0];
        message.extend_from_slice(&(columns.len() as u16).to_be_bytes());
        for (name, table, kind) in columns {
            message.extend_from_slice(name.as_bytes());
            message.push(0);
            message.extend_from_slice(&table.to_be_bytes());
            message.extend_from_slice(&[0, 7]);
            message.extend_from_slice(&kind.to_be_bytes());
            message.extend_from_slice(&[0, 4, 0, 0, 0, 0, 0, 0]);
        }
        shape_of(&message)
    }

    #[test]
    fn names_and_types_make_a_shape_and_tables_do_not() {
        let one = described(&[("a", 1, 23)]);
        assert_eq!(one, described(&[("a", 2, 23)]));
        assert_ne!(one, described(&[("b", 1, 23)]));
        assert_ne!(one, described(&[("a", 1, 25)]));
        assert_ne!(one, described(&[("a", 1, 23), ("a", 1, 23)]));
        assert_ne!(one, shape_of(b"n\0\0\0\x04"));
    }
}
