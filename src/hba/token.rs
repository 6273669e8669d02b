//! The words of a line: blanks part fields, commas part the words of one field, quotes take a word's meaning away.

/// A word of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    /// It begins with a quote, so it is no keyword, no `+role` and no `@file`.
    pub(super) quoted: bool,
    /// Where it begins, in characters from 1.
    pub(super) column: u32,
}

impl Token {
    /// Whether the word is this keyword.
    pub(super) fn is(&self, keyword: &str) -> bool {
        !self.quoted && self.text == keyword
    }

    /// What follows a mark such as `+` or `@`, if the word begins with it and has its meaning.
    pub(super) fn after(&self, mark: char) -> Option<&str> {
        self.text.strip_prefix(mark).filter(|rest| !self.quoted && !rest.is_empty())
    }
}

/// The words between two blanks. Never empty.
pub(super) type Field = Vec<Token>;

/// Splits a line. The error is the column of a quote that is never closed.
pub(super) fn split(line: &str) -> Result<Vec<Field>, u32> {
    let mut lexer = Lexer { rest: line.chars().peekable(), column: 1 };
    let mut fields: Vec<Field> = Vec::new();
    let mut goes_on = false;
    while let Some((token, comma)) = lexer.token()? {
        match fields.last_mut() {
            Some(field) if goes_on => field.push(token),
            _ => fields.push(vec![token]),
        }
        goes_on = comma;
    }
    Ok(fields)
}

struct Lexer<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    column: u32,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.column += u32::from(next.is_some());
        next
    }

    /// The next word, and whether a comma follows it.
    fn token(&mut self) -> Result<Option<(Token, bool)>, u32> {
        while self.rest.next_if(|&c| is_blank(c) || c == ',').is_some() {
            self.column += 1;
        }
        let column = self.column;
        let Some(&first) = self.rest.peek().filter(|&&c| c != '#') else { return Ok(None) };
        let mut token = Token { text: String::new(), quoted: first == '"', column };
        let mut comma = false;
        while let Some(&c) = self.rest.peek() {
            match c {
                '#' => break,
                ',' => {
                    self.next();
                    comma = true;
                    break;
                }
                c if is_blank(c) => break,
                '"' => self.quoted(&mut token.text)?,
                c => {
                    token.text.push(c);
                    self.next();
                }
            }
        }
        Ok(Some((token, comma)))
    }

    /// Everything up to the closing quote; two quotes are one.
    fn quoted(&mut self, text: &mut String) -> Result<(), u32> {
        let opened = self.column;
        self.next();
        while let Some(c) = self.next() {
            match c {
                '"' if self.rest.peek() == Some(&'"') => {
                    self.next();
                    text.push('"');
                }
                '"' => return Ok(()),
                c => text.push(c),
            }
        }
        Err(opened)
    }
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(line: &str) -> Vec<Vec<String>> {
        let shown = |token: Token| {
            if token.quoted { format!("<{}>", token.text) } else { token.text }
        };
        let fields = split(line).unwrap();
        fields.into_iter().map(|field| field.into_iter().map(shown).collect()).collect()
    }

    #[test]
    fn blanks_and_commas() {
        assert_eq!(
            texts("host a,b , c\tall"),
            [vec!["host"], vec!["a", "b"], vec!["c"], vec!["all"]]
        );
        assert_eq!(texts("a, b"), [vec!["a", "b"]]);
        assert_eq!(texts("  # nothing"), Vec::<Vec<String>>::new());
        assert_eq!(texts("a#b"), [vec!["a"]]);
    }

    #[test]
    fn quotes() {
        assert_eq!(
            texts(r#""all" a"b c"d """x""" "#),
            [vec!["<all>"], vec!["ab cd"], vec![r#"<"x">"#]]
        );
        assert_eq!(texts(r##""a#b,c""##), [vec!["<a#b,c>"]]);
        assert_eq!(texts(r#""""#), [vec!["<>"]]);
        assert_eq!(split(r#"host "abc"#), Err(6));
    }

    #[test]
    fn columns_count_characters() {
        let columns: Vec<u32> =
            split("é  ü,x").unwrap().iter().flatten().map(|token| token.column).collect();
        assert_eq!(columns, [1, 4, 6]);
    }
}
