//! A `pgbouncer.ini` written as the `pool.toml` that says the same.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use super::env::Lookup;
use super::files::Raw;
use super::ini;
use super::ini_table::DROP_IN;
use super::load::load_with;
use super::mistake::{Mistakes, Report};
use super::read::quoted;
use super::setting::{Section, SettingInfo};
use super::settings::settings;
use super::tree::{Entry, Node, Table, Value};

/// What `pgusher import` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The text of the `pool.toml`.
    pub toml: String,
    /// What is missing or different, a line each.
    pub report: Vec<String>,
}

/// Writes a `pgbouncer.ini` as a `pool.toml`. Passwords are written as they stand in the file.
///
/// # Errors
/// Every mistake of the file, each with its place.
pub fn import(path: &Path) -> Result<Imported, Mistakes> {
    let env: &Lookup<'_> = &|_| None;
    load_with(path, env)?;
    let mut report = Report::default();
    let raw = ini::gather(path, &mut report);
    report.finish()?;
    let mut writer = Writer { out: String::new(), settings: settings() };
    writer.file(path, &raw);
    Ok(Imported { toml: writer.out, report: raw.notes.for_report() })
}

struct Writer {
    out: String,
    settings: Vec<SettingInfo>,
}

impl Writer {
    fn line(&mut self, text: &str) {
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn file(&mut self, path: &Path, raw: &Raw) {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.line(&format!("# Made from {name} by `pgusher import`."));
        let report = raw.notes.for_report();
        if !report.is_empty() {
            self.line("#\n# What is different from there:");
        }
        for note in report {
            self.line(&format!("# - {note}"));
        }
        for (section, table) in &raw.sections {
            self.line(&format!("\n{}", section.header()));
            self.table(*section, table);
        }
        self.named(Section::Database, "databases", &raw.databases);
        self.named(Section::User, "users", &raw.users);
        self.named(Section::Peer, "peers", &raw.peers);
    }

    fn named(&mut self, section: Section, kind: &str, tables: &BTreeMap<String, Table>) {
        for (name, table) in tables {
            self.line(&format!("\n[{kind}.{}]", quoted_key(name)));
            self.table(section, table);
        }
    }

    /// The settings of a section that differ from pgusher's defaults, in the order of the settings table.
    fn table(&mut self, section: Section, table: &Table) {
        let known = self.settings.iter().filter(|info| info.section == section);
        let known: Vec<_> = known.copied().collect();
        for info in known {
            let Some(entry) = table.entries.get(info.key) else { continue };
            let Some(value) = toml(&entry.node) else { continue };
            let is_default = entry.at.line == 0;
            if is_default && plain(&entry.node).as_deref() == Some(info.default) {
                continue;
            }
            self.about(section, &info, entry);
            self.line(&format!("{} = {value}", info.key));
        }
    }

    /// The comment above a setting: what it does, or why it is there at all.
    fn about(&mut self, section: Section, info: &SettingInfo, entry: &Entry) {
        let drop_in = DROP_IN.iter().find(|(s, key, ..)| (*s, *key) == (section, info.key));
        match drop_in {
            Some((.., why)) => self.line(&format!("# {why}")),
            None if matches!(section, Section::Database | Section::User | Section::Peer) => {}
            None => self.line(&format!("# {}", info.doc)),
        }
        if entry.at.line == 0 && drop_in.is_none() && !info.default.is_empty() {
            self.line(&format!("# PgBouncer's default; pgusher's is {}.", info.default));
        }
    }
}

/// A value as the settings table writes defaults.
fn plain(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text { text, .. } => Some(text.clone()),
        Value::Integer { shown, .. } => Some(shown.clone()),
        Value::Bool(value) => Some(value.to_string()),
        Value::List(items) if items.is_empty() => Some(String::new()),
        _ => None,
    }
}

