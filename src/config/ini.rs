//! A `pgbouncer.ini` as the same tree of sections that a `pool.toml` gives: from there on both are checked alike.

use std::collections::BTreeMap;
use std::path::Path;

use super::files::Raw;
use super::ini_sections::{self, Sections};
use super::ini_table::{
    CHANGED, DATABASE_KEYS, DROP_IN, Fate, PARAMETERS, PEER_KEYS, Parameter, USER_KEYS,
};
use super::ini_text::{Pair, connection_string};
use super::mistake::{Place, Report};
use super::setting::Section;
use super::suggest::closest;
use super::tree::{Entry, Node, Table, Value};

/// Whether a file is PgBouncer's: by its name, or else by its first section.
pub(super) fn is_ini(path: &Path) -> bool {
    match path.extension().and_then(|extension| extension.to_str()) {
        Some(extension) if extension.eq_ignore_ascii_case("ini") => return true,
        Some(extension) if extension.eq_ignore_ascii_case("toml") => return false,
        _ => {}
    }
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let is_header = |line: &&str| line.starts_with('[');
    let first = text.lines().map(str::trim).find(is_header);
    first.is_some_and(|line| {
        ["[pgbouncer]", "[databases]", "[users]", "[peers]"].iter().any(|h| line.starts_with(h))
    })
}

/// Reads a `pgbouncer.ini` and everything it includes.
pub(super) fn gather(path: &Path, report: &mut Report) -> Raw {
    convert(ini_sections::gather(path, report), report)
}

/// The same sections as a `pool.toml` would have them.
pub(super) fn convert(sections: Sections, report: &mut Report) -> Raw {
    let main = sections.main;
    let raw = Raw { files: sections.files.clone(), ..Raw::new(main) };
    let default_at = Place::whole(main);
    let mut converter = Converter { report, raw, default_at, inherited: Vec::new() };
    converter.parameters(&sections);
    converter.databases(sections.databases);
    converter.users(sections.users);
    converter.peers(sections.peers);
    converter.raw
}

/// A parameter of `[pgbouncer]` that databases or users inherit.
struct Inherited {
    section: Section,
    key: &'static str,
    at: Place,
    node: Node,
}

struct Converter<'a> {
    report: &'a mut Report,
    raw: Raw,
    /// Where defaults stand: nowhere.
    default_at: Place,
    inherited: Vec<Inherited>,
}

