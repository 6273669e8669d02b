//! Moving in from PgBouncer: its file, its command line, its log.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use pgusher_testkit::{Cluster, Pgusher, RawClient, Signal, wait_for_blocking};

const BINARY: &str = env!("CARGO_BIN_EXE_pgusher");
const LIMIT: Duration = Duration::from_secs(30);
const PASSWORD: &str = "secret";

/// A file as an operator has it, with `more` in `[pgbouncer]` and `databases` as lines of theirs.
fn ini(more: &str, databases: &str) -> String {
    format!(
        ";; as it was\n[databases]\n{databases}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n\
         listen_port = {{port}}\nunix_socket_dir =\nauth_type = md5\nauth_file = {{dir}}/userlist.txt\n\
         admin_users = admin\nignore_startup_parameters = extra_float_digits\n{more}\n"
    )
}

fn database(name: &str) -> String {
    let port = Cluster::shared().port();
    format!("{name} = host=127.0.0.1 port={port} dbname=postgres user=postgres")
}

/// The text as the kit's files need it: with the folder's path in it.
fn start(folder: &Path, text: &str) -> Pgusher {
    let users = folder.join("userlist.txt");
    std::fs::write(&users, format!("\"app\" \"{PASSWORD}\"\n\"admin\" \"{PASSWORD}\"\n")).unwrap();
    Pgusher::builder(BINARY, &in_folder(folder, text)).config_name("pgbouncer.ini").start()
}

fn in_folder(folder: &Path, text: &str) -> String {
    text.replace("{dir}", &folder.display().to_string())
}

async fn login(pgusher: &Pgusher, database: &str, user: &str) -> RawClient {
    let login = RawClient::try_login(pgusher.port(), database, user, PASSWORD).await;
    let mut client = login.unwrap_or_else(|error| panic!("{error:?}\n{}", pgusher.log()));
    client.set_time_limit(LIMIT);
    client
}

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

#[tokio::test]
async fn an_ini_serves_and_logs_as_pgbouncer_does() {
    let folder = tempfile::tempdir().unwrap();
    let pgusher = start(folder.path(), &ini("stats_period = 1\npkt_buf = 4096", &database("app")));
    let mut client = login(&pgusher, "app", "app").await;
    assert_eq!(client.query("select current_user").await.value(), "postgres");
    drop(client);
    pgusher.wait_log("closing because: ", LIMIT);
    pgusher.wait_log(" xacts/s, ", LIMIT);
    let log = pgusher.log();
    let line = |part: &str| {
        let found = log.lines().find(|line| line.contains(part));
        found.unwrap_or_else(|| panic!("no {part}:\n{log}")).to_owned()
    };
    assert!(line("accepted without effect: pkt_buf").contains("] WARNING "));
    let came = line("login attempt: db=app user=app tls=no replication=no");
    let head = Line::new(&came);
    assert_eq!(head.level, "LOG");
    assert!(
        head.socket.starts_with("C-") && head.socket.contains(": app/app@127.0.0.1:"),
        "{came}"
    );
    let server = line("new connection to server (from 127.0.0.1:");
    assert_eq!(Line::new(&server).level, "LOG");
    assert!(server.contains(&format!("@127.0.0.1:{} new", Cluster::shared().port())), "{server}");
    assert!(line("closing because: ").ends_with("s)"));
    assert!(line("process up: pgusher ").contains(" UTC ["));
}

/// The parts of a line: `2026-07-14 09:30:00.123 UTC [42] LOG C-7: db/user@10.0.0.1:5000 message`.
struct Line {
    level: String,
    socket: String,
}

impl Line {
    fn new(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!((words[0].len(), words[1].len(), words[2]), (10, 12, "UTC"), "{line}");
        assert!(words[3].starts_with('[') && words[3].ends_with(']'), "{line}");
        Line { level: words[4].to_owned(), socket: words[5..7].join(" ") }
    }
}

/// What PgBouncer shrugs off is no reason not to start.
#[tokio::test]
async fn odd_values_are_taken_as_pgbouncer_takes_them() {
    let folder = tempfile::tempdir().unwrap();
    let odd = "  reserve_pool_size\t=  -3  \nmax_db_connections = 2147483647\nlisten_backlog = 0\n\
               stats_users = ,watch,, other,\nauth_hba_file = /nonexistent\n\
               client_tls_protocols = tlsv1.0,tlsv1.1,tlsv1.2\nclient_tls_ciphers = fast\n\
               query_timeout = 1e2\nlog_stats = 2\nserver_check_query = select '%d' ; 100%\n\
               [users] app=max_user_connections=-1";
    let databases = format!("{}\nplain =\nfar = host=/run/far", database("app"));
    let pgusher = start(folder.path(), &ini(odd, &databases));
    let mut client = login(&pgusher, "app", "app").await;
    assert_eq!(client.query("select 1").await.value(), "1");
    let mut console = login(&pgusher, "pgbouncer", "admin").await;
    for (key, value) in [
        ("reserve_pool_size", "-3"),
        ("max_db_connections", "2147483647"),
        ("listen_backlog", "0"),
        ("stats_users", ",watch,, other,"),
        ("query_timeout", "100"),
        ("log_stats", "2"),
        ("server_check_query", "select '%d' ; 100%"),
    ] {
        assert_eq!(setting(&mut console, key).await, value, "{key}");
    }
    let databases = console.query("SHOW DATABASES").await.rows;
    let host =
        |name| databases.iter().find(|row| row[0].as_deref() == Some(name)).unwrap()[1].as_deref();
    assert_eq!((host("plain"), host("far")), (None, Some("/run/far")));
}

