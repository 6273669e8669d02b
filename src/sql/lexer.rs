//! Tokens of SQL as PostgreSQL's scanner (`parser/scan.l`) sees them: enough to know where texts, comments and
//! statements end.

use std::borrow::Cow;

use super::quoting::Quoting;

/// A token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// An identifier or key word without quotes, as written.
    Word(&'a [u8]),
    /// A quoted identifier's name; `None` for `U&"…"`, whose escapes are not read.
    Quoted(Option<Cow<'a, [u8]>>),
    /// A text's value; `None` where it is not known.
    Text(Option<Cow<'a, [u8]>>),
    /// A text between dollar signs.
    Dollar(&'a [u8]),
    /// A number, as written.
    Number(&'a [u8]),
    /// `$1`.
    Parameter(u16),
    /// One of `()[],;:.`
    Mark(u8),
    /// An operator.
    Operator(&'a [u8]),
    /// A text or comment without end, or a byte that begins nothing.
    Broken,
}

impl Token<'_> {
    /// True for this key word, written in lower case here.
    pub(super) fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(found) if found.eq_ignore_ascii_case(word.as_bytes()))
    }
}

/// Cuts SQL into tokens. White space and comments are skipped.
#[derive(Clone, Debug)]
pub(super) struct Lexer<'a> {
    sql: &'a [u8],
    at: usize,
    quoting: Quoting,
}

impl<'a> Lexer<'a> {
    pub(super) fn new(sql: &'a [u8], quoting: Quoting) -> Self {
        Lexer { sql, at: 0, quoting }
    }

    fn rest(&self) -> &'a [u8] {
        self.sql.get(self.at..).unwrap_or_default()
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.sql.get(self.at + ahead).copied()
    }

    /// Skips white space and comments; false when a comment has no end.
    pub(super) fn skip_blank(&mut self) -> bool {
        loop {
            match self.rest() {
                [byte, ..] if is_space(*byte) => self.at += 1,
                [b'-', b'-', ..] => self.skip_line(),
                [b'/', b'*', ..] if self.skip_block() => {}
                [b'/', b'*', ..] => return false,
                _ => return true,
            }
        }
    }

    fn skip_line(&mut self) {
        let end = memchr::memchr2(b'\n', b'\r', self.rest());
        self.at = end.map_or(self.sql.len(), |end| self.at + end);
    }

    /// Skips a block comment, and those inside it.
    fn skip_block(&mut self) -> bool {
        let mut depth = 0_usize;
        loop {
            match self.rest() {
                [b'/', b'*', ..] => (depth, self.at) = (depth + 1, self.at + 2),
                [b'*', b'/', ..] => (depth, self.at) = (depth - 1, self.at + 2),
                [] => return false,
                rest => self.at += self.quoting.encoding.width(rest),
            }
            if depth == 0 {
                return true;
            }
        }
    }

    /// A word at the very place, whatever it is.
    pub(super) fn word(&mut self) -> &'a [u8] {
        let start = self.at;
        while let Some(byte) = self.peek(0) {
            if !is_word(byte) {
                break;
            }
            self.at += self.quoting.encoding.width(self.rest());
        }
        self.at = self.at.min(self.sql.len());
        self.sql.get(start..self.at).unwrap_or_default()
    }

    /// How far the lexer has come.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    fn text(&mut self, escapes: bool) -> Token<'a> {
        match self.quoted(b'\'', escapes) {
            Some(value) => Token::Text(value),
            None => Token::Broken,
        }
    }

    /// What stands between quotes, the opening one next; `None` when they do not end, `Some(None)` when the value is
    /// not known.
    fn quoted(&mut self, quote: u8, escapes: bool) -> Option<Option<Cow<'a, [u8]>>> {
        self.at += 1;
        let start = self.at;
        let (mut value, mut known): (Option<Vec<u8>>, bool) = (None, true);
        loop {
            let byte = self.peek(0)?;
            let so_far = self.sql.get(start..self.at).unwrap_or_default();
            if byte == quote && self.peek(1) == Some(quote) {
                value.get_or_insert_with(|| so_far.to_vec()).push(quote);
                self.at += 2;
            } else if byte == quote {
                self.at += 1;
                if quote == b'\'' && self.continues() {
                    value.get_or_insert_with(|| so_far.to_vec());
                    continue;
                }
                let value = value.map_or(Cow::Borrowed(so_far), Cow::Owned);
                return Some(known.then_some(value));
            } else if byte == b'\\' && escapes {
                let escaped = self.peek(1)?;
                let value = value.get_or_insert_with(|| so_far.to_vec());
                match simple_escape(escaped) {
                    Some(byte) => value.push(byte),
                    None => known = false,
                }
                self.at += 1 + self.quoting.encoding.width(self.sql.get(self.at + 1..)?);
            } else {
                let width = self.quoting.encoding.width(self.rest());
                if let Some(value) = &mut value {
                    let end = (self.at + width).min(self.sql.len());
                    value.extend_from_slice(self.sql.get(self.at..end).unwrap_or_default());
                }
                self.at += width;
            }
        }
    }

    /// A text goes on behind white space with a line's end in it; moves to what goes on.
    fn continues(&mut self) -> bool {
        let (mut ahead, mut newline) = (self.clone(), false);
        loop {
            match ahead.rest() {
                [b'\n' | b'\r', ..] => (newline, ahead.at) = (true, ahead.at + 1),
                [byte, ..] if is_space(*byte) => ahead.at += 1,
                [b'-', b'-', ..] => ahead.skip_line(),
                [b'\'', ..] if newline => {
                    self.at = ahead.at + 1;
                    return true;
                }
                _ => return false,
            }
        }
    }

    /// `$1`, `$$…$$`, `$tag$…$tag$`.
    fn dollar(&mut self) -> Token<'a> {
        let rest = self.rest();
        let digits = rest.iter().skip(1).take_while(|byte| byte.is_ascii_digit()).count();
        if digits > 0 {
            self.at += 1 + digits;
            let number = rest.get(1..=digits).and_then(|text| str::from_utf8(text).ok());
            return number.and_then(|n| n.parse().ok()).map_or(Token::Broken, Token::Parameter);
        }
        let tag = rest.iter().skip(1).take_while(|&&byte| is_word(byte) && byte != b'$').count();
        if rest.get(tag + 1) != Some(&b'$') {
            self.at += 1;
            return Token::Broken;
        }
        let (mark, body) = rest.split_at(tag + 2);
        match memchr::memmem::find(body, mark) {
            Some(end) => {
                self.at += mark.len() + end + mark.len();
                Token::Dollar(body.get(..end).unwrap_or_default())
            }
            None => {
                self.at = self.sql.len();
                Token::Broken
            }
        }
    }

    fn number(&mut self) -> Token<'a> {
        let start = self.at;
        while let Some(byte) = self.peek(0) {
            let sign = matches!(byte, b'+' | b'-')
                && self.sql.get(self.at - 1).is_some_and(|e| matches!(e, b'e' | b'E'))
                && !is_radix(self.sql.get(start..self.at).unwrap_or_default());
            let range = byte == b'.' && self.peek(1) == Some(b'.');
            if range || !(byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.') || sign) {
                break;
            }
            self.at += 1;
        }
        Token::Number(self.sql.get(start..self.at).unwrap_or_default())
    }

    /// A run of operator characters, up to a comment.
    fn operator(&mut self) -> Token<'a> {
        let start = self.at;
        while let Some(byte) = self.peek(0) {
            let comment = matches!(self.rest(), [b'-', b'-', ..] | [b'/', b'*', ..]);
            if !is_operator(byte) || (comment && self.at > start) {
                break;
            }
            self.at += 1;
        }
        Token::Operator(self.sql.get(start..self.at).unwrap_or_default())
    }

    fn identifier(&mut self) -> Token<'a> {
        match self.quoted(b'"', false) {
            Some(name) => Token::Quoted(name),
            None => Token::Broken,
        }
    }
}

