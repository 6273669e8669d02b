//! The loader as its users meet it: files in, a configuration or the exact mistakes out.

use std::fs;
use std::time::Duration;

use super::load::load_with;
use super::resolved::Config;
use super::resolved_auth::AuthType;
use super::{Loaded, Mistakes};
use crate::types::{PoolMode, ServerAddress};

/// A valid beginning, three lines long.
pub(super) const START: &str = "[pgusher]\nlisten_addr = \"127.0.0.1\"\nauth_type = \"trust\"\n";

/// Writes files into a new folder and loads `pool.toml`.
pub(super) fn load_files(files: &[(&str, &str)]) -> (Result<Loaded, Mistakes>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let env = |name: &str| match name {
        "SIZE" => Some("33".into()),
        "ON" => Some("true".into()),
        _ => None,
    };
    (load_with(&folder.path().join("pool.toml"), &env), folder)
}

/// The configuration of a file without mistakes.
fn good(text: &str) -> Config {
    load_files(&[("pool.toml", text)]).0.map_err(|mistakes| mistakes.to_string()).unwrap().config
}

/// The mistakes of files, one a line, without the folder.
pub(super) fn mistakes(files: &[(&str, &str)]) -> String {
    let (loaded, folder) = load_files(files);
    let prefix = format!("{}/", folder.path().display());
    loaded.unwrap_err().to_string().replace(&prefix, "")
}

/// The mistakes of what follows a valid beginning; its first line is line 4.
fn after_start(text: &str) -> String {
    mistakes(&[("pool.toml", &format!("{START}{text}"))])
}

#[test]
fn the_least_gives_the_defaults() {
    let config = good(START);
    assert_eq!(config.process.listen_addr, ["127.0.0.1"]);
    assert_eq!(config.process.listen_port, 6432);
    assert_eq!(config.process.auth_type, AuthType::Trust);
    assert_eq!(config.process.prepared_statements_memory, 64 << 20);
    assert_eq!(config.process.drain_timeout, Some(Duration::from_secs(300)));
    assert_eq!(config.process.worker_threads, None);
    assert_eq!(config.http, None);
    assert_eq!(config.defaults.pool_size, 20);
    assert_eq!(config.defaults.query_timeout, None);
    assert_eq!(config.defaults.server_reset_query, "DISCARD ALL");
    assert!(config.databases.is_empty() && config.fallback.is_none());
}

#[test]
fn users_override_databases_override_defaults() {
    let config = good(&format!(
        "{START}[defaults]\ndefault_pool_size = 7\nquery_timeout = \"9s\"\n\
         [databases.a]\nhost = [\"h1\", \"/sock\"]\nport = [1, 2]\npool_size = 8\nmin_pool_size = 8\n\
         [databases.\"*\"]\nhost = [\"h1\", \"h2\"]\nport = 5\n\
         [users.u]\nquery_timeout = \"off\"\npool_mode = \"session\"\npool_size = 3\nmax_user_connections = 0\n"
    ));
    let a = config.database("a").unwrap();
    let ends: Vec<_> = a.addresses.iter().map(ServerAddress::to_string).collect();
    assert_eq!(ends, ["h1:1", "/sock/.s.PGSQL.2"]);
    let (mine, theirs) = (config.pool_settings(a, "u"), config.pool_settings(a, "other"));
    assert_eq!((mine.pool_size, theirs.pool_size), (3, 8));
    assert_eq!((mine.min_pool_size, theirs.min_pool_size), (3, 8), "never above the pool's size");
    assert_eq!((mine.pool_mode, theirs.pool_mode), (PoolMode::Session, PoolMode::Transaction));
    assert_eq!((mine.query_timeout, theirs.query_timeout), (None, Some(Duration::from_secs(9))));
    let any = config.database("any").unwrap();
    assert_eq!((&*any.name, any.addresses.len(), any.addresses[1].port()), ("*", 2, 5));
    assert_eq!(config.pool_settings(any, "other").pool_size, 7);
    assert_eq!(config.users["u"].max_user_connections, None);
}

