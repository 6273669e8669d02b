//! What a reload has to do: the difference of two configurations, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::resolved::Config;
use super::resolved_names::{Database, User};
use super::show::{self, ShownSetting};
use crate::types::Name;

/// The difference of two configurations. Databases are named as in the file; the fallback is `*`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Databases only the new configuration has.
    pub databases_added: Vec<Name>,
    /// Databases only the old configuration has.
    pub databases_removed: Vec<Name>,
    /// Databases whose servers are elsewhere or logged in otherwise: their connections must be replaced.
    pub servers_changed: Vec<Name>,
    /// Other databases whose pools get new limits or timeouts, be it through `[defaults]` or through
    /// one of the users.
    pub settings_changed: Vec<Name>,
    /// Users that are new, gone or different.
    pub users_changed: Vec<Name>,
    /// Settings that differ and keep their old value until a restart, by their names in SHOW CONFIG.
    pub needs_restart: Vec<&'static str>,
    /// A setting of `[pgusher]` differs that takes effect at once.
    pub process_changed: bool,
}

impl Changes {
    /// Whether the two configurations are the same.
    pub fn is_empty(&self) -> bool {
        *self == Changes::default()
    }
}

/// Compares the running configuration with the one that replaces it.
pub fn diff(old: &Config, new: &Config) -> Changes {
    let mut changes = Changes { users_changed: users(old, new), ..Changes::default() };
    let (before, after) = (databases(old), databases(new));
    for (name, database) in &before {
        match after.get(name) {
            None => changes.databases_removed.push(name.clone()),
            Some(next) if servers_differ(database, next) => {
                changes.servers_changed.push(name.clone());
            }
            Some(next) if settings_differ((old, database), (new, next), &changes.users_changed) => {
                changes.settings_changed.push(name.clone());
            }
            Some(_) => {}
        }
    }
    let added = after.keys().filter(|name| !before.contains_key(*name));
    changes.databases_added = added.cloned().collect();
    changes.process_changed |= old.peers != new.peers;
    process(old, new, &mut changes);
    changes
}

/// The databases with the fallback among them.
fn databases(config: &Config) -> BTreeMap<Name, &Database> {
    let listed = config.databases.iter().map(|(name, database)| (name.clone(), &**database));
    let fallback = config.fallback.iter().map(|database| (Name::from("*"), &**database));
    listed.chain(fallback).collect()
}

fn users(old: &Config, new: &Config) -> Vec<Name> {
    let names: BTreeSet<&Name> = old.users.keys().chain(new.users.keys()).collect();
    let differs = |name: &&Name| {
        let user = |config: &Config| -> Option<Arc<User>> { config.users.get(*name).cloned() };
        user(old) != user(new)
    };
    names.into_iter().filter(differs).cloned().collect()
}

fn servers_differ(old: &Database, new: &Database) -> bool {
    old.addresses != new.addresses
        || old.dbname != new.dbname
        || old.user != new.user
        || old.password != new.password
        || old.tls != new.tls
        || old.startup_parameters != new.startup_parameters
        || old.load_balance != new.load_balance
        || old.connect_query != new.connect_query
}

/// Compares what the pools of a database get: for a user nobody mentions, and for every user that changed.
fn settings_differ(old: (&Config, &Database), new: (&Config, &Database), users: &[Name]) -> bool {
    let inherited = |(config, database): (&Config, &Database)| {
        config.defaults.overridden_by(&database.overrides)
    };
    let for_user =
        |(config, database): (&Config, &Database), user| config.pool_settings(database, user);
    old.1.max_db_connections != new.1.max_db_connections
        || old.1.max_db_client_connections != new.1.max_db_client_connections
        || inherited(old) != inherited(new)
        || users.iter().any(|user| for_user(old, user) != for_user(new, user))
}

