//! A statement without its literals, so that two that differ in nothing else are the same.

use super::lexer::{Lexer, Token};
use super::quoting::Quoting;

/// So much of a statement is looked at.
const LOOK: usize = 2_048;

/// Longest fingerprint, in bytes.
const LONGEST: usize = 160;

/// The beginning of a statement on one line, words in lower case, literals as `?`.
pub fn fingerprint(sql: &[u8], quoting: Quoting) -> String {
    let mut text = String::new();
    let mut tight = true;
    for token in Lexer::new(sql.get(..LOOK).unwrap_or(sql), quoting) {
        let (part, before, after) = shape(&token);
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
    fn a_long_statement_is_cut() {
        let text = print(&format!("select {}", "ä, ".repeat(500)));
        assert!(text.len() <= LONGEST + 3 && text.ends_with('…'), "{text}");
    }
}
