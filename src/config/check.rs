//! Rules between settings: values that are right alone and wrong together.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::Path;

use super::mistake::{Place, Report, os_error};
use super::resolved::{Compat, Config, Process};
use super::resolved_auth::AuthType;
use super::resolved_class::ClassSettings;
use super::resolved_names::Database;
use super::resolved_pool::PoolSettings;
use super::resolved_tls::ClientSslMode;
use super::table_names::DatabaseKeys;
use super::tree::Table;
use crate::types::CONSOLE;

/// The largest number of a peer: cancel keys have room for no more.
const LAST_PEER: u16 = 16_383;

/// Rules of `[pgusher]`; `passwords`: some user has one in the configuration.
pub(super) fn process(config: &Config, passwords: bool, table: &Table, report: &mut Report) {
    listeners(config, table, report);
    if config.process.compat == Compat::Off {
        proof(config, passwords, table, report);
        trust(config, table, report);
    }
    methods(config, table, report);
    let Process { auth_file, resolv_conf, .. } = &config.process;
    for (key, file) in [("auth_file", auth_file), ("resolv_conf", resolv_conf)] {
        if let Some(path) = file
            && let Err(why) = readable(path)
        {
            let message = format!("`{key}`: cannot read {}: {why}", path.display());
            report.add(table.place(key), message, None);
        }
    }
}

/// Classes that one configuration may have. Whoever gives a server back looks at each.
const MAX_CLASSES: usize = 32;

/// Rules of a `[classes.NAME]` behind `before` others.
pub(super) fn class(
    name: &str,
    before: usize,
    settings: &ClassSettings,
    table: &Table,
    report: &mut Report,
) {
    if name == "default" {
        let help = "rename it: everybody who is in no class is in \"default\"".into();
        report.add(table.at, "a class cannot be called \"default\"", Some(help));
    }
    if before == MAX_CLASSES {
        report.add(table.at, format!("there are more than {MAX_CLASSES} classes"), None);
    }
    let ClassSettings { min_servers, max_servers, .. } = *settings;
    if max_servers.is_some_and(|max| min_servers > max)
        && known(table, &["min_servers", "max_servers"], report)
    {
        let max = max_servers.unwrap_or_default();
        let message = format!("`min_servers` is {min_servers}, `max_servers` only {max}");
        report.add(table.place("min_servers"), message, None);
    }
}

/// The file is parsed elsewhere; here it must only be there.
pub(super) fn readable(path: &Path) -> Result<(), String> {
    let about = std::fs::metadata(path).map_err(|why| os_error(&why))?;
    if !about.is_file() {
        return Err("it is not a file".into());
    }
    std::fs::File::open(path).map(drop).map_err(|why| os_error(&why))
}

/// Whether the values of `keys` are what the files say.
pub(super) fn known(table: &Table, keys: &[&str], report: &Report) -> bool {
    !report.is_incomplete() && keys.iter().all(|key| !table.doubtful.contains(key))
}

fn listeners(config: &Config, table: &Table, report: &mut Report) {
    let process = &config.process;
    let nowhere = process.listen_addr.is_empty() && process.unix_socket_dir.is_none();
    if nowhere && known(table, &["listen_addr", "unix_socket_dir"], report) {
        let help = "set `listen_addr` or `unix_socket_dir` in [pgusher]".into();
        report.add(table.at, "there is nothing to listen on", Some(help));
    }
}

fn proof(config: &Config, passwords: bool, table: &Table, report: &mut Report) {
    let process = &config.process;
    let by_password = [AuthType::Plain, AuthType::Md5, AuthType::ScramSha256];
    let mut databases = config.databases.values().chain(&config.fallback);
    let nobody = by_password.contains(&process.auth_type)
        && process.auth_file.is_none()
        && !passwords
        && databases.all(|database| config.auth_lookup(database).user.is_none());
    if nobody && known(table, &["auth_type", "auth_file", "auth_user"], report) {
        let message =
            format!("with `auth_type` \"{}\" nobody can log in", process.auth_type.as_str());
        let help = "set `auth_file`, `auth_user`, or `password` in [users.NAME]".into();
        report.add(table.place("auth_type"), message, Some(help));
    }
}

fn trust(config: &Config, table: &Table, report: &mut Report) {
    let process = &config.process;
    let trusts = matches!(process.auth_type, AuthType::Trust | AuthType::Any);
    if !trusts || !known(table, &["auth_type", "listen_addr"], report) {
        return;
    }
    if let Some(open) = process.listen_addr.iter().find(|addr| !is_loopback(addr)) {
        let word = process.auth_type.as_str();
        let message = format!("`auth_type` \"{word}\" would let anyone in who reaches \"{open}\"");
        let help =
            "listen on 127.0.0.1, ::1 or a unix socket only, or use \"scram-sha-256\"".into();
        report.add(table.place("auth_type"), message, Some(help));
    }
}

