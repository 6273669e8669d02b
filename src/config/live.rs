//! SET: settings that change while running, until the next reload.
//!
//! What was read is kept as it was read, so that one value of it can be put in place of another and everything be
//! checked again. Files are not looked at: what was edited there and not reloaded stays where it is.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ini_sections::Sections;
use super::ini_shown;
use super::ini_table::{Fate, PARAMETERS};
use super::ini_text::Pair;
use super::kinds::Reading;
use super::mistake::{Place, Report};
use super::resolved::Config;
use super::setting::{Section, Setting};
use super::settings::canonical;
use super::show::{self, ShownSetting};
use super::table_pool::DEFAULTS;
use super::table_process::PROCESS;
use super::table_tls::{TLS_CLIENT, TLS_SERVER};
use super::tree::{Node, Table, Value};
use super::whence::{self, Whence, Written};
use super::{check, check_tls, ini, read};

/// Where a configuration came from, with what SET has changed.
#[derive(Clone, PartialEq)]
pub struct Origin(Source);

/// May hold passwords.
#[derive(Clone, PartialEq)]
enum Source {
    Toml {
        /// What the file says.
        read: Box<Config>,
        /// Where it says so.
        written: Written,
        /// What SET says, by the names of SHOW CONFIG.
        set: BTreeMap<String, String>,
    },
    Ini {
        path: PathBuf,
        sections: Sections,
        /// What SET says.
        set: BTreeMap<String, String>,
    },
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Origin").finish_non_exhaustive()
    }
}

impl Origin {
    /// A `pool.toml` that says this.
    pub(super) fn toml(config: &Config, written: Written) -> Self {
        Origin(Source::Toml { read: Box::new(config.clone()), written, set: BTreeMap::new() })
    }

    /// A `pgbouncer.ini` that says this.
    pub(super) fn ini(path: &Path, sections: Sections) -> Self {
        Origin(Source::Ini { path: path.to_owned(), sections, set: BTreeMap::new() })
    }

    /// The settings as SHOW CONFIG lists them; `config` is the one in force.
    pub fn show(&self, config: &Config) -> Vec<ShownSetting> {
        match &self.0 {
            Source::Toml { written, set, .. } => {
                let mut rows = show::show(config);
                whence::tell(&mut rows, |key| match set.contains_key(key) {
                    true => Whence::Console,
                    false => written.get(key).cloned().unwrap_or_default(),
                });
                rows
            }
            Source::Ini { path, sections, set } => {
                let mut rows = ini_shown::rows(path, sections);
                let report = report_of(sections);
                whence::tell(&mut rows, |key| match sections.parameters.get(key) {
                    Some(_) if set.contains_key(key) => Whence::Console,
                    Some(pair) => report.whence(pair.at),
                    None if key == "conffile" => Whence::CommandLine,
                    None => Whence::Default,
                });
                rows
            }
        }
    }

    /// The same with another value.
    ///
    /// # Errors
    /// There is no such setting, it cannot be changed, or it cannot have this value.
    pub fn with(&self, key: &str, value: &str) -> Result<Origin, String> {
        let key = key.to_ascii_lowercase();
        let mut changed = self.clone();
        match &mut changed.0 {
            Source::Toml { read, set, .. } => {
                apply(&mut read.clone(), &key, value)?;
                set.insert(canonical(&key).to_owned(), value.to_owned());
            }
            Source::Ini { sections, set, .. } => {
                if set_parameter(sections, &key, value)? {
                    set.insert(key, value.to_owned());
                }
            }
        }
        Ok(changed)
    }

    /// The same with what SET has changed before and a reload does not take back: parameters of PgBouncer's that have
    /// no default, and that the file does not mention.
    ///
    /// # Errors
    /// A value makes no sense any more.
    pub fn after(self, before: &Origin) -> Result<Origin, String> {
        let Source::Ini { set, .. } = &before.0 else { return Ok(self) };
        let Source::Ini { sections, .. } = &self.0 else { return Ok(self) };
        let outlives = |key: &str| OUTLIVE.contains(&key) && !sections.parameters.contains_key(key);
        let kept: Vec<_> = set.iter().filter(|(key, _)| outlives(key)).collect();
        kept.into_iter().try_fold(self.clone(), |origin, (key, value)| origin.with(key, value))
    }

    /// The configuration that this makes.
    ///
    /// # Errors
    /// Values that make no sense together.
    pub fn resolve(&self) -> Result<Config, String> {
        match &self.0 {
            Source::Toml { read, set, .. } => {
                let mut config = read.as_ref().clone();
                for (key, value) in set {
                    apply(&mut config, key, value)?;
                }
                check_whole(&config)?;
                Ok(config)
            }
            Source::Ini { sections, .. } => {
                let mut report = report_of(sections);
                let raw = ini::convert(sections.clone(), &mut report);
                let (config, _) = read::resolve(raw, &mut report);
                report.finish().map_err(|mistakes| mistakes.to_string())?;
                Ok(config)
            }
        }
    }
}