fn toml(node: &Node) -> Option<String> {
    Some(match &node.value {
        Value::Text { text, .. } => quoted_text(text),
        Value::Integer { shown, .. } | Value::Fraction(shown) => shown.clone(),
        Value::Bool(value) => value.to_string(),
        Value::List(items) => {
            let items: Vec<_> = items.iter().filter_map(toml).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Table(table) => {
            let pair = |(key, entry): (&String, &Entry)| {
                toml(&entry.node).map(|value| format!("{} = {value}", quoted_key(key)))
            };
            let pairs: Vec<_> = table.entries.iter().filter_map(pair).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Other(_) | Value::Broken => return None,
    })
}

/// A text in quotes, in which nothing is taken for a variable.
fn quoted_text(text: &str) -> String {
    let mut protected = String::new();
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        protected.push(c);
        if c == '$' && matches!(rest.peek(), Some('{' | '$')) {
            protected.push('$');
        }
    }
    basic_string(&protected)
}

/// A key, in quotes if it needs them.
fn quoted_key(name: &str) -> String {
    if quoted(name) == name { name.to_owned() } else { basic_string(name) }
}

/// TOML's basic string; its escapes are not quite Rust's.
fn basic_string(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            // Writing to a text cannot fail.
            c if c.is_control() => drop(write!(out, "\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::super::load::Loaded;
    use super::*;

    /// Both configurations: of the ini, and of what is made of it.
    fn both(text: &str) -> (Loaded, Loaded, Imported) {
        let folder = tempfile::tempdir().unwrap();
        let (ini, toml) = (folder.path().join("a.ini"), folder.path().join("a.toml"));
        fs::write(&ini, text).unwrap();
        let load = |path: &Path| {
            load_with(path, &|_| None).unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"))
        };
        let imported = import(&ini).unwrap();
        fs::write(&toml, &imported.toml).unwrap();
        (load(&ini), load(&toml), imported)
    }

    #[test]
    fn the_toml_says_the_same() {
        let text = "[pgbouncer]\nlisten_addr = 127.0.0.1,::1\nauth_type = trust\nadmin_users = a,b\n\
                    pool_mode = transaction\nserver_lifetime = 0\ndefault_pool_size = 0\nlogfile = /tmp/x.log\n\
                    server_reset_query = select '\"\\', '$$', '${HOME}'\nmax_user_connections = 4\npkt_buf = 1\n\
                    query_wait_timeout = 30\n[databases]\n\"a b\" = host=x,y timezone='Europe/Oslo' user=u password='$${p'\n\
                    * = \n[users]\nu = pool_size=3 pool_mode=session\nv =\n";
        let (ini, toml, imported) = both(text);
        assert_eq!(ini.config, toml.config, "{}", imported.toml);
        assert!(
            imported.toml.contains("[databases.\"a b\"]\nhost = [\"x\", \"y\"]"),
            "{}",
            imported.toml
        );
        assert!(
            imported
                .toml
                .contains("# PgBouncer's default; pgusher's is 1s.\nserver_login_retry = \"15s\"")
        );
        let expected = "`pkt_buf` has no effect: buffers grow and shrink with the traffic";
        assert!(imported.report.iter().any(|note| note == expected), "{:?}", imported.report);
        assert!(imported.toml.contains(expected));
        assert!(imported.report.iter().any(|note| note.starts_with("`server_lifetime`: ")));
    }

    #[test]
    fn what_is_pgushers_default_is_left_out() {
        let (ini, toml, imported) = both("[pgbouncer]\nlisten_port = 6432\n");
        assert_eq!(ini.config, toml.config);
        assert!(imported.toml.contains("\nlisten_port = 6432\n"), "it is written in the ini");
        assert!(!imported.toml.contains("server_idle_timeout"), "{}", imported.toml);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_file_comes_back(
            numbers in prop::collection::btree_map(
                prop::sample::select(vec!["max_client_conn", "default_pool_size", "min_pool_size",
                    "reserve_pool_size", "max_db_connections", "max_user_connections", "listen_port",
                    "server_lifetime", "server_idle_timeout", "query_wait_timeout", "server_login_retry",
                    "server_check_delay", "client_idle_timeout", "log_connections", "verbose", "stats_period"]),
                1u32..9_999, 0..12),
            text in "[ -~éλ]{0,12}",
            name in "[a-z '\"$=.]{1,8}",
            value in "[!-~é ]{1,12}",
        ) {
            let quote = |text: &str| format!("'{}'", text.replace('\'', "''"));
            let mut file = "[pgbouncer]\n".to_owned();
            for (key, number) in numbers {
                file.push_str(&format!("{key} = {number}\n"));
            }
            let (name, value) = (quote(&name), quote(&value));
            file.push_str(&format!("server_reset_query = {text}\n"));
            file.push_str(&format!("[databases]\n{name} = user={value} password={value} timezone={value}\n"));
            file.push_str(&format!("[users]\n{name} = pool_size=7\n"));
            let (ini, toml, imported) = both(&file);
            prop_assert_eq!(ini.config, toml.config, "{}\n{}", file, imported.toml);
        }
    }
}