#[test]
fn unknown_keys_get_a_suggestion() {
    assert_eq!(
        after_start(
            "listen_prot = 1\n[defaults]\npool_sise = 3\npassword = \"x\"\nsslmode = \"x\"\n[databases.\"a b\"]\nprot = 1\n"
        ),
        "pool.toml:4:1: unknown key `listen_prot` in [pgusher]; did you mean `listen_port`?\n\
         pool.toml:6:1: unknown key `pool_sise` in [defaults]; did you mean `pool_size`?\n\
         pool.toml:7:1: unknown key `password` in [defaults]; it belongs in [databases.NAME] or [users.NAME]\n\
         pool.toml:8:1: unknown key `sslmode` in [defaults]; it belongs in [tls.client] or [tls.server]\n\
         pool.toml:10:1: unknown key `prot` in [databases.\"a b\"]; did you mean `port`?"
    );
}

#[test]
fn unknown_sections_get_a_suggestion() {
    let text =
        format!("listen_port = 1\n{START}[tables]\n[htpp]\n[[users]]\n[databases]\nhost = \"h\"\n");
    assert_eq!(
        mistakes(&[("pool.toml", &text)]),
        "pool.toml:1:1: unknown key `listen_port` outside of a section; it belongs in [pgusher]\n\
         pool.toml:5:2: unknown section [tables]\n\
         pool.toml:6:2: unknown section [htpp]; did you mean [http]?\n\
         pool.toml:7:3: expected [users.NAME], found an array\n\
         pool.toml:9:1: `host` needs a section of its own, found a string; write [databases.NAME] with the database's name"
    );
}

#[test]
fn wrong_types_say_what_to_write() {
    assert_eq!(
        after_start(
            "drain_timeout = 300\nprepared_statements_memory = 64\nunix_socket_mode = 0o777\nlog_connections = \"true\"\n\
             max_client_conn = \"5\"\nadmin_users = [\"a\", 5, \"\", \"a\"]\nlog_format = \"jsn\"\n[defaults]\n\
             query_timeout = 10\nserver_lifetime = 0\nserver_idle_timeout = \"0s\"\nserver_login_retry = \"off\"\n\
             pool_mode = 1.5\n"
        ),
        "pool.toml:4:17: `drain_timeout`: expected a duration such as \"10s\", \"0s\" or \"off\", found the number 300; write \"300s\"\n\
         pool.toml:5:30: `prepared_statements_memory`: expected a size such as \"64MiB\", found the number 64; write \"64B\"\n\
         pool.toml:6:20: `unix_socket_mode`: expected a file mode such as \"0777\", found the number 0o777; put the octal digits in quotes\n\
         pool.toml:7:19: `log_connections`: expected `true` or `false`, found a string; remove the quotes\n\
         pool.toml:8:19: `max_client_conn`: expected a whole number, found a string; remove the quotes\n\
         pool.toml:9:21: `admin_users`: expected a string or an array of strings, found the number 5\n\
         pool.toml:9:24: `admin_users`: the text is empty\n\
         pool.toml:9:28: `admin_users`: \"a\" is listed twice\n\
         pool.toml:10:14: `log_format`: expected one of \"text\", \"json\", \"pgbouncer\", found \"jsn\"; did you mean \"json\"?\n\
         pool.toml:12:17: `query_timeout`: expected a duration such as \"10s\" or \"off\", found the number 10; write \"10s\"\n\
         pool.toml:13:19: `server_lifetime`: expected a duration such as \"10s\" or \"off\", found the number 0; write \"off\"\n\
         pool.toml:14:23: `server_idle_timeout`: the duration must be longer than zero; write \"off\" for no limit\n\
         pool.toml:15:22: `server_login_retry`: it cannot be off; write a short duration such as \"100ms\"\n\
         pool.toml:16:13: `pool_mode`: expected one of \"transaction\", \"session\", \"statement\", found a number with a fraction"
    );
}

#[test]
fn numbers_have_ranges() {
    assert_eq!(
        after_start(
            "listen_port = 70000\nworker_threads = 257\nmax_client_conn = 99999999999999999999\n\
             [databases.a]\npool_size = 0\nport = [0, 1]\nmax_db_connections = -1\n"
        ),
        "pool.toml:4:15: `listen_port`: 70000 is out of range; it must be from 0 to 65535\n\
         pool.toml:5:18: `worker_threads`: 257 is out of range; it must be from 1 to 256\n\
         pool.toml:6:19: `max_client_conn`: 99999999999999999999 is out of range; it must be from 1 to 1000000\n\
         pool.toml:8:13: `pool_size`: 0 is out of range; it must be from 1 to 1000000\n\
         pool.toml:9:9: `port`: 0 is out of range; it must be from 1 to 65535\n\
         pool.toml:10:22: `max_db_connections`: -1 is out of range; it must be from 0 to 1000000"
    );
}