impl<'a> Iterator for Lexer<'a> {
    type Item = Token<'a>;

    fn next(&mut self) -> Option<Token<'a>> {
        if !self.skip_blank() {
            return Some(Token::Broken);
        }
        let conforming = self.quoting.conforming;
        Some(match self.rest() {
            [] => return None,
            [b'\'', ..] => self.text(!conforming),
            [b'"', ..] => self.identifier(),
            [b'e' | b'E', b'\'', ..] => {
                self.at += 1;
                self.text(true)
            }
            // National character texts are plain ones.
            [b'n' | b'N', b'\'', ..] => {
                self.at += 1;
                self.text(!conforming)
            }
            [b'b' | b'B' | b'x' | b'X', b'\'', ..] => {
                self.at += 1;
                unknown(self.text(false))
            }
            [b'u' | b'U', b'&', b'\'', ..] => {
                self.at += 2;
                unknown(self.text(false))
            }
            [b'u' | b'U', b'&', b'"', ..] => {
                self.at += 2;
                unknown(self.identifier())
            }
            [b'$', ..] => self.dollar(),
            [b'0'..=b'9', ..] | [b'.', b'0'..=b'9', ..] => self.number(),
            [mark @ (b'(' | b')' | b'[' | b']' | b',' | b';' | b':' | b'.'), ..] => {
                self.at += 1;
                Token::Mark(*mark)
            }
            [byte, ..] if is_operator(*byte) => self.operator(),
            [byte, ..] if is_word(*byte) => Token::Word(self.word()),
            _ => {
                self.at += 1;
                Token::Broken
            }
        })
    }
}

/// A token whose end is known but not its value.
fn unknown(token: Token<'_>) -> Token<'_> {
    match token {
        Token::Text(_) => Token::Text(None),
        Token::Quoted(_) => Token::Quoted(None),
        other => other,
    }
}

/// What `\` and this byte stand for, unless it is a number or a Unicode character.
fn simple_escape(byte: u8) -> Option<u8> {
    match byte {
        b'b' => Some(8),
        b'f' => Some(12),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        b'v' => Some(11),
        b'x' | b'u' | b'U' | b'0'..=b'7' | 0x80.. => None,
        other => Some(other),
    }
}

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

/// Bytes of identifiers, the dollar sign included, which only begins none.
pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

fn is_operator(byte: u8) -> bool {
    b"~!@#^&|`?+-*/%<>=".contains(&byte)
}

/// True for the beginning of a hexadecimal number, in which an `e` is a digit.
fn is_radix(number: &[u8]) -> bool {
    matches!(number, [b'0', b'x' | b'X', ..])
}
