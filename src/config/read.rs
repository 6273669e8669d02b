//! Sections with known keys: each value goes to its setting, what is left over is a mistake.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::check;
use super::check_otlp;
use super::check_tls;
use super::files::Raw;
use super::kinds::Reading;
use super::mistake::{Place, Report, os_error};
use super::resolved::{Compat, Config, Process};
use super::resolved_auth::AuthLookup;
use super::resolved_class::{Class, ClassSettings};
use super::resolved_http::Http;
use super::resolved_names::{Database, Peer, User};
use super::resolved_otlp::Otlp;
use super::resolved_pool::{PoolOverrides, PoolSettings};
use super::resolved_tls::{ClientTlsSettings, ServerTlsSettings};
use super::setting::{Section, Setting};
use super::settings::{homes, settings};
use super::suggest::closest;
use super::table_class::CLASS;
use super::table_names::{DATABASE, DatabaseKeys, PEER, PeerKeys, USER, UserKeys};
use super::table_otlp::OTLP;
use super::table_pool::{DEFAULTS, POOL};
use super::table_process::{HTTP, PROCESS};
use super::table_tls::{TLS_CLIENT, TLS_SERVER};
use super::tree::Table;
use crate::secret::Secret;
use crate::types::{Name, ServerAddress};

/// Longest password file: a whole SCRAM verifier is below 200 bytes.
const LONGEST_SECRET: u64 = 64 * 1024;

/// Makes the configuration of the sections. Where something is wrong, the default stands in.
pub(super) fn resolve(mut raw: Raw, report: &mut Report) -> (Config, Vec<PathBuf>) {
    let files = std::mem::take(&mut raw.files);
    let mut reader = Reader { report, files, compat: Compat::Off, tls: Arc::default() };
    let start = Place { file: raw.main, line: 1, column: 1 };
    let mut section = |section| raw.sections.remove(&section).unwrap_or(Table::empty(start));
    let mut process_table = section(Section::Process);
    let process = reader.process(&mut process_table);
    reader.compat = process.compat;
    let tls_client = reader.tls_client(&mut section(Section::TlsClient));
    let tls_server = Arc::new(reader.tls_server(&mut section(Section::TlsServer)));
    let http = raw.sections.remove(&Section::Http).map(|mut table| reader.http(&mut table));
    let otlp = raw.sections.remove(&Section::Otlp).map(|mut table| reader.otlp(&mut table));
    let defaults = match raw.sections.remove(&Section::Defaults) {
        Some(mut table) => reader.defaults(&mut table),
        None => PoolSettings::default(),
    };
    reader.tls = Arc::clone(&tls_server);
    let mut databases = reader.databases(raw.databases, &defaults);
    let secret = |table: &Table| table.has("password") || table.has("password_file");
    let passwords = raw.users.values().any(secret);
    let users = reader.users(raw.users, &defaults);
    let peers = reader.peers(raw.peers);
    let classes = reader.classes(raw.classes);
    let config = Config {
        process,
        http,
        otlp,
        tls_client,
        tls_server,
        fallback: databases.remove("*"),
        databases,
        users,
        peers,
        classes,
        defaults: Arc::new(defaults),
    };
    check::process(&config, passwords, &process_table, reader.report);
    (config, reader.files)
}

struct Reader<'a> {
    report: &'a mut Report,
    files: Vec<PathBuf>,
    /// `[tls.server]`, for databases without settings of their own.
    tls: Arc<ServerTlsSettings>,
    /// Whose rules bind between values that are right alone.
    compat: Compat,
}

