//! A `pgbouncer.ini` becomes the configuration that PgBouncer would have.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use super::load::{Loaded, load_with};
use super::resolved::{Compat, Facility, LogFormat};
use super::resolved_auth::AuthType;
use crate::types::{LoadBalance, PoolMode, ServerAddress};

/// A folder with an ini, read; `{dir}` in the text is the folder.
fn try_load(text: &str) -> Result<Loaded, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.ini");
    fs::write(&path, text.replace("{dir}", &folder.path().display().to_string())).unwrap();
    fs::write(folder.path().join("more"), "more_is = read\n").unwrap();
    fs::write(folder.path().join("users.txt"), "\"u\" \"p\"\n").unwrap();
    fs::write(folder.path().join("dbs.ini"), "b = host=b\n[users]\nu = pool_size=3\n").unwrap();
    let strip = |text: String| text.replace(&format!("{}/", folder.path().display()), "");
    load_with(&path, &|_| None).map_err(|mistakes| strip(mistakes.to_string()))
}

fn load(text: &str) -> Loaded {
    try_load(text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn mistakes(text: &str) -> Vec<String> {
    try_load(text).err().unwrap_or_default().lines().map(str::to_owned).collect()
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn an_empty_section_has_pgbouncers_defaults() {
    let config = load("[pgbouncer]\n").config;
    let process = &config.process;
    assert_eq!((process.listen_addr.len(), process.listen_port), (0, 6432));
    assert_eq!(process.unix_socket_dir, Some(PathBuf::from("/tmp")));
    assert_eq!((process.max_client_conn, process.listen_backlog), (100, 128));
    assert_eq!((process.auth_type, process.compat), (AuthType::Md5, Compat::PgBouncer));
    assert_eq!((process.log_format, process.drain_timeout), (LogFormat::PgBouncer, None));
    assert_eq!(process.client_login_timeout, seconds(60));
    let pool = &config.defaults;
    assert_eq!((pool.pool_mode, pool.pool_size), (PoolMode::Session, 20));
    assert_eq!(pool.query_wait_timeout, seconds(120));
    assert_eq!(pool.server_connect_timeout, seconds(15));
    assert_eq!(Some(pool.server_login_retry), seconds(15));
    assert_eq!((pool.query_timeout, pool.idle_transaction_timeout), (None, None));
    assert_eq!(pool.server_lifetime, seconds(3600));
    assert_eq!(pool.max_prepared_statements, 200);
    assert!(config.databases.is_empty() && config.fallback.is_none());
}

#[test]
fn databases_are_connection_strings() {
    let config = load(
        "[databases]\n\
         plain =\n\
         other = host=10.0.0.1,db2 port=5433 dbname=real user=u password='it''s' pool_mode=Statement\n\
         'odd name' = host=/run/pg pool_size=0 reserve_pool=2 server_lifetime=0 timezone=UTC\n\
         * = host=::1 max_db_connections=9\n\
         [pgbouncer]\nunix_socket_dir = /run/mine\nmax_db_connections = 7\n",
    )
    .config;
    let unix = |folder: &str| ServerAddress::Unix { folder: folder.into(), port: 5432 };
    let plain = &config.databases["plain"];
    assert_eq!(plain.addresses, [unix("/run/mine")]);
    assert_eq!((plain.dbname.as_deref(), plain.max_db_connections), (None, Some(7)));
    let other = &config.databases["other"];
    let hosts: Vec<String> = other.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(hosts, ["10.0.0.1:5433", "db2:5433"]);
    assert_eq!((other.dbname.as_deref(), other.user.as_deref()), (Some("real"), Some("u")));
    assert_eq!(other.password.as_ref().map(|secret| secret.expose()), Some("it's"));
    assert_eq!(other.overrides.pool_mode, Some(PoolMode::Statement));
    let odd = &config.databases["odd name"];
    assert_eq!(odd.addresses, [unix("/run/pg")]);
    assert_eq!(odd.overrides.pool_size, Some(1_000_000), "no limit");
    assert_eq!(odd.overrides.reserve_pool_size, Some(2));
    assert_eq!(odd.overrides.server_lifetime, Some(Some(Duration::from_micros(1))), "used once");
    assert_eq!(odd.startup_parameters["timezone"], "UTC");
    let fallback = config.fallback.unwrap();
    assert_eq!(fallback.max_db_connections, Some(9));
}

#[test]
fn users_inherit_limits_whether_they_are_listed_or_not() {
    let config = load(
        "[pgbouncer]\nmax_user_connections = 5\nmax_user_client_connections = 6\n\
         [users]\nlisted = pool_mode=session query_timeout=1.5\nfree = max_user_connections=0\n",
    )
    .config;
    assert_eq!(config.max_user_connections("stranger"), Some(5));
    assert_eq!(config.max_user_connections("listed"), Some(5));
    assert_eq!(config.max_user_connections("free"), None);
    assert_eq!(config.max_user_client_connections("free"), Some(6));
    let listed = &config.users["listed"].overrides;
    assert_eq!(listed.query_timeout, Some(Some(Duration::from_millis(1500))));
}

#[test]
fn values_are_read_as_pgbouncer_reads_them() {
    let config = load(
        "[pgbouncer]\nlisten_addr = 127.0.0.1 , ::1\nlisten_port = 0x1939\n\
         unix_socket_dir =\nunix_socket_mode = 0700\nauth_type = TRUST\n\
         auth_file = {dir}/users.txt\nadmin_users = a, b,a\nlog_connections = 0\nverbose = 1\n\
         server_check_delay = 0\nserver_login_retry = 0\nreserve_pool_timeout = 0\n\
         min_pool_size = 50\ndefault_pool_size = 10\nserver_reset_query =\n",
    )
    .config;
    let process = &config.process;
    assert_eq!((process.listen_addr.len(), process.listen_port), (2, 6457));
    assert_eq!((process.unix_socket_dir.clone(), process.unix_socket_mode), (None, 0o700));
    assert_eq!(process.auth_type, AuthType::Trust);
    assert!(process.auth_file.as_ref().is_some_and(|path| path.ends_with("users.txt")));
    assert_eq!(process.admin_users.len(), 2);
    assert_eq!((process.log_connections, process.log_level.as_str()), (false, "debug"));
    assert_eq!(config.defaults.server_check_delay, Some(Duration::ZERO), "always");
    assert_eq!(config.defaults.server_login_retry, Duration::from_millis(1));
    assert_eq!(config.defaults.reserve_pool_timeout, None);
    assert_eq!(config.defaults.server_reset_query, "");
}

#[test]
fn trust_is_let_in_from_everywhere() {
    let text = "[pgbouncer]\nlisten_addr = *\nauth_type = trust\n";
    assert_eq!(load(text).config.process.listen_addr, ["*"]);
}

#[test]
fn the_last_duplicate_wins_and_a_second_header_starts_over() {
    let text = "[pgbouncer]\npool_mode = transaction\nuser = me\nlisten_port = 1\nlisten_port = 2\n\
                [databases]\na = host=x\na = host=y\n[pgbouncer]\nlisten_port = 3\n";
    let config = load(text).config;
    assert_eq!((config.process.listen_port, config.defaults.pool_mode), (3, PoolMode::Session));
    assert_eq!(config.process.user.as_deref(), Some("me"), "it has no default");
    assert_eq!(config.databases["a"].addresses[0].host(), "y");
}

#[test]
fn includes_go_on_in_the_section_they_stand_in() {
    let config = load("[databases]\na = host=a\n%include {dir}/dbs.ini\n[pgbouncer]\n").config;
    let names: Vec<_> = config.databases.keys().map(|name| name.to_string()).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(config.users["u"].overrides.pool_size, Some(3));
    let lost = mistakes("[pgbouncer]\n%include {dir}/none.ini\n");
    assert!(lost[0].starts_with("a.ini:2:1: cannot read"), "{lost:?}");
    let endless = mistakes("[pgbouncer]\n%include {dir}/a.ini\n");
    assert!(endless[0].contains("is included more than 10 files deep"), "{endless:?}");
}

#[test]
fn every_mistake_is_told_with_its_place() {
    let text = "[pgbouncer]\nlisten_prot = 1\nmax_client_conn = many\npool_mode = sesion\n\
                listen_port = 70000\n[databases]\na = host=x prot=5\npgbouncer = host=x\n\
                b = host=\n[peer]\nx = y\n[users]\nu = pool_size=1s\n[peers]\n0 = host=x\n";
    let expected = [
        "a.ini:2:1: unknown parameter: listen_prot; did you mean `listen_port`?",
        "a.ini:3:19: `max_client_conn`: expected a whole number, found \"many\"",
        "a.ini:4:13: `pool_mode`: expected one of",
        "a.ini:5:15: `listen_port`: 70000 is out of range",
        "a.ini:7:12: unrecognized connection parameter: prot; did you mean `port`?",
        "a.ini:8:1: the database name `pgbouncer` is reserved",
        "a.ini:9:10: syntax error in connection string: `host` is empty",
        "a.ini:10:1: unknown section [peer]; did you mean [peers]?",
        "a.ini:13:15: `pool_size`: expected a whole number, found \"1s\"",
        "a.ini:15:1: `0` is not the id of a peer",
    ];
    let found = mistakes(text);
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found}\n{expected}");
    }
    assert_eq!(mistakes("[databases]\na=\n"), ["a.ini:1:1: there is no section [pgbouncer]"]);
    assert_eq!(mistakes("x = 1\n[pgbouncer]\n"), ["a.ini:1:1: `x` stands outside of a section"]);
}

#[test]
fn what_has_no_effect_is_listed() {
    let notes = load(
        "[pgbouncer]\npkt_buf = 8192\nsbuf_loopcnt = 5\nclient_tls_dheparams = legacy\n\
         service_name = x\njob_name = y\n[databases]\n\
         a = host=x password=p connect_query='select 1'\n",
    )
    .notes;
    assert_eq!(notes.len(), 2, "{notes:#?}");
    assert!(notes[0].contains("`password` has no effect without `user`"), "{notes:?}");
    let moot = "client_tls_dheparams, job_name, pkt_buf, sbuf_loopcnt, service_name";
    assert_eq!(notes[1], format!("accepted without effect: {moot}"));
    assert!(load("[pgbouncer]\n").notes.is_empty());
}

#[test]
fn what_pgbouncer_can_set_is_set() {
    let config = load(
        "[pgbouncer]\nso_reuseport = 1\npeer_id = 7\ntcp_keepidle = 9\ntcp_keepcnt = 3\n\
         tcp_user_timeout = 12500\ntcp_socket_buffer = 4096\nsyslog = 1\nsyslog_facility = LOCAL3\n\
         login_notify_message = moved; see 'wiki'\ntrack_extra_parameters = search_path, IntervalStyle\n\
         ignore_startup_parameters = extra_float_digits,options\ndns_nxdomain_ttl = 0\n\
         server_check_query =\nserver_fast_close = 1\nserver_reset_query_always = 1\nserver_round_robin = 1\n\
         application_name_add_host = 1\ndisable_pqexec = 1\nscram_iterations = 10000\n\
         autodb_idle_timeout = 0\npool_idle_timeout = 60\nmax_packet_size = 65536\n\
         dns_zone_check_period = 7\nresolv_conf = {dir}/more\n[databases]\n\
         a = host=x,y load_balance_hosts=disable connect_query='select ''1'''\nb = host=x,y\n\
         [peers]\n1 = host=/tmp port=6001\n2 = host=10.0.0.1 pool_size=3\n",
    )
    .config;
    let process = &config.process;
    assert!(process.so_reuseport && process.syslog && process.application_name_add_host);
    assert!(process.disable_pqexec && process.tcp_keepalive);
    assert_eq!((process.peer_id, process.tcp_keepcnt, process.scram_iterations), (7, 3, 10_000));
    assert_eq!((process.tcp_keepidle, process.tcp_keepintvl), (seconds(9), None));
    assert_eq!(process.tcp_user_timeout, Some(Duration::from_millis(12_500)));
    assert_eq!((process.tcp_socket_buffer, process.tcp_defer_accept), (4096, seconds(45)));
    assert_eq!(
        (process.syslog_facility, process.syslog_ident.as_str()),
        (Facility::Local3, "pgbouncer")
    );
    assert_eq!(process.login_notify_message, "moved; see 'wiki'");
    let names = |all: &[crate::types::Name]| all.join(" ");
    assert_eq!(names(&process.track_extra_parameters), "search_path IntervalStyle");
    assert_eq!(names(&process.ignore_startup_parameters), "extra_float_digits options");
    assert_eq!((process.dns_max_ttl, process.dns_nxdomain_ttl), (seconds(15), seconds(0)));
    assert_eq!(process.dns_zone_check_period, seconds(7));
    assert!(process.resolv_conf.as_ref().is_some_and(|path| path.ends_with("more")));
    assert_eq!((process.autodb_idle_timeout, process.pool_idle_timeout), (None, seconds(60)));
    let pool = &config.defaults;
    assert_eq!((pool.server_check_query.as_str(), pool.max_packet_size), ("", 65_536));
    assert!(pool.server_fast_close && pool.server_reset_query_always && pool.server_round_robin);
    let database = |name: &str| {
        (config.databases[name].load_balance, config.databases[name].connect_query.clone())
    };
    assert_eq!(database("a"), (LoadBalance::Disable, "select '1'".to_owned()));
    assert_eq!(database("b"), (LoadBalance::RoundRobin, String::new()));
    assert_eq!(config.peers[&1].address, ServerAddress::Unix { folder: "/tmp".into(), port: 6001 });
    assert_eq!(config.peers[&2].pool_size, Some(3));
}