#[test]
fn contradictions_are_named() {
    assert_eq!(
        after_start(
            "[defaults]\nmin_pool_size = 30\n[databases.a]\nreserve_pool_size = 3\nreserve_pool_timeout = \"off\"\n\
             host = [\"a\", \"b\"]\nport = [1, 2, 3]\n[databases.b]\npassword = \"x\"\n[databases.pgbouncer]\n\
             [users.u]\npool_size = 2\nmin_pool_size = 3\n[users.\"*\"]\n"
        ),
        "pool.toml:5:17: `min_pool_size` is 30, but the pool has only 20 servers\n\
         pool.toml:7:21: `reserve_pool_size` has no effect while `reserve_pool_timeout` is \"off\"; set a duration such as \"5s\", or `reserve_pool_size` to 0\n\
         pool.toml:10:8: `port` has 3 values for 2 hosts; write one port, or one for each host\n\
         pool.toml:12:12: `password` is for the server user, but `user` is not set; add `user`\n\
         pool.toml:13:12: the database name `pgbouncer` is reserved for the console\n\
         pool.toml:16:17: `min_pool_size` is 3, but the pool has only 2 servers\n\
         pool.toml:17:8: there is no section for all users; set it in [defaults]"
    );
}

#[test]
fn a_wrong_value_is_not_blamed_twice() {
    assert_eq!(
        after_start("[defaults]\npool_sise = 40\nmin_pool_size = 30\n"),
        "pool.toml:5:1: unknown key `pool_sise` in [defaults]; did you mean `pool_size`?"
    );
    assert_eq!(
        mistakes(&[("pool.toml", "[pgusher]\nlisten_adr = \"*\"\nauth_type = \"trust\"\n")]),
        "pool.toml:2:1: unknown key `listen_adr` in [pgusher]; did you mean `listen_addr`?"
    );
}

#[test]
fn clients_must_be_able_to_come_and_strangers_not() {
    let one = |text: &str| mistakes(&[("pool.toml", text)]);
    let nowhere =
        "there is nothing to listen on; set `listen_addr` or `unix_socket_dir` in [pgusher]";
    let nobody = "with `auth_type` \"scram-sha-256\" nobody can log in; set `auth_file`, `auth_user`, or `password` in [users.NAME]";
    assert_eq!(one(""), format!("pool.toml:1:1: {nowhere}\npool.toml:1:1: {nobody}"));
    assert_eq!(one("\n [pgusher]\nauth_type = \"trust\"\n"), format!("pool.toml:2:3: {nowhere}"));
    assert_eq!(one("[pgusher]\nlisten_addr = \"*\"\n"), format!("pool.toml:1:2: {nobody}"));
    assert_eq!(
        one("[pgusher]\nlisten_addr = [\"::1\", \"db.lan\"]\nauth_type = \"trust\"\n"),
        "pool.toml:3:13: `auth_type` \"trust\" would let anyone in who reaches \"db.lan\"; listen on 127.0.0.1, ::1 or a unix socket only, or use \"scram-sha-256\""
    );
    good("[pgusher]\nunix_socket_dir = \"/tmp\"\nauth_type = \"trust\"\n");
    good("[pgusher]\nlisten_addr = \"*\"\n[users.a]\npassword = \"x\"\n");
    good("[pgusher]\nlisten_addr = [\"localhost\", \"127.3.2.1\"]\nauth_type = \"trust\"\n");
}

