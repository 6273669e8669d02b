//! A whole `pg_ident.conf`: which users somebody may be whom a certificate or the operating system names.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use regex::Regex;

use super::names::{Wrong, compile};
use super::source::{Files, Line, Source};
use super::token::Token;
use crate::config::Mistake;

/// What stands for the first group of the system name's pattern.
const BACK_REFERENCE: &str = "\\1";

/// The maps of a `pg_ident.conf`.
#[derive(Clone, Debug, Default)]
pub struct IdentMaps {
    maps: BTreeMap<Arc<str>, Vec<Entry>>,
    files: Vec<PathBuf>,
}

#[derive(Clone, Debug)]
struct Entry {
    system: System,
    user: User,
}

#[derive(Clone, Debug)]
enum System {
    Exact(String),
    Pattern(Regex),
}

#[derive(Clone, Debug)]
enum User {
    All,
    Exact(String),
    Pattern(Regex),
    /// With the first group of the system name's pattern in place of `\1`.
    Template(String),
}

impl IdentMaps {
    /// Reads a file.
    ///
    /// # Errors
    /// Every mistake in it and in what it includes.
    pub fn load(path: &Path, files: &dyn Files) -> Result<Self, Vec<Mistake>> {
        let source = Source::gather(path, files);
        let mut maps: BTreeMap<Arc<str>, Vec<Entry>> = BTreeMap::new();
        let mut mistakes = source.mistakes;
        for line in source.lines {
            match read(&line) {
                Ok(entries) => {
                    for (map, entry) in entries {
                        maps.entry(map).or_default().push(entry);
                    }
                }
                Err((column, why)) => mistakes.push(line.mistake(column, why)),
            }
        }
        if mistakes.is_empty() { Ok(IdentMaps { maps, files: source.seen }) } else { Err(mistakes) }
    }

    /// Whether there is a map of this name.
    pub fn has(&self, map: &str) -> bool {
        self.maps.contains_key(map)
    }

    /// Whether somebody whom the system calls `system` may be `user`. Without a map the names must be the same.
    pub fn allows(&self, map: Option<&str>, system: &str, user: &str) -> bool {
        match map {
            None => system == user,
            Some(map) => {
                let entries = self.maps.get(map).map(Vec::as_slice).unwrap_or_default();
                entries.iter().any(|entry| entry.allows(system, user))
            }
        }
    }

    /// The files that were read.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

impl Entry {
    fn allows(&self, system: &str, user: &str) -> bool {
        let group = match &self.system {
            System::Exact(name) if name == system => "",
            System::Exact(_) => return false,
            System::Pattern(pattern) => match pattern.captures(system) {
                Some(found) => found.get(1).map_or("", |group| group.as_str()),
                None => return false,
            },
        };
        match &self.user {
            User::All => true,
            User::Exact(name) => name == user,
            User::Pattern(pattern) => pattern.is_match(user),
            // PostgreSQL replaces the first one only.
            User::Template(text) => text.replacen(BACK_REFERENCE, group, 1) == user,
        }
    }
}

/// Reads a line: map, system name, user. Each may be a list only by way of `@file`.
fn read(line: &Line) -> Result<Vec<(Arc<str>, Entry)>, Wrong> {
    let [map, system, users] = line.fields.as_slice() else {
        let last = line.fields.iter().flatten().last().map_or(1, |token| token.column);
        return Err((last, "a map's name, a system user and a database user are expected".into()));
    };
    let ([map], [system]) = (map.as_slice(), system.as_slice()) else {
        return Err((1, "a line names one map and one system user".into()));
    };
    users
        .iter()
        .map(|user| {
            let system = read_system(system)?;
            let user = read_user(user, &system)?;
            Ok((Arc::from(map.text.as_str()), Entry { system, user }))
        })
        .collect()
}

fn read_system(token: &Token) -> Result<System, Wrong> {
    match token.text.strip_prefix('/') {
        Some(pattern) => compile(pattern, token.column).map(System::Pattern),
        None => Ok(System::Exact(token.text.clone())),
    }
}

fn read_user(token: &Token, system: &System) -> Result<User, Wrong> {
    if let System::Pattern(pattern) = system
        && token.text.contains(BACK_REFERENCE)
    {
        return match pattern.captures_len() {
            1 => Err((token.column, "\\1 needs a group in the system user's pattern".into())),
            _ => Ok(User::Template(token.text.clone())),
        };
    }
    if token.is("all") {
        return Ok(User::All);
    }
    if token.after('+').is_some() {
        let message = format!(
            "`{}` is not supported: pgusher does not know who is a member of a role",
            token.text
        );
        return Err((token.column, message));
    }
    match token.text.strip_prefix('/') {
        Some(pattern) => compile(pattern, token.column).map(User::Pattern),
        None => Ok(User::Exact(token.text.clone())),
    }
}
