//! The grammar of a `pgbouncer.ini`: text in, sections, keys and includes with their places out.

use super::mistake::{FileId, Place, Report};

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// `[name]`
    Section { at: Place, name: String },
    /// `key = value`
    Pair(Pair),
    /// `%include path`
    Include { at: Place, path: String },
}

/// A key with its value, of a file or of a connection string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    pub(super) at: Place,
    pub(super) key: String,
    pub(super) value_at: Place,
    pub(super) value: String,
}

/// Reads a file. A line that cannot be read is reported and left out.
pub(super) fn items(text: &str, file: FileId, report: &mut Report) -> Vec<Item> {
    let mut out = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let number = u32::try_from(number + 1).unwrap_or(u32::MAX);
        let start = Place { file, line: number, column: 1 };
        if let Err((at, message)) = Scanner::new(line, start).line(&mut out) {
            report.add_missing(at, message);
        }
    }
    out
}

/// Reads a connection string, as the lines of `[databases]`, `[users]` and `[peers]` hold one.
pub(super) fn connection_string(
    text: &str,
    start: Place,
    report: &mut Report,
) -> Option<Vec<Pair>> {
    let pairs = Scanner::new(text, start).connection_string();
    pairs.map_err(|(at, message)| report.add(at, message, None)).ok()
}

/// Reads a list with commas; white space around its members does not count.
pub(super) fn words(text: &str, start: Place) -> Result<Vec<(Place, String)>, String> {
    let list = text.strip_suffix(',').unwrap_or(text);
    let is_gap = |word: &str| word.trim().is_empty();
    if !text.trim().is_empty() && list.split(',').any(is_gap) {
        return Err("there is nothing between two commas".into());
    }
    Ok(names(list, start))
}

/// Reads a list of names as PgBouncer looks for one in it: nothing between two commas is no name.
pub(super) fn names(text: &str, start: Place) -> Vec<(Place, String)> {
    let scanner = Scanner::new(text, start);
    let mut out = Vec::new();
    let mut offset = 0;
    for word in text.split(',') {
        let blank = word.len() - word.trim_start().len();
        if !word.trim().is_empty() {
            out.push((scanner.place_of(offset + blank), word.trim().to_owned()));
        }
        offset += word.len() + 1;
    }
    out
}

/// Where it goes wrong, and what.
type Wrong = (Place, String);