#[test]
fn addresses_are_addresses() {
    assert_eq!(
        mistakes(&[(
            "pool.toml",
            "[pgusher]\nauth_type = \"md5\"\nlisten_addr = [\"0.0.0.0:1\", \"[::1]\", \"[::1]:5\", \"a b\", \"/run\"]\n\
             [users.a]\npassword = \"x\"\n[http]\nlisten = \":9127\"\n[databases.a]\nhost = []\n[databases.b]\nhost = \"pg:5432\"\n\
             [databases.c]\nhost = [\"a\", \"b\", \"a\"]\n[databases.d]\nhost = [\"a\", \"a\"]\nport = [1, 2]\n"
        )]),
        "pool.toml:3:16: `listen_addr`: \"0.0.0.0:1\" is not an address or a host name; write \"0.0.0.0\" and put the port in `listen_port`\n\
         pool.toml:3:29: `listen_addr`: \"[::1]\" is not an address or a host name; write \"::1\"\n\
         pool.toml:3:38: `listen_addr`: \"[::1]:5\" is not an address or a host name; write \"::1\" and put the port in `listen_port`\n\
         pool.toml:3:49: `listen_addr`: \"a b\" is not an address or a host name\n\
         pool.toml:3:56: `listen_addr`: \"/run\" is not an address; a socket folder belongs in `unix_socket_dir`\n\
         pool.toml:7:10: `listen`: expected an address and a port such as \"127.0.0.1:9127\", found \":9127\"; write \"0.0.0.0:9127\" or \"[::]:9127\"\n\
         pool.toml:9:8: `host`: there is no host; remove the key for the default\n\
         pool.toml:11:8: `host`: \"pg:5432\" is not an address or a host name; write \"pg\" and put the port in `port`\n\
         pool.toml:13:8: `host`: \"a\" with port 5432 is listed twice"
    );
}

#[test]
fn broken_toml_does_not_hide_the_rest() {
    assert_eq!(
        after_start(
            "listen_backlog = \n[databases.a]\nhost = \"x\"\nhost = \"y\"\nhots = 1\n[databases.b]\nport = \"x\"\n[databases.a]\n"
        ),
        "pool.toml:4:18: string values must be quoted, expected literal string\n\
         pool.toml:7:1: duplicate key `host`; first at line 6\n\
         pool.toml:8:1: unknown key `hots` in [databases.a]; did you mean `host`?\n\
         pool.toml:10:8: `port`: expected a whole number, found a string\n\
         pool.toml:11:12: duplicate key `a`; first at line 5"
    );
}

#[test]
fn columns_count_characters() {
    assert_eq!(
        after_start("log_level = \"é\"\n\"lög\" = 1\r\nadmin_users = [\"äöü\", 5]\n"),
        "pool.toml:4:13: `log_level`: unknown level \"é\"; expected one of off, error, warn, info, debug, trace\n\
         pool.toml:5:1: unknown key `lög` in [pgusher]\n\
         pool.toml:6:23: `admin_users`: expected a string or an array of strings, found the number 5"
    );
}

#[test]
fn queue_buckets_rise() {
    let http = |value: &str| format!("[http]\nqueue_buckets = {value}\n");
    let config = good(&format!("{START}{}", http("[\"250us\", \"1ms\"]")));
    let buckets = config.http.unwrap().queue_buckets;
    assert_eq!(buckets, [Duration::from_micros(250), Duration::from_millis(1)]);
    assert_eq!(good(&format!("{START}[http]\n")).http.unwrap().queue_buckets.len(), 16);
    assert_eq!(
        after_start(&http("[\"1ms\", \"1ms\"]")),
        "pool.toml:5:25: `queue_buckets`: bounds must rise from one to the next"
    );
    assert_eq!(
        after_start(&http("[]")),
        "pool.toml:5:17: `queue_buckets`: expected 1 to 32 bounds, found 0"
    );
}

#[test]
fn variables_stand_for_any_value() {
    let config = good(&format!(
        "{START}worker_threads = \"${{NONE:-auto}}\"\nlog_connections = \"${{ON}}\"\n\
         [defaults]\npool_size = \"${{SIZE:-20}}\"\nquery_timeout = \"${{SIZE}}s\"\nserver_reset_query = \"$$${{SIZE}}$1\"\n"
    ));
    assert_eq!(config.process.worker_threads, None);
    assert!(config.process.log_connections);
    assert_eq!(config.defaults.pool_size, 33);
    assert_eq!(config.defaults.query_timeout, Some(Duration::from_secs(33)));
    assert_eq!(config.defaults.server_reset_query, "$33$1");
    assert_eq!(
        after_start(
            "worker_threads = \"${NONE}\"\nadmin_users = [\"a\", \"${NONE\"]\n[defaults]\npool_size = \"${NONE:-many}\"\n"
        ),
        "pool.toml:4:18: the environment variable `NONE` is not set; set it, or write `${NONE:-default}`\n\
         pool.toml:5:21: `${NONE` is not closed; add the `}`, or write `$$` for a dollar sign\n\
         pool.toml:7:13: `pool_size`: expected a whole number, found a variable with other text"
    );
}

