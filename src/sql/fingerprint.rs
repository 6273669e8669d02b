//! A statement without its literals, so that two that differ in nothing else are the same.

use super::lexer::{Lexer, Token};
use super::quoting::Quoting;

/// So much of a statement is looked at.
const LOOK: usize = 2_048;

/// Longest fingerprint, in bytes.
const LONGEST: usize = 160;

/// Statements about things that programs number: cursors and prepared statements.
const NUMBERED: [&[u8]; 7] =
    [b"close", b"deallocate", b"declare", b"execute", b"fetch", b"move", b"prepare"];

/// The beginning of a statement on one line, words in lower case, literals as `?`, and so are numbers in the names of
/// cursors and prepared statements.
pub fn fingerprint(sql: &[u8], quoting: Quoting) -> String {
    let mut text = String::new();
    let mut tight = true;
    let mut numbered = None;
    for token in Lexer::new(sql.get(..LOOK).unwrap_or(sql), quoting) {
        let (mut part, before, after) = shape(&token);
        if *numbered.get_or_insert_with(|| is_numbered(&token)) {
            part = without_numbers(&part);
        }
        if !tight && before {
            text.push(' ');
        }
        text.push_str(&part);
        tight = !after;
        if text.len() > LONGEST {
            let end = (0..=LONGEST).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
            text.truncate(end);
            text.push('…');
            break;
        }
    }
    text
}

fn is_numbered(first: &Token<'_>) -> bool {
    let Token::Word(word) = first else { return false };
    NUMBERED.iter().any(|known| known.eq_ignore_ascii_case(word))
}

/// A name with `?` for each run of digits.
fn without_numbers(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    for letter in name.chars() {
        match letter {
            '0'..='9' if text.ends_with('?') => {}
            '0'..='9' => text.push('?'),
            other => text.push(other),
        }
    }
    text
}

/// A token's text, and whether white space stands before and behind it.
fn shape(token: &Token<'_>) -> (String, bool, bool) {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match token {
        Token::Word(word) => (lossy(&word.to_ascii_lowercase()), true, true),
        Token::Quoted(Some(name)) => (format!("\"{}\"", lossy(name)), true, true),
        Token::Quoted(None) => ("\"…\"".to_owned(), true, true),
        Token::Text(_) | Token::Dollar(_) | Token::Number(_) => ("?".to_owned(), true, true),
        Token::Parameter(number) => (format!("${number}"), true, true),
        Token::Mark(mark @ (b'.' | b':' | b'[')) => (char::from(*mark).to_string(), false, false),
        Token::Mark(b'(') => ("(".to_owned(), false, false),
        Token::Mark(mark) => (char::from(*mark).to_string(), false, true),
        Token::Operator(operator) => (lossy(operator), true, true),
        Token::Broken => ("…".to_owned(), true, true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn print(sql: &str) -> String {
        fingerprint(sql.as_bytes(), Quoting::default())
    }

    #[test]
    fn literals_and_layout_make_no_difference() {
        let expected = "select pg_advisory_lock(?) from t where a = ?";
        assert_eq!(print("SELECT pg_advisory_lock( 17 )\n from t /* x */ where A='b'"), expected);
        assert_eq!(print(expected.replace('?', "$$x$$").as_str()), expected);
        assert_eq!(print("select a.b::text, \"C\" from x"), "select a.b::text, \"C\" from x");
    }

    #[test]
    fn numbers_in_names_of_cursors_make_no_difference() {
        let cursor = |thread: u32| format!("DECLARE \"curs_{thread}_sync_1\" CURSOR FOR SELECT a1");
        assert_eq!(print(&cursor(17)), "declare \"curs_?_sync_?\" cursor for select a?");
        assert_eq!(print(&cursor(17)), print(&cursor(402)));
        assert_eq!(print("deallocate _pg3_12"), "deallocate _pg?_?");
        assert_eq!(print("select a1"), "select a1");
    }

    #[test]
    fn a_long_statement_is_cut() {
        let text = print(&format!("select {}", "ä, ".repeat(500)));
        assert!(text.len() <= LONGEST + 3 && text.ends_with('…'), "{text}");
    }
}
