//! The parts that the console's commands are made of.

/// A part of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// Letters, digits and `_`.
    Word(String),
    /// In double quotes.
    Quoted(String),
    /// In single quotes.
    Literal(String),
    /// Anything else.
    Other(char),
}

impl Token {
    /// True for words and what is in quotes.
    pub(super) fn is_text(&self) -> bool {
        !matches!(self, Token::Other(_))
    }

    /// How long it was as it was written.
    pub(super) fn written(&self) -> usize {
        let quoted = |text: &str, quote| text.len() + text.matches(quote).count() + 2;
        match self {
            Token::Word(word) => word.len(),
            Token::Quoted(text) => quoted(text, '"'),
            Token::Literal(text) => quoted(text, '\''),
            Token::Other(_) => 1,
        }
    }
}

/// A quote without an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unterminated;

/// The tokens of a text.
///
/// # Errors
/// A quote without an end.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Unterminated> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            _ if c.is_whitespace() => {}
            '"' => tokens.push(Token::Quoted(quoted(&mut rest, '"')?)),
            '\'' => {
                tokens.push(Token::Literal(quoted(&mut rest, '\'')?));
            }
            _ if is_word(c) => {
                let mut word = String::from(c);
                while let Some(next) = rest.next_if(|&next| is_word(next)) {
                    word.push(next);
                }
                tokens.push(Token::Word(word));
            }
            other => tokens.push(Token::Other(other)),
        }
    }
    Ok(tokens)
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The text up to the closing quote; a doubled quote stands for itself.
fn quoted(
    rest: &mut std::iter::Peekable<std::str::Chars<'_>>,
    quote: char,
) -> Result<String, Unterminated> {
    let mut text = String::new();
    loop {
        match rest.next() {
            None => return Err(Unterminated),
            Some(c) if c == quote && rest.next_if_eq(&quote).is_none() => return Ok(text),
            Some(c) => text.push(c),
        }
    }
}
