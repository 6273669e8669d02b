//! Tests of SET.

use std::fs;
use std::time::Duration;

use super::super::load::load_with;
use super::*;
use crate::types::PoolMode;

fn load(name: &str, text: &str) -> (Config, Origin) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    let loaded = load_with(&path, &|_| None).map_err(|mistakes| mistakes.to_string()).unwrap();
    (loaded.config, loaded.origin)
}

fn toml() -> (Config, Origin) {
    load(
        "pool.toml",
        "[pgusher]\nlisten_addr = \"127.0.0.1\"\nauth_type = \"trust\"\n[databases.a]\npool_size = 3\n",
    )
}

fn ini() -> (Config, Origin) {
    load(
        "pgbouncer.ini",
        "[databases]\na = host=x max_db_connections=7\nb = host=x\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         auth_type = trust\nserver_idle_timeout = 0.5\nunix_socket_mode = 0777\n",
    )
}

fn shown(origin: &Origin, config: &Config, key: &str) -> (Option<String>, Option<&'static str>) {
    let rows = origin.show(config);
    let row = rows.into_iter().find(|row| row.key == key).expect("a row");
    (row.value, row.default)
}

#[test]
fn nothing_set_is_what_was_read() {
    for (config, origin) in [toml(), ini()] {
        assert_eq!(origin.resolve().as_ref(), Ok(&config));
    }
}

#[test]
fn a_pool_tomls_settings_are_set_one_after_the_other() {
    let (_, origin) = toml();
    let origin = origin.with("pool_mode", "session").unwrap();
    let origin = origin.with("POOL_SIZE", "8").unwrap().with("default_pool_size", "9").unwrap();
    let origin = origin.with("admin_users", "a, b").unwrap();
    let origin = origin.with("server_tls_sslmode", "require").unwrap();
    let config = origin.resolve().unwrap();
    assert_eq!(config.defaults.pool_mode, PoolMode::Session);
    assert_eq!(config.defaults.pool_size, 9);
    assert_eq!(config.process.admin_users, ["a".into(), "b".into()]);
    assert_eq!(config.tls_server.sslmode, crate::config::SslMode::Require);
    let own = config.database("a").expect("a database");
    assert_eq!(config.pool_settings(own, "u").pool_size, 3, "its own stays");
    for (key, value) in
        [("pool_mode", "x"), ("pool_size", "-1"), ("nonsense", "1"), ("listen_port", "1")]
    {
        assert!(origin.with(key, value).is_err(), "{key}");
    }
}

#[test]
fn pgbouncers_parameters_are_set_and_inherited() {
    let (_, origin) = ini();
    let origin = origin.with("max_db_connections", "5").unwrap();
    let origin = origin.with("query_wait_timeout", "7.5").unwrap();
    let config = origin.resolve().unwrap();
    assert_eq!(config.databases["a"].max_db_connections, Some(7));
    assert_eq!(config.databases["b"].max_db_connections, Some(5));
    assert_eq!(config.defaults.query_wait_timeout, Some(Duration::from_millis(7_500)));
    assert_eq!(shown(&origin, &config, "query_wait_timeout").0.as_deref(), Some("7.5"));
    for (key, value) in [("pool_mode", "x"), ("nonsense", "1"), ("max_client_conn", "x")] {
        assert!(origin.with(key, value).is_err(), "{key}");
    }
    let same = origin.with("listen_port", "1").unwrap();
    assert_eq!(same.resolve().as_ref(), Ok(&config), "taken, and without effect");
}

#[test]
fn pgbouncers_parameters_are_shown_as_it_shows_them() {
    let (config, origin) = ini();
    let row = |key: &str| shown(&origin, &config, key);
    assert_eq!(row("server_idle_timeout"), (Some("0.5".into()), Some("600")));
    assert_eq!(row("unix_socket_mode"), (Some("511".into()), Some("0777")));
    assert_eq!(row("auth_file"), (None, None));
    assert_eq!(row("verbose"), (Some("0".into()), None));
    assert_eq!(row("auth_type"), (Some("trust".into()), Some("md5")));
    assert!(row("conffile").0.is_some_and(|path| path.ends_with("pgbouncer.ini")));
    assert!(row("auth_query").1.is_some_and(|query| query.starts_with("SELECT rolname")));
    let rows = origin.show(&config);
    assert!(rows.len() >= 100 && rows.is_sorted_by_key(|row| row.key), "{}", rows.len());
    let fixed: Vec<_> = rows.iter().filter(|row| !row.changeable).map(|row| row.key).collect();
    assert!(fixed.contains(&"listen_port") && !fixed.contains(&"pool_mode"), "{fixed:?}");
}

#[test]
fn every_value_says_where_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write(
        "pool.toml",
        "include = [\"more.toml\"]\n[pgusher]\nlisten_addr = \"127.0.0.1\"\nauth_type = \"trust\"\n\
         [tls.server]\nsslmode = \"prefer\"\n[databases.a]\nhost = \"x\"\n",
    );
    write("more.toml", "# ours\n[defaults]\ndefault_pool_size = 5\n");
    // PgBouncer looks for it from where it was started, and goes on with the section.
    let include = format!("%include {}/more.ini\n", folder.path().display());
    let ini = "[databases]\na = host=x\n[pgbouncer]\nlisten_addr = 127.0.0.1\nauth_type = trust\n";
    write("pgbouncer.ini", &format!("{ini}{include}"));
    write("more.ini", "; ours\n\npool_mode = session\n");
    let all = |name: &str, set: &[(&str, &str)]| {
        let loaded = load_with(&folder.path().join(name), &|_| None);
        let loaded = loaded.map_err(|mistakes| mistakes.to_string()).unwrap();
        let set =
            set.iter().try_fold(loaded.origin, |origin, (key, value)| origin.with(key, value));
        let rows = set.unwrap().show(&loaded.config).into_iter();
        let folder = format!("{}/", folder.path().display());
        rows.map(|row| (row.key, row.whence.to_string().replace(&folder, "")))
            .collect::<BTreeMap<_, _>>()
    };
    let toml = all("pool.toml", &[("query_timeout", "5s")]);
    for (key, origin) in [
        ("auth_type", "pool.toml:4"),
        ("server_tls_sslmode", "pool.toml:6"),
        ("default_pool_size", "more.toml:3"),
        ("query_timeout", "SET at the console"),
        ("max_client_conn", "default"),
        ("http.listen", "default"),
    ] {
        assert_eq!(toml.get(key).map(String::as_str), Some(origin), "{key}");
    }
    let ini = all("pgbouncer.ini", &[("query_timeout", "5"), ("listen_port", "7")]);
    for (key, origin) in [
        ("auth_type", "pgbouncer.ini:5"),
        ("pool_mode", "more.ini:3"),
        ("query_timeout", "SET at the console"),
        ("listen_port", "default"),
        ("conffile", "command line"),
    ] {
        assert_eq!(ini.get(key).map(String::as_str), Some(origin), "{key}");
    }
}
