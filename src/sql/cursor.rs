//! A walk over the tokens of one statement.

use super::lexer::Token;
use super::verdict::Ident;

/// PostgreSQL cuts identifiers at this length (`NAMEDATALEN` less its NUL).
const MAX_IDENT: usize = 63;

/// The tokens of one statement, and how far they were read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'t, 'a> {
    pub(super) rest: &'t [Token<'a>],
}

impl<'t, 'a> Cursor<'t, 'a> {
    pub(super) fn peek(&self) -> Option<&'t Token<'a>> {
        self.rest.first()
    }

    pub(super) fn next(&mut self) -> Option<&'t Token<'a>> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    pub(super) fn is_over(&self) -> bool {
        self.rest.is_empty()
    }

    /// True when these key words come next.
    pub(super) fn sees(&self, words: &[&str]) -> bool {
        let tokens = self.rest.iter();
        self.rest.len() >= words.len() && tokens.zip(words).all(|(token, word)| token.is(word))
    }

    /// Takes these key words if they come next.
    pub(super) fn takes(&mut self, words: &[&str]) -> bool {
        let sees = self.sees(words);
        if sees {
            self.rest = self.rest.get(words.len()..).unwrap_or_default();
        }
        sees
    }

    /// Takes the key word if something stands behind it: alone it would be a name.
    pub(super) fn takes_noise(&mut self, word: &str) -> bool {
        self.rest.len() > 1 && self.takes(&[word])
    }

    /// True when `=` or TO comes next.
    pub(super) fn sees_equals(&self) -> bool {
        matches!(self.peek(), Some(Token::Operator(b"="))) || self.sees(&["to"])
    }

    /// A name; `None` where there is none, or none that can be read.
    pub(super) fn ident(&mut self) -> Option<Ident> {
        ident(self.next()?)
    }

    /// True when these key words come next to each other somewhere.
    pub(super) fn holds(&self, words: &[&str]) -> bool {
        self.rest.windows(words.len()).any(|tokens| Cursor { rest: tokens }.sees(words))
    }
}

/// Cuts a name that is too long, at a character's boundary.
fn cut(name: &mut Vec<u8>) {
    let mut end = name.len().min(MAX_IDENT);
    // What is no text may be nothing but rests of characters.
    while end > 0 && name.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    name.truncate(end);
}

/// The name that a token is, folded as PostgreSQL folds it.
pub(super) fn ident(token: &Token<'_>) -> Option<Ident> {
    let mut name = match token {
        Token::Word(word) => word.to_ascii_lowercase(),
        Token::Quoted(Some(name)) => name.to_vec(),
        _ => return None,
    };
    cut(&mut name);
    Some(name.into())
}