#[test]
fn secrets_are_read_and_never_told() {
    let text = format!(
        "{START}[databases.a]\nuser = \"u\"\npassword_file = \"secret\"\n[users.u]\npassword = \"hunter2\"\n"
    );
    let (loaded, folder) = load_files(&[("pool.toml", &text), ("secret", "s3cr3t\r\n")]);
    let loaded = loaded.unwrap();
    assert_eq!(loaded.config.databases["a"].password.as_ref().unwrap().expose(), "s3cr3t");
    assert_eq!(loaded.files, [folder.path().join("pool.toml"), folder.path().join("secret")]);
    let shown = format!("{loaded:?}{:?}", super::show(&loaded.config));
    assert!(!shown.contains("s3cr3t") && !shown.contains("hunter2"), "{shown}");

    let text = format!(
        "{START}auth_file = \"nope\"\n[databases.a]\nuser = \"u\"\npassword = \"hunter2\"\npassword_file = \"empty\"\n\
         [users.a]\npassword = 31337\n[users.b]\npassword_file = \"empty\"\n[users.c]\npassword_file = \".\"\n[users.d]\npassword = \"\"\n"
    );
    assert_eq!(
        mistakes(&[("pool.toml", &text), ("empty", "\n")]),
        "pool.toml:4:13: `auth_file`: cannot read nope: No such file or directory\n\
         pool.toml:8:17: `password_file` and `password` exclude each other; the other is at pool.toml:7:12\n\
         pool.toml:10:12: `password`: expected a password in quotes\n\
         pool.toml:12:17: `password_file`: cannot read empty: it is empty\n\
         pool.toml:14:17: `password_file`: cannot read .: it is not a file\n\
         pool.toml:16:12: `password`: the password is empty; remove the key for no password"
    );
}

#[test]
fn startup_parameters_are_strings() {
    assert_eq!(
        after_start(
            "[databases.a]\nstartup_parameters = { user = \"x\", timezone = 5 }\n[databases.b]\nstartup_parameters = \"x\"\n"
        ),
        "pool.toml:5:24: `startup_parameters`: `user` cannot be set here; use the key `user`\n\
         pool.toml:5:47: `startup_parameters`: expected a string for `timezone`, found the number 5\n\
         pool.toml:7:22: `startup_parameters`: expected a table such as { timezone = \"UTC\" }, found a string"
    );
}

#[test]
fn the_two_names_of_the_pool_size_are_one_setting() {
    assert_eq!(good(&format!("{START}[defaults]\npool_size = 4\n")).defaults.pool_size, 4);
    assert_eq!(
        after_start(
            "[defaults]\npool_size = 4\ndefault_pool_size = 4\n[users.a]\ndefault_pool_size = 4\n"
        ),
        "pool.toml:5:1: `default_pool_size` and `pool_size` are the same setting; first at pool.toml:6:1\n\
         pool.toml:8:1: unknown key `default_pool_size` in [users.a]; it belongs in [defaults]"
    );
}

#[test]
fn an_alias_is_a_name_that_means_nothing_else() {
    let text = "[databases.a]\nsession_alias = \"b\"\n[databases.b]\nsession_alias = \"c\"\n\
                [databases.d]\nsession_alias = \"c\"\n[databases.e]\nsession_alias = \"pgusher\"\n";
    let taken = |line, name| {
        format!(
            "pool.toml:{line}:17: `session_alias`: the name \"{name}\" is taken; choose a name that no database has"
        )
    };
    assert_eq!(after_start(text), [taken(5, "b"), taken(9, "c"), taken(11, "pgusher")].join("\n"));
    let config = good(&format!("{START}[databases.a]\nsession_alias = \"other\"\n"));
    assert_eq!(config.session_alias("other").map(|database| &*database.name), Some("a"));
    assert!(config.session_alias("a").is_none());
}
