//! Functions that change or read what belongs to a session.

use super::cursor::{Cursor, ident};
use super::lexer::Token;
use super::verdict::{SetConfig, Traits, Value};

/// What a function of this name does to the session.
pub(super) fn traits_of(name: &[u8]) -> Traits {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    let begins = |known: &str| {
        name.get(..known.len()).is_some_and(|front| front.eq_ignore_ascii_case(known.as_bytes()))
    };
    match name.first().map(u8::to_ascii_lowercase) {
        Some(b's') if is("set_config") => Traits::SET_CONFIG,
        Some(b's') if is("setval") => Traits::SETVAL,
        Some(b's') if is("setseed") => Traits::SETSEED,
        Some(b'n') if is("nextval") => Traits::NEXTVAL,
        Some(b'c') if is("currval") => Traits::CURRVAL,
        Some(b'l') if is("lastval") => Traits::LASTVAL,
        Some(b'p') if is("pg_advisory_lock") || is("pg_advisory_lock_shared") => {
            Traits::ADVISORY_LOCK
        }
        Some(b'p') if is("pg_try_advisory_lock") || is("pg_try_advisory_lock_shared") => {
            Traits::ADVISORY_LOCK
        }
        Some(b'p') if is("pg_advisory_unlock_all") => Traits::ADVISORY_UNLOCK_ALL,
        Some(b'p') if begins("pg_advisory_unlock") => Traits::ADVISORY_UNLOCK,
        Some(b'p') if begins("pg_replication_origin_session_") => Traits::REPLICATION_ORIGIN,
        Some(b'p') if begins("pg_replication_origin_xact_") => Traits::REPLICATION_ORIGIN,
        Some(b'p') if is("pg_notify") => Traits::NOTIFY,
        Some(b'p') if is("pg_listening_channels") => Traits::LISTENING_CHANNELS,
        _ => Traits::NONE,
    }
}

/// What a statement calls and names, anywhere in its tokens.
pub(super) fn traits(tokens: &[Token<'_>]) -> Traits {
    let mut found = Traits::NONE;
    for (at, token) in tokens.iter().enumerate() {
        let next = tokens.get(at + 1);
        found |= match token {
            Token::Broken => Traits::UNSURE,
            Token::Word(word) if next == Some(&Token::Mark(b'(')) => traits_of(word),
            Token::Quoted(Some(name)) if next == Some(&Token::Mark(b'(')) => traits_of(name),
            Token::Quoted(None) => Traits::UNSURE,
            Token::Word(word) if is_temp(word) && at > 0 && makes(tokens.get(at - 1)) => {
                Traits::TEMP
            }
            _ => Traits::NONE,
        };
        if next == Some(&Token::Mark(b'.')) && names_temp(token) {
            found |= Traits::TEMP;
        }
    }
    found
}

fn is_temp(word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(b"temp") || word.eq_ignore_ascii_case(b"temporary")
}

/// What stands in front of TEMP when it is not a column's name.
fn makes(before: Option<&Token<'_>>) -> bool {
    let words = ["create", "replace", "into", "local", "global"];
    before.is_some_and(|token| words.iter().any(|word| token.is(word)))
}

/// The schema of temporary objects.
fn names_temp(token: &Token<'_>) -> bool {
    ident(token).is_some_and(|name| name.starts_with(b"pg_temp"))
}

/// The calls of `set_config`.
pub(super) fn set_configs(tokens: &[Token<'_>]) -> Vec<SetConfig> {
    let once = runs_once(tokens);
    let mut found = Vec::new();
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Mark(b'(' | b'[') => depth += 1,
            Token::Mark(b')' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        let called = ident(token).is_some_and(|name| *name == *b"set_config")
            && tokens.get(at + 1) == Some(&Token::Mark(b'('));
        if called {
            let (arguments, behind) = arguments(tokens.get(at + 2..).unwrap_or_default());
            let item = depth == 0 && is_item(tokens.get(..at).unwrap_or_default(), behind);
            found.push(set_config(&arguments, once && item));
        }
    }
    found
}

fn set_config(arguments: &[&[Token<'_>]], certain: bool) -> SetConfig {
    let argument = |at: usize| arguments.get(at).map_or(Value::Unknown, |tokens| value(tokens));
    SetConfig { name: argument(0), value: argument(1), local: argument(2), certain }
}

/// A SELECT that reads no table and has no condition, whose items are evaluated once, from left to right.
fn runs_once(tokens: &[Token<'_>]) -> bool {
    const OTHERWISE: [&str; 15] = [
        "from",
        "where",
        "union",
        "group",
        "having",
        "limit",
        "offset",
        "intersect",
        "except",
        "window",
        "order",
        "fetch",
        "into",
        "case",
        "for",
    ];
    let otherwise = |token: &Token<'_>| OTHERWISE.iter().any(|word| token.is(word));
    tokens.first().is_some_and(|first| first.is("select")) && !tokens.iter().any(otherwise)
}

/// True for what stands as a whole item of a SELECT, with these tokens in front of it and behind it.
fn is_item(mut before: &[Token<'_>], behind: &[Token<'_>]) -> bool {
    if let [front @ .., schema, Token::Mark(b'.')] = before
        && ident(schema).is_some_and(|name| *name == *b"pg_catalog")
    {
        before = front;
    }
    let begins = match before {
        [only] => only.is("select"),
        [.., last] => *last == Token::Mark(b','),
        [] => false,
    };
    let ends = matches!(
        behind.first(),
        None | Some(Token::Mark(b',') | Token::Word(_) | Token::Quoted(_))
    );
    begins && ends
}

/// Cuts the arguments of a call whose opening parenthesis is behind us; the second half is what follows the call.
fn arguments<'t, 'a>(tokens: &'t [Token<'a>]) -> (Vec<&'t [Token<'a>]>, &'t [Token<'a>]) {
    let (mut found, mut start, mut depth) = (Vec::new(), 0, 0_usize);
    for (at, token) in tokens.iter().enumerate() {
        let argument = || tokens.get(start..at).unwrap_or_default();
        match token {
            Token::Mark(b'(' | b'[') => depth += 1,
            Token::Mark(b')') if depth == 0 => {
                found.push(argument());
                return (found, tokens.get(at + 1..).unwrap_or_default());
            }
            Token::Mark(b')' | b']') => depth = depth.saturating_sub(1),
            Token::Mark(b',') if depth == 0 => {
                found.push(argument());
                start = at + 1;
            }
            _ => {}
        }
    }
    (found, &[])
}

/// A constant or a parameter, also one with a cast that changes nothing.
fn value(tokens: &[Token<'_>]) -> Value {
    let mut cursor = Cursor { rest: tokens };
    let first = cursor.next();
    let cast = match cursor.rest {
        [] => true,
        [Token::Mark(b':'), Token::Mark(b':'), kind] => {
            ["text", "varchar", "bool", "boolean"].iter().any(|known| kind.is(known))
        }
        _ => false,
    };
    match first {
        Some(Token::Text(Some(text))) if cast => Value::Text(text.as_ref().into()),
        Some(Token::Dollar(text)) if cast => Value::Text((*text).into()),
        Some(Token::Parameter(number)) if cast => Value::Parameter(*number),
        Some(word) if cast && word.is("null") => Value::Default,
        Some(word) if cast && word.is("true") => Value::Text(b"true"[..].into()),
        Some(word) if cast && word.is("false") => Value::Text(b"false"[..].into()),
        _ => Value::Unknown,
    }
}
