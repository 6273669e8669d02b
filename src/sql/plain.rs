//! The quick look: most statements say nothing about the session, and are found not to without being read.

use memchr::{memchr2_iter, memmem};

use super::calls::traits_of;
use super::lexer::{Lexer, is_space, is_word};
use super::quoting::Quoting;

/// True when [`read`](super::read()) would find nothing about the session: one statement at most, none of those that
/// change one, and no call of a function that does. Errs towards false. Does not allocate.
///
/// How a session's texts are read makes no difference: a function that is called stands in front of a parenthesis, so only the words there are looked at.
pub fn is_plain(sql: &[u8]) -> bool {
    let mut lexer = Lexer::new(sql, Quoting::default());
    if !lexer.skip_blank() {
        return false;
    }
    let first = lexer.word();
    let rest = sql.get(lexer.position()..).unwrap_or_default();
    begins_plainly(first, rest) && !names_temp(rest) && !calls(rest)
}

/// The same of a part of a text too long to be seen whole, which does not begin a statement. Where the part cuts
/// through a function's name it errs towards false.
pub fn is_plain_part(sql: &[u8]) -> bool {
    let cut = sql.iter().take_while(|&&byte| is_word(byte)).count();
    let called = cut > 0 && sql.get(cut) == Some(&b'(');
    !called && !names_temp(sql) && !calls(sql)
}

/// The text from its first word on: comments in front of it are of no account.
pub fn opening(sql: &[u8]) -> &[u8] {
    let mut lexer = Lexer::new(sql, Quoting::default());
    lexer.skip_blank();
    sql.get(lexer.position()..).unwrap_or_default()
}

fn begins_plainly(first: &[u8], rest: &[u8]) -> bool {
    let is = |known: &[&str]| known.iter().any(|k| first.eq_ignore_ascii_case(k.as_bytes()));
    match first.len() {
        0 => rest.is_empty() || rest.first() == Some(&b'('),
        3 => is(&["end"]),
        4 => is(&["with", "copy", "show", "move"]),
        5 => {
            is(&["begin", "start", "table", "merge", "fetch"]) || (is(&["abort"]) && is_over(rest))
        }
        6 => is(&["select", "insert", "update", "delete", "commit", "values", "vacuum"]),
        7 => is(&["analyze"]),
        8 => is(&["truncate"]) || (is(&["rollback"]) && is_over(rest)),
        _ => false,
    }
}

/// True when nothing follows but white space and semicolons.
fn is_over(rest: &[u8]) -> bool {
    rest.iter().all(|&byte| is_space(byte) || byte == b';')
}

/// True when `temp` stands somewhere, as in INTO TEMP and `pg_temp`.
fn names_temp(sql: &[u8]) -> bool {
    memchr2_iter(b'p', b'P', sql).any(|at| {
        let before = at.checked_sub(3).and_then(|from| sql.get(from..at));
        before.is_some_and(|word| word.eq_ignore_ascii_case(b"tem"))
    })
}

/// True when a second statement begins, or a function is called that matters.
fn calls(sql: &[u8]) -> bool {
    memchr2_iter(b'(', b';', sql).any(|at| {
        let (before, rest) = sql.split_at(at);
        match rest.first() {
            Some(b';') => !is_over(rest),
            _ => matters(before, sql),
        }
    })
}

/// True when the word at the end of `before` is a function's that matters, or may be.
fn matters(before: &[u8], sql: &[u8]) -> bool {
    let blank = before.iter().rev().take_while(|&&byte| is_space(byte)).count();
    let (name, blank) = before.split_at(before.len() - blank);
    let newline = blank.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
    if newline && memmem::find(sql, b"--").is_some() {
        return true;
    }
    match name.split_last() {
        // It may be a comment's end, or that of a name's UESCAPE.
        Some((b'/' | b'\'', _)) => true,
        Some((b'"', quoted)) => {
            let start = memchr::memrchr(b'"', quoted).map_or(0, |quote| quote + 1);
            let escaped = start >= 2 && quoted.get(start - 2) == Some(&b'&');
            escaped || !traits_of(quoted.get(start..).unwrap_or_default()).is_empty()
        }
        _ => {
            let length = name.iter().rev().take_while(|&&byte| is_word(byte)).count();
            let word = name.get(name.len() - length..).unwrap_or_default();
            // A text in dollar quotes or a number may end right in front of the name.
            let glued = word.first().is_some_and(u8::is_ascii_digit) || word.contains(&b'$');
            glued || !traits_of(word).is_empty()
        }
    }
}