/// What a method needs beside it.
fn methods(config: &Config, table: &Table, report: &mut Report) {
    let process = &config.process;
    let word = process.auth_type.as_str();
    let mut databases = config.databases.values().chain(&config.fallback);
    let missing = match process.auth_type {
        AuthType::Hba if process.auth_hba_file.is_none() => Some(("auth_hba_file", "needs")),
        AuthType::Ldap if process.auth_ldap_options.is_none() => {
            Some(("auth_ldap_options", "needs"))
        }
        AuthType::Peer if process.unix_socket_dir.is_none() => {
            Some(("unix_socket_dir", "works only over a unix socket: it needs"))
        }
        _ => None,
    };
    if let Some((key, needs)) = missing
        && known(table, &["auth_type", key], report)
    {
        let message = format!("`auth_type` \"{word}\" {needs} `{key}`");
        report.add(table.place("auth_type"), message, None);
    }
    let tls = &config.tls_client;
    let no_certificates = tls.sslmode == ClientSslMode::Disable || tls.ca_file.is_none();
    if process.auth_type == AuthType::Cert && no_certificates && !report.is_incomplete() {
        let message = "`auth_type` \"cert\" needs TLS and a `ca_file` in [tls.client]";
        report.add(table.place("auth_type"), message, None);
    }
    if process.auth_type == AuthType::Pam && !cfg!(feature = "pam") {
        let message = "this pgusher was built without PAM (feature `pam`)";
        report.add(table.place("auth_type"), message, None);
    }
    // PgBouncer says so to whoever asks for such a database, and serves the others.
    if (process.auth_type, process.compat) == (AuthType::Any, Compat::Off)
        && let Some(database) = databases.find(|database| database.user.is_none())
    {
        let message = format!(
            "with `auth_type` \"any\" every database needs a `user` of its own; \"{}\" has none",
            database.name
        );
        report.add(table.place("auth_type"), message, None);
    }
}

fn is_loopback(addr: &str) -> bool {
    addr == "localhost" || addr.parse::<IpAddr>().is_ok_and(|addr| addr.is_loopback())
}

/// Rules of a pool's settings. Only what the section itself sets is blamed on it: a database may well
/// have a smaller pool than the `min_pool_size` it inherits, which then counts as the pool's size.
pub(super) fn pool(effective: &PoolSettings, table: &Table, report: &mut Report) {
    let sizes = ["min_pool_size", "pool_size", "default_pool_size"];
    if table.has("min_pool_size")
        && effective.min_pool_size > effective.pool_size
        && known(table, &sizes, report)
    {
        let message = format!(
            "`min_pool_size` is {}, but the pool has only {} servers",
            effective.min_pool_size, effective.pool_size
        );
        report.add(table.place("min_pool_size"), message, None);
    }
    let reserve = ["reserve_pool_size", "reserve_pool_timeout"];
    if table.has("reserve_pool_size")
        && effective.reserve_pool_size > 0
        && effective.reserve_pool_timeout.is_none()
        && known(table, &reserve, report)
    {
        let help = "set a duration such as \"5s\", or `reserve_pool_size` to 0".into();
        let message = "`reserve_pool_size` has no effect while `reserve_pool_timeout` is \"off\"";
        report.add(table.place("reserve_pool_size"), message, Some(help));
    }
}

/// Rules of a database's own keys.
pub(super) fn database(keys: &DatabaseKeys, table: &Table, report: &mut Report) {
    let (hosts, ports) = (keys.host.len(), keys.port.len());
    if ports != 1 && ports != hosts && known(table, &["host", "port"], report) {
        let message = format!("`port` has {ports} values for {hosts} hosts");
        report.add(
            table.place("port"),
            message,
            Some("write one port, or one for each host".into()),
        );
    }
    let ends = keys.host.iter().zip(keys.port.iter().cycle());
    let mut seen = BTreeSet::new();
    if let Some((host, port)) = ends.clone().find(|end| !seen.insert(*end)) {
        let message = format!("`host`: \"{host}\" with port {port} is listed twice");
        report.add(table.place("host"), message, None);
    }
    let secret = ["password", "password_file"].into_iter().find(|key| table.has(key));
    if let Some(key) = secret
        && keys.user.is_none()
        && known(table, &["user", "password", "password_file"], report)
    {
        let message = format!("`{key}` is for the server user, but `user` is not set");
        report.add(table.place(key), message, Some("add `user`".into()));
    }
}

/// Which names a database may have.
pub(super) fn database_name(name: &str, table: &Table, report: &mut Report) {
    if CONSOLE.contains(&name) {
        let message = format!("the database name `{name}` is reserved for the console");
        report.add(table.at, message, None);
    }
    plausible(name, table.at, report);
}

/// Which other name a database may have: one that means nothing yet; `names` are those that do.
pub(super) fn session_alias(
    database: &Database,
    names: &mut BTreeSet<String>,
    table: &Table,
    report: &mut Report,
) {
    let Some(alias) = database.session_alias.as_deref() else { return };
    let place = table.place("session_alias");
    if &*database.name == "*" {
        report.add(place, "`session_alias`: the section for every name has no other name", None);
    } else if CONSOLE.contains(&alias) || !names.insert(alias.to_owned()) {
        let message = format!("`session_alias`: the name \"{alias}\" is taken");
        report.add(place, message, Some("choose a name that no database has".into()));
    }
}

/// Which names a user may have.
pub(super) fn user_name(name: &str, table: &Table, report: &mut Report) {
    if name == "*" {
        let help = "set it in [defaults]".into();
        report.add(table.at, "there is no section for all users", Some(help));
    }
    plausible(name, table.at, report);
}

/// The number of a peer.
pub(super) fn peer_id(name: &str, table: &Table, report: &mut Report) -> Option<u16> {
    let id = name.parse().ok().filter(|id| (1..=LAST_PEER).contains(id));
    if id.is_none() {
        let message = format!("`{name}` is not the id of a peer: it must be from 1 to {LAST_PEER}");
        report.add(table.at, message, None);
    }
    id
}

fn plausible(name: &str, at: Place, report: &mut Report) {
    if name.is_empty() {
        report.add(at, "the name is empty", None);
    } else if name.contains('\0') {
        report.add(at, "a NUL character is not allowed in a name", None);
    }
}