/// Parameters that PgBouncer does not reset when it reads its file again.
const OUTLIVE: [&str; 8] = [
    "auth_dbname",
    "auth_file",
    "auth_ident_file",
    "auth_ldap_options",
    "auth_user",
    "client_tls13_ciphers",
    "server_tls13_ciphers",
    "verbose",
];

/// A report that knows the files of a `pgbouncer.ini`, opened in the order in which they were read: places name them by
/// it.
fn report_of(sections: &Sections) -> Report {
    let mut report = Report::default();
    for file in &sections.files {
        report.open(file);
    }
    report
}

/// PgBouncer takes a SET of what only a restart changes, and does nothing. Gives whether it has been done.
fn set_parameter(sections: &mut Sections, key: &str, value: &str) -> Result<bool, String> {
    let parameter = PARAMETERS.iter().find(|known| known.name == key);
    let parameter = parameter.ok_or_else(|| format!("unknown parameter: {key}"))?;
    if !ini_shown::is_changeable(key) {
        return Ok(false);
    }
    let at = Place { file: sections.main, line: 1, column: 1 };
    if let Fate::Setting(section, name, form) | Fate::Inherited(section, name, form) =
        parameter.fate
    {
        let mut report = Report::default();
        let node = form.read(key, Place::whole(report.open(Path::new("SET"))), value, &mut report);
        read_into(&mut Config::default(), section, name, &node, &mut report);
        report.finish().map_err(|mistakes| mistakes.to_string())?;
    }
    let pair = Pair { at, key: key.to_owned(), value_at: at, value: value.to_owned() };
    sections.parameters.insert(key.to_owned(), pair);
    Ok(true)
}

/// Changes a setting of a `pool.toml`'s configuration.
fn apply(config: &mut Config, key: &str, value: &str) -> Result<(), String> {
    let (section, name) = home(key).ok_or_else(|| format!("{key} cannot be set here"))?;
    let mut report = Report::default();
    let at = Place::whole(report.open(Path::new("SET")));
    let text = |text: &str| Value::Text { text: text.trim().to_owned(), loose: true };
    let item = |part| Node { at, value: text(part) };
    let value = match value {
        // A list as PgBouncer writes it; other values have no commas but in quotes.
        list if list.contains(',') && LISTS.contains(&name) => {
            Value::List(list.split(',').map(item).collect())
        }
        other => text(other),
    };
    read_into(config, section, name, &Node { at, value }, &mut report);
    report.finish().map_err(|mistakes| mistakes.to_string())
}

/// Settings of names.
const LISTS: [&str; 2] = ["admin_users", "stats_users"];

/// Where a setting stands that can be changed, by its name in SHOW CONFIG.
fn home(key: &str) -> Option<(Section, &'static str)> {
    fn find<T>(
        table: &[Setting<T>],
        section: Section,
        key: &str,
    ) -> Option<(Section, &'static str)> {
        let is_it = |it: &&Setting<T>| it.shown == key || it.alias == Some(key);
        let found = table.iter().filter(is_it).find(|setting| setting.reloadable);
        found.map(|setting| (section, setting.key))
    }
    find(PROCESS, Section::Process, key)
        .or_else(|| find(DEFAULTS, Section::Defaults, key))
        .or_else(|| find(TLS_CLIENT, Section::TlsClient, key))
        .or_else(|| find(TLS_SERVER, Section::TlsServer, key))
}

/// Reads a value into its setting; a mistake goes into the report.
fn read_into(config: &mut Config, section: Section, key: &str, node: &Node, report: &mut Report) {
    fn read<T>(table: &[Setting<T>], into: &mut T, key: &str, node: &Node, report: &mut Report) {
        if let Some(setting) = table.iter().find(|setting| setting.key == key) {
            (setting.read)(into, node, &mut Reading { report, key });
        }
    }
    match section {
        Section::Process => read(PROCESS, &mut config.process, key, node, report),
        Section::Defaults => {
            read(DEFAULTS, Arc::make_mut(&mut config.defaults), key, node, report);
        }
        Section::TlsClient => read(TLS_CLIENT, &mut config.tls_client, key, node, report),
        Section::TlsServer => {
            read(TLS_SERVER, Arc::make_mut(&mut config.tls_server), key, node, report);
        }
        _ => {}
    }
}

/// What is checked when a file is read, as far as it concerns more than one value.
fn check_whole(config: &Config) -> Result<(), String> {
    let mut report = Report::default();
    let table = Table::empty(Place::whole(report.open(Path::new("SET"))));
    let passwords = config.users.values().any(|user| user.password.is_some());
    check::process(config, passwords, &table, &mut report);
    check::pool(&config.defaults, &table, &mut report);
    check_tls::client(&config.tls_client, &table, &mut report);
    check_tls::server(&config.tls_server, &table, &mut report);
    report.finish().map_err(|mistakes| mistakes.to_string())
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
