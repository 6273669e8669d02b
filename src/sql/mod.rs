//! Reading SQL for what it does to a session: a tokenizer, not a parser, and no regular expressions.
//!
//! [`is_plain`] is the quick look that most statements pass. [`read()`] cuts a string into statements and says of each
//! what kind it is ([`Action`]), what it calls anywhere in its text ([`Traits`]) and which parameters it sets. What it
//! is not sure of it says to be [`Traits::UNSURE`]. Pure: nothing here knows sessions, servers or messages.

mod calls;
mod cursor;
mod fingerprint;
mod keywords;
mod lexer;
mod plain;
mod quoting;
mod read;
mod setting;
#[cfg(test)]
mod tests;
mod verdict;

pub use fingerprint::fingerprint;
pub use plain::{is_plain, is_plain_part, opening};
pub use quoting::{Encoding, Quoting, put_ident};
pub use read::read;
pub use verdict::{Action, Discard, Ident, Piece, SetConfig, Setting, Traits, Value, Verdict};

/// The verdict on a string of SQL; `None` when it says nothing about the session.
pub fn judge(sql: &[u8], quoting: impl FnOnce() -> Quoting) -> Option<Verdict> {
    if is_plain(sql) {
        return None;
    }
    Some(read(sql, quoting())).filter(|verdict| !verdict.is_plain())
}