fn process(old: &Config, new: &Config, changes: &mut Changes) {
    let rows = |config| -> Vec<ShownSetting> {
        let otlp = show::otlp(config);
        [show::process(config), show::http(config), otlp, show::tls(config)].concat()
    };
    for (before, after) in rows(old).into_iter().zip(rows(new)) {
        match (before.value == after.value, before.changeable) {
            (true, _) => {}
            (false, true) => changes.process_changed = true,
            (false, false) => changes.needs_restart.push(before.key),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::load::load_with;
    use super::*;

    const START: &str = "[pgusher]\nlisten_addr = \"127.0.0.1\"\nauth_type = \"trust\"\n";

    fn config(text: &str) -> Config {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pool.toml");
        fs::write(&path, format!("{START}{text}")).unwrap();
        load_with(&path, &|_| None).map_err(|mistakes| mistakes.to_string()).unwrap().config
    }

    fn changes(old: &str, new: &str) -> Changes {
        diff(&config(old), &config(new))
    }

    fn names(names: &[&str]) -> Vec<Name> {
        names.iter().map(|name| Name::from(*name)).collect()
    }

    #[test]
    fn the_same_file_changes_nothing() {
        let text =
            "[http]\n[databases.a]\nhost = \"x\"\n[databases.\"*\"]\n[users.u]\npassword = \"p\"\n";
        assert!(changes(text, text).is_empty());
        assert!(
            changes("", "drain_timeout = \"300s\"\n").is_empty(),
            "a default that is written out"
        );
    }

    #[test]
    fn databases_come_and_go() {
        let found = changes(
            "[databases.a]\n[databases.b]\n",
            "[databases.b]\n[databases.c]\n[databases.\"*\"]\n",
        );
        let expected = Changes {
            databases_added: names(&["*", "c"]),
            databases_removed: names(&["a"]),
            ..Changes::default()
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn another_server_replaces_connections() {
        let old = "[databases.a]\nuser = \"u\"\n[databases.same]\n";
        for new in [
            "host = \"x\"\nuser = \"u\"",
            "port = 1\nuser = \"u\"",
            "dbname = \"x\"\nuser = \"u\"",
            "user = \"v\"",
            "user = \"u\"\npassword = \"p\"",
            "user = \"u\"\nstartup_parameters = { a = \"b\" }\npool_size = 3",
        ] {
            let found = changes(old, &format!("[databases.a]\n{new}\n[databases.same]\n"));
            assert_eq!(
                found,
                Changes { servers_changed: names(&["a"]), ..Changes::default() },
                "{new}"
            );
        }
    }

    #[test]
    fn other_limits_leave_connections_alone() {
        let old = "[databases.a]\n[databases.b]\npool_size = 5\n[databases.\"*\"]\n";
        let only = |list: &[&str]| Changes { settings_changed: names(list), ..Changes::default() };
        let found = changes(
            old,
            &old.replace("[databases.a]\n", "[databases.a]\nmax_db_connections = 4\n"),
        );
        assert_eq!(found, only(&["a"]));
        let found =
            changes(old, &old.replace("[databases.a]\n", "[databases.a]\npool_size = 20\n"));
        assert_eq!(found, only(&[]), "the default, written out");
        let found = changes(old, &format!("[defaults]\npool_size = 9\n{old}"));
        assert_eq!(found, only(&["*", "a"]), "b has its own size");
    }

    #[test]
    fn users_reach_the_pools_of_all_databases() {
        let old = "[databases.a]\n[databases.b]\nquery_timeout = \"9s\"\n";
        let with = |user: &str| changes(old, &format!("{old}[users.u]\n{user}"));
        let expected = |databases: &[&str]| Changes {
            users_changed: names(&["u"]),
            settings_changed: names(databases),
            ..Changes::default()
        };
        assert_eq!(with("password = \"p\""), expected(&[]));
        assert_eq!(with("max_user_connections = 3"), expected(&[]));
        assert_eq!(with("pool_size = 3"), expected(&["a", "b"]));
        assert_eq!(with("query_timeout = \"9s\""), expected(&["a"]), "b has it already");
    }

    #[test]
    fn the_process_tells_what_waits_for_a_restart() {
        let found = changes("", "listen_port = 1\nlog_format = \"json\"\n[http]\n");
        assert_eq!(
            found.needs_restart,
            ["listen_port", "log_format", "http.listen", "http.queue_buckets", "http.page"]
        );
        assert!(!found.process_changed);
        let found = changes("", "max_client_conn = 1\n");
        assert_eq!(found, Changes { process_changed: true, ..Changes::default() });
    }
}