/// A text of one line and how far it has been read.
struct Scanner<'a> {
    text: &'a str,
    rest: &'a str,
    start: Place,
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str, start: Place) -> Self {
        Scanner { text, rest: text, start }
    }

    /// The place of a byte.
    fn place_of(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text).chars().count();
        let column = self.start.column.saturating_add(u32::try_from(before).unwrap_or(u32::MAX));
        Place { column, ..self.start }
    }

    fn here(&self) -> Place {
        self.place_of(self.text.len() - self.rest.len())
    }

    fn skip_blanks(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn wrong<T>(&self, message: impl Into<String>) -> Result<T, Wrong> {
        Err((self.here(), message.into()))
    }

    /// One line. What follows a section's header is read as a line of its own.
    fn line(mut self, out: &mut Vec<Item>) -> Result<(), Wrong> {
        loop {
            self.skip_blanks();
            let at = self.here();
            if self.rest.is_empty() || self.rest.starts_with(['#', ';']) {
                return Ok(());
            }
            if let Some(path) = self.rest.strip_prefix("%include")
                && path.starts_with([' ', '\t'])
            {
                out.push(Item::Include { at, path: path.trim().to_owned() });
                return Ok(());
            }
            let Some(header) = self.rest.strip_prefix('[') else {
                out.push(Item::Pair(self.pair()?));
                return Ok(());
            };
            let Some((name, rest)) = header.split_once(']') else {
                return self.wrong("the header of the section is not closed");
            };
            out.push(Item::Section { at, name: name.to_owned() });
            self.rest = rest;
        }
    }

    /// `key = rest of the line`
    fn pair(&mut self) -> Result<Pair, Wrong> {
        let at = self.here();
        let key = match self.rest.chars().next() {
            Some(quote @ ('\'' | '"')) => self.quoted(quote)?,
            _ => {
                let bare = |c: char| c.is_ascii_alphanumeric() || "_.-*".contains(c);
                self.take_while(bare).to_owned()
            }
        };
        self.equals(&key)?;
        let (value_at, value) = (self.here(), self.rest.trim_end().to_owned());
        Ok(Pair { at, key, value_at, value })
    }

    fn connection_string(mut self) -> Result<Vec<Pair>, Wrong> {
        let mut out = Vec::new();
        loop {
            self.skip_blanks();
            if self.rest.is_empty() {
                return Ok(out);
            }
            let at = self.here();
            let key = self.take_while(|c| c != '=' && !c.is_whitespace()).to_owned();
            self.equals(&key)?;
            let value_at = self.here();
            let value = if self.rest.starts_with('\'') {
                self.quoted('\'')?
            } else {
                self.take_while(|c| !c.is_whitespace()).to_owned()
            };
            if value.is_empty() {
                return Err((
                    value_at,
                    format!("syntax error in connection string: `{key}` is empty"),
                ));
            }
            if !self.rest.is_empty() && !self.rest.starts_with(char::is_whitespace) {
                return self.wrong("syntax error in connection string: a space is missing here");
            }
            out.push(Pair { at, key, value_at, value });
        }
    }

    /// The sign after a key, with the blanks around it.
    fn equals(&mut self, key: &str) -> Result<(), Wrong> {
        self.skip_blanks();
        match self.rest.strip_prefix('=') {
            Some(_) if key.is_empty() => self.wrong("syntax error: there is no name before `=`"),
            Some(rest) => {
                self.rest = rest;
                self.skip_blanks();
                Ok(())
            }
            None => self.wrong(format!("syntax error: expected `=` after `{key}`")),
        }
    }

    fn take_while(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !fits(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// A text in quotes, in which the quote itself is doubled.
    fn quoted(&mut self, quote: char) -> Result<String, Wrong> {
        let begin = self.here();
        let mut out = String::new();
        let mut rest = &self.rest[quote.len_utf8()..];
        loop {
            let Some((part, after)) = rest.split_once(quote) else {
                return Err((begin, "the quote is not closed".into()));
            };
            out.push_str(part);
            match after.strip_prefix(quote) {
                Some(more) => {
                    out.push(quote);
                    rest = more;
                }
                None => {
                    self.rest = after;
                    return Ok(out);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn file(report: &mut Report) -> FileId {
        report.open(Path::new("a.ini"))
    }

    /// What a file says, one text an item; or its mistakes.
    fn read(text: &str) -> Vec<String> {
        let mut report = Report::default();
        let file = file(&mut report);
        let items = items(text, file, &mut report);
        if let Err(mistakes) = report.finish() {
            return mistakes.as_slice().iter().map(ToString::to_string).collect();
        }
        let show = |item: Item| match item {
            Item::Section { name, .. } => format!("[{name}]"),
            Item::Pair(pair) => format!("{}={}|", pair.key, pair.value),
            Item::Include { path, .. } => format!("%{path}"),
        };
        items.into_iter().map(show).collect()
    }

    fn pairs(text: &str) -> Result<Vec<(String, String)>, String> {
        let mut report = Report::default();
        let start = Place { file: file(&mut report), line: 7, column: 10 };
        let pairs = connection_string(text, start, &mut report);
        report.finish().map_err(|mistakes| mistakes.to_string())?;
        Ok(pairs.unwrap_or_default().into_iter().map(|pair| (pair.key, pair.value)).collect())
    }

    #[test]
    fn lines_are_read_as_pgbouncer_reads_them() {
        assert_eq!(read("  [pgbouncer]\n\t a = b c \r\n"), ["[pgbouncer]", "a=b c|"]);
        assert_eq!(read("; a = 1\n # b\n\n"), Vec::<String>::new());
        assert_eq!(read("a = 1 ; no comment # here"), ["a=1 ; no comment # here|"]);
        assert_eq!(read("p0a=x\nk =\n* = y"), ["p0a=x|", "k=|", "*=y|"]);
        assert_eq!(read("'a b''c' = 1\n\"d \"\" e\"=2"), ["a b'c=1|", "d \" e=2|"]);
        assert_eq!(read("[users] u = x"), ["[users]", "u=x|"]);
        assert_eq!(read("%include  other.ini \n"), ["%other.ini"]);
        assert_eq!(read("a = [x]\nb==c"), ["a=[x]|", "b==c|"]);
    }

    #[test]
    fn broken_lines_have_places() {
        assert_eq!(read("[x"), ["a.ini:1:1: the header of the section is not closed"]);
        assert_eq!(read("\n  a b = 1"), ["a.ini:2:5: syntax error: expected `=` after `a`"]);
        assert_eq!(read("= 1"), ["a.ini:1:1: syntax error: there is no name before `=`"]);
        assert_eq!(read("'a = 1"), ["a.ini:1:1: the quote is not closed"]);
        assert_eq!(read("%includes x").len(), 1);
    }

    #[test]
    fn connection_strings() {
        let expected = |list: &[(&str, &str)]| {
            Ok(list.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect())
        };
        assert_eq!(pairs(""), expected(&[]));
        assert_eq!(
            pairs("host=a port = 5\tuser= u"),
            expected(&[("host", "a"), ("port", "5"), ("user", "u")])
        );
        assert_eq!(
            pairs("connect_query='select ''x'' = 1' a=b'c"),
            expected(&[("connect_query", "select 'x' = 1"), ("a", "b'c")])
        );
        assert_eq!(pairs("password=a;#b"), expected(&[("password", "a;#b")]));
    }

    #[test]
    fn broken_connection_strings_have_places() {
        let why = |text| pairs(text).unwrap_err();
        assert_eq!(
            why("host=''"),
            "a.ini:7:15: syntax error in connection string: `host` is empty"
        );
        assert!(why("host=").contains("`host` is empty"));
        assert!(why("host").contains("expected `=` after `host`"));
        assert!(why("a='b'c=d").contains("a space is missing here"));
        assert!(why("a='b").contains("the quote is not closed"));
        assert!(why("=b").contains("no name before `=`"));
    }

    #[test]
    fn lists() {
        let list = |text| {
            let mut report = Report::default();
            let start = Place { file: file(&mut report), line: 1, column: 1 };
            words(text, start).map(|list| {
                list.into_iter().map(|(at, word)| (at.column, word)).collect::<Vec<_>>()
            })
        };
        assert_eq!(list(" a , b b,"), Ok(vec![(2, "a".into()), (6, "b b".into())]));
        assert_eq!(list(""), Ok(Vec::new()));
        assert!(list("a,,b").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[a='\"\\[\\];#% \\n\\PC]{0,40}") {
            read(&text);
            let _ = pairs(&text.replace('\n', " "));
        }

        #[test]
        fn what_is_quoted_comes_back(value in "[^\\n\\r\\x00]{1,20}", key in "[^\\n\\r\\x00]{1,20}") {
            let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
            prop_assert_eq!(pairs(&format!("k={}", quoted(&value))), Ok(vec![("k".to_owned(), value.clone())]));
            let line = format!("{} = {value}", quoted(&key));
            prop_assert_eq!(read(&line), vec![format!("{key}={}|", value.trim())]);
        }
    }
}
