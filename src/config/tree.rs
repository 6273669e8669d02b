//! A file as a tree of values that know their places: TOML parsed, variables substituted.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::env::{Lookup, Substituted, substitute};
use super::mistake::{FileId, Place, Report};

/// A value and where it stands. No `Debug`: it may hold a password.
pub(super) struct Node {
    pub(super) at: Place,
    pub(super) value: Value,
}

/// What TOML can say.
pub(super) enum Value {
    /// `loose`: it came from a variable or from the table of defaults, and may stand for a number or a bool.
    Text {
        text: String,
        loose: bool,
    },
    /// The digits as written, so that an oversized number can be shown.
    Integer {
        value: Option<i64>,
        shown: String,
    },
    Bool(bool),
    List(Vec<Node>),
    Table(Table),
    /// A number with a fraction, as it was written.
    Fraction(String),
    /// A date: no setting takes one.
    Other(&'static str),
    /// Already reported.
    Broken,
}

impl Value {
    /// What it is, for `found …`. Texts are not repeated: they may be secret.
    pub(super) fn describe(&self) -> String {
        match self {
            Value::Text { loose: false, .. } => "a string".into(),
            Value::Text { loose: true, .. } => "a variable with other text".into(),
            Value::Integer { shown, .. } => format!("the number {shown}"),
            Value::Fraction(_) => "a number with a fraction".into(),
            Value::Bool(value) => format!("`{value}`"),
            Value::List(_) => "an array".into(),
            Value::Table(_) => "a table".into(),
            Value::Other(what) => format!("a {what}"),
            Value::Broken => "nothing".into(),
        }
    }
}

/// A section: its keys and, once they are read, what became of them.
pub(super) struct Table {
    /// The section's name, or the first key of an implicit section.
    pub(super) at: Place,
    pub(super) entries: BTreeMap<String, Entry>,
    /// Keys whose value in the file is unknown: wrong, or probably misspelt. Rules about them are not checked.
    pub(super) doubtful: BTreeSet<&'static str>,
}

/// A key with its value.
pub(super) struct Entry {
    pub(super) at: Place,
    pub(super) node: Node,
    /// A setting has taken the value; what is left over is unknown.
    pub(super) taken: bool,
}

impl Table {
    pub(super) fn empty(at: Place) -> Self {
        Table { at, entries: BTreeMap::new(), doubtful: BTreeSet::new() }
    }

    /// Where the value of `key` stands, or else the section.
    pub(super) fn place(&self, key: &str) -> Place {
        self.entries.get(key).map_or(self.at, |entry| entry.node.at)
    }

    /// Whether the file sets `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }
}

/// Reads TOML. What the parser makes of broken text is kept, so that the rest is checked too.
pub(super) fn parse(text: &str, file: FileId, env: &Lookup<'_>, report: &mut Report) -> Table {
    let lines = Lines::new(text, file);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let span = error.span().unwrap_or_default();
        let message = match error.message() {
            "duplicate key" => duplicate(&lines, root.get_ref(), span.clone()),
            message => message.to_owned(),
        };
        report.add_syntax(lines.place(span.start), message);
    }
    let start = Place { file, line: 1, column: 1 };
    Planter { lines, env, report }.table(start, root.into_inner())
}

/// Turns the parser's borrowed tree into ours.
struct Planter<'a> {
    lines: Lines<'a>,
    env: &'a Lookup<'a>,
    report: &'a mut Report,
}

impl Planter<'_> {
    fn table(&mut self, at: Place, table: DeTable<'_>) -> Table {
        let mut out = Table::empty(at);
        for (key, value) in table {
            let at = self.lines.place(key.span().start);
            let node = self.node(at, value);
            let name = key.into_inner().into_owned();
            out.entries.insert(name, Entry { at, node, taken: false });
        }
        out
    }

    fn node(&mut self, key: Place, value: Spanned<DeValue<'_>>) -> Node {
        let at = self.lines.place(value.span().start);
        let value = match value.into_inner() {
            DeValue::String(text) => self.text(at, &text),
            DeValue::Integer(number) => Value::Integer {
                value: i64::from_str_radix(number.as_str(), number.radix()).ok(),
                shown: number.to_string(),
            },
            DeValue::Boolean(value) => Value::Bool(value),
            DeValue::Array(items) => {
                Value::List(items.into_iter().map(|item| self.node(at, item)).collect())
            }
            // A section is shown by its name, not by its bracket.
            DeValue::Table(table) => Value::Table(self.table(key, table)),
            DeValue::Float(number) => Value::Fraction(number.as_str().to_owned()),
            DeValue::Datetime(_) => Value::Other("date or time"),
        };
        Node { at, value }
    }

    fn text(&mut self, at: Place, text: &str) -> Value {
        match substitute(text, self.env) {
            Ok(Substituted::Plain(text)) => Value::Text { text, loose: false },
            Ok(Substituted::Changed(text)) => Value::Text { text, loose: true },
            Err(unset) => {
                self.report.add(at, unset.message, Some(unset.help));
                Value::Broken
            }
        }
    }
}

/// Turns byte offsets into lines and columns.
struct Lines<'a> {
    text: &'a str,
    file: FileId,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str, file: FileId) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(i, _)| i + 1);
        Lines { text, file, starts: std::iter::once(0).chain(breaks).collect() }
    }

    fn place(&self, offset: usize) -> Place {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = self.text.get(start..offset).unwrap_or_default();
        let narrow = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Place { file: self.file, line: narrow(line), column: narrow(before.chars().count() + 1) }
    }

    /// The line that holds `offset`, and its own offset.
    fn line(&self, offset: usize) -> (usize, &str) {
        let number = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(number.saturating_sub(1)).copied().unwrap_or(0);
        let end = self.starts.get(number).copied().unwrap_or(self.text.len());
        (start, self.text.get(start..end).unwrap_or_default().trim())
    }
}

/// The parser says where the second of two equal keys is; this finds the first.
fn duplicate(lines: &Lines<'_>, root: &DeTable<'_>, second: std::ops::Range<usize>) -> String {
    let name = lines.text.get(second.clone()).unwrap_or_default().trim_matches(['"', '\'']);
    let (start, header) = lines.line(second.start);
    let first = if header.starts_with('[') {
        let same = |offset: &&usize| **offset < start && lines.line(**offset).1 == header;
        lines.starts.iter().find(same).copied()
    } else {
        last_key(root, name, second.start)
    };
    match first {
        Some(first) => {
            let first = lines.place(first);
            format!("duplicate key `{name}`; first at line {}", first.line)
        }
        None => format!("duplicate key `{name}`"),
    }
}

/// The nearest key called `name` before `end`.
fn last_key(table: &DeTable<'_>, name: &str, end: usize) -> Option<usize> {
    let here = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
        let key: &Spanned<std::borrow::Cow<'_, str>> = key;
        let start = key.span().start;
        let own = (key.get_ref() == name && start < end).then_some(start);
        let inner = value.get_ref().as_table().and_then(|inner| last_key(inner, name, end));
        own.max(inner)
    };
    table.iter().filter_map(here).max()
}