#[tokio::test]
async fn a_reload_is_all_or_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let old = ini("query_wait_timeout = 7", &database("app"));
    let pgusher = start(folder.path(), &old);
    let mut console = login(&pgusher, "pgbouncer", "admin").await;
    let bad = format!("{old}no_such_key = 1\n").replace("app = ", "other = ");
    pgusher.rewrite_config(&in_folder(folder.path(), &bad));
    let refused = console.query("RELOAD").await;
    let error = refused.error.as_ref().unwrap();
    assert_eq!(error.code(), "F0000");
    assert!(format!("{error:?}").contains("unknown parameter: no_such_key"), "{error:?}");
    pgusher.wait_log("unknown parameter: no_such_key", LIMIT);
    assert_eq!(setting(&mut console, "query_wait_timeout").await, "7");
    login(&pgusher, "app", "app").await.query("select 1").await.value();
    let new = ini("", &format!("{}\n{}", database("app"), database("second")));
    pgusher.rewrite_config(&in_folder(folder.path(), &new));
    assert!(console.query("RELOAD").await.error.is_none());
    assert_eq!(setting(&mut console, "query_wait_timeout").await, "120", "the default is back");
    assert_eq!(login(&pgusher, "second", "app").await.query("select 1").await.value(), "1");
}

async fn setting(console: &mut RawClient, key: &str) -> String {
    let rows = console.query("SHOW CONFIG").await.rows;
    let row = rows.iter().find(|row| row[0].as_deref() == Some(key));
    row.unwrap_or_else(|| panic!("no {key}"))[1].clone().unwrap()
}

#[test]
fn an_import_is_a_pool_toml_that_is_good() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("pgbouncer.ini"), folder.path().join("pool.toml"));
    std::fs::write(folder.path().join("userlist.txt"), "").unwrap();
    let text =
        ini("pkt_buf = 4096\ndns_zone_check_period = 5", "app = host=db").replace("{port}", "6543");
    std::fs::write(&from, in_folder(folder.path(), &text)).unwrap();
    let imported = run(&["import", from.to_str().unwrap()]);
    assert!(imported.status.success(), "{imported:?}");
    let toml = String::from_utf8(imported.stdout).unwrap();
    assert!(toml.contains("\n[databases.app]\nhost = [\"db\"]\n"), "{toml}");
    assert!(toml.contains("\nlisten_port = 6543\n"), "{toml}");
    let report = String::from_utf8(imported.stderr).unwrap();
    assert!(toml.contains("\ndns_zone_check_period = \"5s\"\n"), "{toml}");
    assert!(report.contains("`pkt_buf` has no effect: "), "{report}");
    std::fs::write(&to, toml).unwrap();
    let checked = run(&["check", to.to_str().unwrap()]);
    assert!(checked.status.success(), "{checked:?}");
    std::fs::write(&from, "[pgbouncer]\nfoo = 1\n").unwrap();
    let refused = run(&["import", from.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("pgbouncer.ini:2:1: unknown parameter")
    );
}

#[test]
fn a_daemon_has_a_pidfile_and_a_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("userlist.txt"), "").unwrap();
    let text = ini("pidfile = {dir}/a.pid\nlogfile = {dir}/a.log", "").replace("{port}", "0");
    std::fs::write(file("a.ini"), in_folder(folder.path(), &text)).unwrap();
    let started = run(&["-d", "-v", file("a.ini").to_str().unwrap()]);
    assert!(started.status.success(), "{started:?}");
    let log = || std::fs::read_to_string(file("a.log")).unwrap_or_default();
    assert!(wait_for_blocking(LIMIT, || log().contains("process up: pgusher")), "{}", log());
    let pid: i32 = std::fs::read_to_string(file("a.pid")).unwrap().trim().parse().unwrap();
    let again = run(&["-q", file("a.ini").to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("another instance running?"));
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, Signal::TERM).unwrap();
    assert!(wait_for_blocking(LIMIT, || !file("a.pid").exists()), "{}", log());
}

#[test]
fn the_command_line_is_pgbouncers() {
    let folder = tempfile::tempdir().unwrap();
    let link = folder.path().join("pgbouncer");
    std::os::unix::fs::symlink(BINARY, &link).unwrap();
    let called = |arguments: &[&str]| Command::new(&link).args(arguments).output().unwrap();
    assert!(called(&["-V"]).status.success());
    let help = called(&["-h"]);
    assert!(help.status.success());
    for option in ["--daemon", "--quiet", "--reboot", "--user", "--verbose", "--version", "--help"]
    {
        assert!(String::from_utf8_lossy(&help.stdout).contains(option), "{option}");
    }
    assert_eq!(called(&["--no-such-option"]).status.code(), Some(1));
    assert_eq!(called(&["-q"]).status.code(), Some(1), "there is no file");
    assert_eq!(called(&["/no/such/file.ini"]).status.code(), Some(1));
    std::fs::write(folder.path().join("a.ini"), "[pgbouncer]\nlisten_addr = 127.0.0.1\n").unwrap();
    let file = folder.path().join("a.ini");
    let stranger = called(&["-u", "no such user", file.to_str().unwrap()]);
    assert_eq!(stranger.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&stranger.stderr).contains("there is no such user"));
    let no_pidfile = called(&["-d", file.to_str().unwrap()]);
    assert!(
        String::from_utf8_lossy(&no_pidfile.stderr).contains("daemon needs pidfile configured")
    );
}