impl Converter<'_> {
    fn parameters(&mut self, sections: &Sections) {
        for parameter in PARAMETERS {
            let written = sections.parameters.get(parameter.name);
            let (at, value_at, text) = match (written, parameter.default) {
                (Some(pair), _) => (pair.at, pair.value_at, pair.value.as_str()),
                (None, Some(default)) => (self.default_at, self.default_at, default),
                (None, None) => continue,
            };
            if text.is_empty() && parameter.default.is_none() {
                continue;
            }
            match parameter.fate {
                Fate::Setting(section, key, form) => {
                    let node = form.read(parameter.name, value_at, text, self.report);
                    let table = self.section(section);
                    insert(table, key, at, node);
                }
                Fate::Inherited(section, key, form) => {
                    let node = form.read(parameter.name, value_at, text, self.report);
                    self.inherited.push(Inherited { section, key, at, node });
                }
                Fate::Moot(why) if written.is_some() => {
                    self.raw.notes.moot.push((parameter.name, why));
                }
                Fate::Moot(_) | Fate::Startup => {}
            }
        }
        for (section, key, value, _) in DROP_IN {
            let node = Node { at: self.default_at, value: word(value) };
            let at = self.default_at;
            insert(self.section(*section), key, at, node);
        }
        let is_written = |(name, _): &&(&str, &str)| sections.parameters.contains_key(*name);
        self.raw.notes.changed = CHANGED.iter().filter(is_written).copied().collect();
        self.limits_of_strangers();
    }

    /// Users without a line of their own inherit, too.
    fn limits_of_strangers(&mut self) {
        let of_users = self.inherited.iter().filter(|one| one.section == Section::User);
        let entries: Vec<_> = of_users.map(|one| (one.key, one.at, copy(&one.node))).collect();
        for (key, at, node) in entries {
            insert(self.section(Section::Process), key, at, node);
        }
    }

    fn section(&mut self, section: Section) -> &mut Table {
        let at = Place { line: 1, column: 1, ..self.default_at };
        self.raw.sections.entry(section).or_insert_with(|| Table::empty(at))
    }

    fn databases(&mut self, lines: BTreeMap<String, Pair>) {
        for (name, line) in lines {
            let mut table = self.line(&line, DATABASE_KEYS, Section::Database);
            if !table.has("host") {
                self.default_host(&mut table);
            }
            if !table.has("load_balance_hosts") {
                let node = Node { at: self.default_at, value: text("round-robin") };
                insert(&mut table, "load_balance_hosts", self.default_at, node);
            }
            if table.has("password") && !table.has("user") {
                table.entries.remove("password");
                self.note(
                    line.at,
                    &format!("database `{name}`: `password` has no effect without `user`"),
                );
            }
            self.raw.databases.insert(name, table);
        }
    }

    /// Servers are looked for where pgusher itself has its socket.
    fn default_host(&mut self, table: &mut Table) {
        let process = self.section(Section::Process);
        let folder = process.entries.get("unix_socket_dir").map(|entry| copy(&entry.node));
        let usable =
            |node: &Node| matches!(&node.value, Value::Text { text, .. } if !text.is_empty());
        if let Some(node) = folder.filter(usable) {
            insert(table, "host", self.default_at, node);
        }
    }

    fn users(&mut self, lines: BTreeMap<String, Pair>) {
        for (name, line) in lines {
            let table = self.line(&line, USER_KEYS, Section::User);
            self.raw.users.insert(name, table);
        }
    }

    fn peers(&mut self, lines: BTreeMap<String, Pair>) {
        for (name, line) in lines {
            let table = self.line(&line, PEER_KEYS, Section::Peer);
            self.raw.peers.insert(name, table);
        }
    }

    /// The keys of a database's, a user's or a peer's line.
    fn line(&mut self, line: &Pair, known: &[Parameter], section: Section) -> Table {
        let mut table = Table::empty(line.at);
        let pairs = connection_string(&line.value, line.value_at, self.report);
        for pair in pairs.unwrap_or_default() {
            let Some(parameter) = known.iter().find(|known| known.name == pair.key) else {
                let help = closest(&pair.key, known.iter().map(|known| known.name));
                let help = help.map(|name| format!("did you mean `{name}`?"));
                let message = format!("unrecognized connection parameter: {}", pair.key);
                self.report.add(pair.at, message, help);
                continue;
            };
            match parameter.fate {
                // PgBouncer's way of saying that a number is inherited.
                Fate::Setting(..) if pair.value == "-1" => {}
                Fate::Setting(_, key, form) => {
                    let node = form.read(parameter.name, pair.value_at, &pair.value, self.report);
                    insert(&mut table, key, pair.at, node);
                }
                Fate::Startup => startup_parameter(&mut table, &pair),
                Fate::Moot(_) | Fate::Inherited(..) => {}
            }
        }
        for one in self.inherited.iter().filter(|one| one.section == section) {
            if !table.has(one.key) {
                insert(&mut table, one.key, one.at, copy(&one.node));
            }
        }
        table
    }

    fn note(&mut self, at: Place, message: &str) {
        let place = self.report.show(at);
        self.raw.notes.different.push(format!("{place}: {message}"));
    }
}

fn text(text: &str) -> Value {
    Value::Text { text: text.to_owned(), loose: false }
}

fn word(word: &str) -> Value {
    match (word, word.parse()) {
        ("true", _) => Value::Bool(true),
        (_, Ok(number)) => Value::Integer { value: Some(number), shown: word.to_owned() },
        _ => text(word),
    }
}

fn insert(table: &mut Table, key: &str, at: Place, node: Node) {
    table.entries.insert(key.to_owned(), Entry { at, node, taken: false });
}

fn startup_parameter(table: &mut Table, pair: &Pair) {
    let empty = || {
        let value = Value::Table(Table::empty(pair.at));
        Entry { at: pair.at, node: Node { at: pair.at, value }, taken: false }
    };
    let entry = table.entries.entry("startup_parameters".to_owned()).or_insert_with(empty);
    if let Value::Table(inner) = &mut entry.node.value {
        insert(inner, &pair.key, pair.at, Node { at: pair.value_at, value: text(&pair.value) });
    }
}

/// A value that several sections have. Inherited are numbers and paths only.
fn copy(node: &Node) -> Node {
    let value = match &node.value {
        Value::Text { text, loose } => Value::Text { text: text.clone(), loose: *loose },
        Value::Integer { value, shown } => Value::Integer { value: *value, shown: shown.clone() },
        _ => Value::Broken,
    };
    Node { at: node.at, value }
}