impl Reader<'_> {
    /// Gives every known key of `table` to its setting.
    fn take<T>(&mut self, table: &mut Table, known: &[Setting<T>], into: &mut T) {
        for setting in known {
            let mut first: Option<Place> = None;
            for key in std::iter::once(setting.key).chain(setting.alias) {
                let Some(entry) = table.entries.get_mut(key) else { continue };
                entry.taken = true;
                if let Some(first) = first {
                    let (first, key) = (self.report.show(first), setting.key);
                    let alias = setting.alias.unwrap_or_default();
                    let message =
                        format!("`{key}` and `{alias}` are the same setting; first at {first}");
                    self.report.add(entry.at, message, None);
                    continue;
                }
                first = Some(entry.at);
                let mut cx = Reading { report: self.report, key };
                if !(setting.read)(into, &entry.node, &mut cx) {
                    table.doubtful.insert(setting.key);
                }
            }
        }
    }

    /// Reports the keys of `table` that no setting has taken.
    fn leftovers(&mut self, table: &mut Table, section: Section, header: &str) {
        let here: Vec<_> = settings().into_iter().filter(|info| info.section == section).collect();
        for (key, entry) in table.entries.iter().filter(|(_, entry)| !entry.taken) {
            let names = here.iter().flat_map(|info| std::iter::once(info.key).chain(info.alias));
            let close = closest(key, names);
            let owner = here
                .iter()
                .find(|info| close.is_some_and(|c| info.key == c || info.alias == Some(c)));
            table.doubtful.extend(owner.map(|info| info.key));
            let help = homes(key).or(close.map(|name| format!("did you mean `{name}`?")));
            self.report.add(entry.at, format!("unknown key `{key}` in {header}"), help);
        }
    }

    fn process(&mut self, table: &mut Table) -> Process {
        let mut process = Process::default();
        self.take(table, PROCESS, &mut process);
        self.leftovers(table, Section::Process, "[pgusher]");
        process
    }

    fn http(&mut self, table: &mut Table) -> Http {
        let mut http = Http::default();
        self.take(table, HTTP, &mut http);
        self.leftovers(table, Section::Http, "[http]");
        http
    }

    fn otlp(&mut self, table: &mut Table) -> Otlp {
        let mut otlp = Otlp::default();
        self.take(table, OTLP, &mut otlp);
        self.leftovers(table, Section::Otlp, "[otlp]");
        let (inline, file) = (otlp.headers.take(), otlp.headers_file.clone());
        otlp.headers = self.secret(("headers", inline), ("headers_file", file.as_deref()), table);
        check_otlp::settings(&otlp, table, self.report);
        otlp
    }

    fn tls_client(&mut self, table: &mut Table) -> ClientTlsSettings {
        let mut settings = ClientTlsSettings::default();
        self.take(table, TLS_CLIENT, &mut settings);
        self.leftovers(table, Section::TlsClient, "[tls.client]");
        check_tls::client(&settings, table, self.report);
        settings
    }

    fn tls_server(&mut self, table: &mut Table) -> ServerTlsSettings {
        let mut settings = ServerTlsSettings::default();
        self.take(table, TLS_SERVER, &mut settings);
        self.leftovers(table, Section::TlsServer, "[tls.server]");
        check_tls::server(&settings, table, self.report);
        settings
    }

    fn defaults(&mut self, table: &mut Table) -> PoolSettings {
        let mut defaults = PoolSettings::default();
        self.take(table, DEFAULTS, &mut defaults);
        self.leftovers(table, Section::Defaults, "[defaults]");
        self.check_pool(&defaults, table);
        defaults
    }

    fn check_pool(&mut self, effective: &PoolSettings, table: &Table) {
        if self.compat == Compat::Off {
            check::pool(effective, table, self.report);
        }
    }

    fn overrides(&mut self, table: &mut Table, section: Section, header: &str) -> PoolOverrides {
        let mut overrides = PoolOverrides::default();
        self.take(table, POOL, &mut overrides);
        self.leftovers(table, section, header);
        overrides
    }

    fn databases(
        &mut self,
        tables: BTreeMap<String, Table>,
        defaults: &PoolSettings,
    ) -> BTreeMap<Name, Arc<Database>> {
        let mut out = BTreeMap::new();
        let mut names: BTreeSet<String> = tables.keys().cloned().collect();
        for (name, mut table) in tables {
            let database = self.database(&name, &mut table, defaults);
            check::session_alias(&database, &mut names, &table, self.report);
            out.insert(database.name.clone(), Arc::new(database));
        }
        out
    }

    fn database(&mut self, name: &str, table: &mut Table, defaults: &PoolSettings) -> Database {
        check::database_name(name, table, self.report);
        let mut keys = DatabaseKeys::default();
        self.take(table, DATABASE, &mut keys);
        let header = format!("[databases.{}]", quoted(name));
        let overrides = self.overrides(table, Section::Database, &header);
        check::database(&keys, table, self.report);
        self.check_pool(&defaults.overridden_by(&overrides), table);
        let own_tls = keys.own_tls(&self.tls);
        own_tls.iter().for_each(|own| check_tls::of_database(own, table, self.report));
        let tls = own_tls.map_or_else(|| Arc::clone(&self.tls), Arc::new);
        let password = self.password(keys.password, keys.password_file.as_deref(), table);
        Database {
            name: name.into(),
            addresses: addresses(&keys.host, &keys.port),
            dbname: keys.dbname,
            session_alias: keys.session_alias,
            user: keys.user,
            password,
            auth_lookup: AuthLookup {
                user: keys.auth_user,
                query: keys.auth_query,
                dbname: keys.auth_dbname,
            },
            load_balance: keys.load_balance_hosts,
            connect_query: keys.connect_query,
            tls,
            startup_parameters: keys.startup_parameters,
            max_db_connections: keys.max_db_connections,
            max_db_client_connections: keys.max_db_client_connections,
            overrides,
        }
    }

    fn users(
        &mut self,
        tables: BTreeMap<String, Table>,
        defaults: &PoolSettings,
    ) -> BTreeMap<Name, Arc<User>> {
        let mut out = BTreeMap::new();
        for (name, mut table) in tables {
            let user = self.user(&name, &mut table, defaults);
            out.insert(user.name.clone(), Arc::new(user));
        }
        out
    }

    fn user(&mut self, name: &str, table: &mut Table, defaults: &PoolSettings) -> User {
        check::user_name(name, table, self.report);
        let mut keys = UserKeys::default();
        self.take(table, USER, &mut keys);
        let overrides = self.overrides(table, Section::User, &format!("[users.{}]", quoted(name)));
        self.check_pool(&defaults.overridden_by(&overrides), table);
        let password = self.password(keys.password, keys.password_file.as_deref(), table);
        User {
            name: name.into(),
            password,
            max_user_connections: keys.max_user_connections,
            max_user_client_connections: keys.max_user_client_connections,
            overrides,
        }
    }

    fn peers(&mut self, tables: BTreeMap<String, Table>) -> BTreeMap<u16, Peer> {
        let mut out = BTreeMap::new();
        for (name, mut table) in tables {
            let id = check::peer_id(&name, &table, self.report);
            let mut keys = PeerKeys::default();
            self.take(&mut table, PEER, &mut keys);
            self.leftovers(&mut table, Section::Peer, &format!("[peers.{}]", quoted(&name)));
            let Some(host) = keys.host else {
                let message = format!("peer {name} has no `host`");
                self.report.add(table.at, message, None);
                continue;
            };
            let address = ServerAddress::new(&host, keys.port);
            out.extend(id.map(|id| (id, Peer { address, pool_size: keys.pool_size })));
        }
        out
    }

    /// The classes, in the order of the files: the first that includes a client is the client's.
    fn classes(&mut self, tables: BTreeMap<String, Table>) -> Vec<Class> {
        let mut tables: Vec<_> = tables.into_iter().collect();
        tables.sort_by_key(|(_, table)| table.at);
        let mut out = Vec::new();
        for (name, mut table) in tables {
            let mut settings = ClassSettings::default();
            self.take(&mut table, CLASS, &mut settings);
            let header = format!("[classes.{}]", quoted(&name));
            self.leftovers(&mut table, Section::Class, &header);
            check::class(&name, out.len(), &settings, &table, self.report);
            out.push(Class { name: name.into(), settings });
        }
        out
    }

    /// The password of a section, from the key or from the file.
    fn password(
        &mut self,
        inline: Option<Secret>,
        file: Option<&Path>,
        table: &Table,
    ) -> Option<Secret> {
        self.secret(("password", inline), ("password_file", file), table)
    }

    /// A secret of a section, from one key or from the file that another one names.
    fn secret(
        &mut self,
        (key, inline): (&str, Option<Secret>),
        (file_key, file): (&str, Option<&Path>),
        table: &Table,
    ) -> Option<Secret> {
        let Some(file) = file else { return inline };
        let at = table.place(file_key);
        if inline.is_some() {
            let first = self.report.show(table.place(key));
            let message =
                format!("`{file_key}` and `{key}` exclude each other; the other is at {first}");
            self.report.add(at, message, None);
            return inline;
        }
        self.files.push(file.to_owned());
        let read = secret_file(file).map_err(|why| {
            let message = format!("`{file_key}`: cannot read {}: {why}", file.display());
            self.report.add(at, message, None);
        });
        read.ok()
    }
}

/// Hosts with their ports; `check::database` refuses lengths that do not fit.
fn addresses(hosts: &[String], ports: &[u16]) -> Vec<ServerAddress> {
    hosts
        .iter()
        .zip(ports.iter().cycle())
        .map(|(host, port)| ServerAddress::new(host, *port))
        .collect()
}

/// A file's text as a password, without the newline an editor ends it with.
fn secret_file(path: &Path) -> Result<Secret, String> {
    let about = std::fs::metadata(path).map_err(|why| os_error(&why))?;
    if !about.is_file() {
        return Err("it is not a file".into());
    }
    if about.len() > LONGEST_SECRET {
        return Err("it is too large for a password".into());
    }
    let text = std::fs::read_to_string(path).map_err(|why| os_error(&why))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    match text {
        "" => Err("it is empty".into()),
        text if text.contains(['\0', '\n']) => Err("it has more than one line".into()),
        text => Ok(Secret::new(text)),
    }
}

/// A name as a section header needs it.
pub(super) fn quoted(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) { name.to_owned() } else { format!("{name:?}") }
}
