//! The command line: what it prints, and with which status it ends.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use pgusher_testkit::{Pgusher, Signal};

const BINARY: &str = env!("CARGO_BIN_EXE_pgusher");
const LIMIT: Duration = Duration::from_secs(30);
const MINIMAL: &str = "[pgusher]\nlisten_addr = \"127.0.0.1\"\nlisten_port = {port}\nauth_type = \"trust\"\n\
                       [databases.app]\nhost = \"127.0.0.1\"\n";

fn run(arguments: &[&str]) -> Output {
    Command::new(BINARY).args(arguments).output().unwrap()
}

/// Runs `pgusher check` in a folder with these files, on the first of them.
fn check(files: &[(&str, &str)]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    check_in(folder.path(), files[0].0)
}

fn check_in(folder: &Path, name: &str) -> (Option<i32>, String, String) {
    let output = Command::new(BINARY).args(["check", name]).current_dir(folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn version_and_help() {
    let version = run(&["--version"]);
    assert!(version.status.success());
    let expected = format!("pgusher {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&version.stdout), expected);
    for arguments in [&["--help"][..], &["check", "--help"]] {
        let help = run(arguments);
        assert!(help.status.success());
        assert!(String::from_utf8_lossy(&help.stdout).contains("Usage: pgusher"), "{help:?}");
    }
    let nothing = run(&[]);
    assert_eq!(nothing.status.code(), Some(2), "without arguments: the help, as an error");
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("Usage: pgusher"), "{nothing:?}");
    assert_eq!(run(&["--no-such-option"]).status.code(), Some(2));
}

#[test]
fn check_accepts_a_good_file() {
    let good = MINIMAL.replace("{port}", "6432");
    assert_eq!(check(&[("pool.toml", &good)]), (Some(0), "pool.toml: ok\n".into(), String::new()));
}

#[test]
fn check_accepts_the_sample() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");
    let (status, _, mistakes) = check_in(&folder, "pool.toml");
    assert_eq!((status, mistakes.as_str()), (Some(0), ""));
}

#[test]
fn check_reports_every_mistake_with_its_place_and_a_suggestion() {
    let bad = "[pgusher]\nlisten_adr = \"127.0.0.1\"\nauth_type = \"trust\"\n\n\
               [databases.app]\nquery_wait_timeout = 10\n  pool_mode = \"transactions\"\n";
    let (status, out, mistakes) = check(&[("pool.toml", bad)]);
    assert_eq!((status, out.as_str()), (Some(1), ""));
    let lines: Vec<&str> = mistakes.lines().collect();
    assert_eq!(lines.len(), 3, "{mistakes}");
    assert!(lines[0].starts_with("pool.toml:2:1: unknown key `listen_adr`"), "{mistakes}");
    assert!(lines[0].contains("did you mean `listen_addr`?"), "{mistakes}");
    assert!(lines[1].starts_with("pool.toml:6:22: "), "{mistakes}");
    assert!(lines[1].contains("\"10s\""), "says what to write: {mistakes}");
    assert!(lines[2].starts_with("pool.toml:7:15: "), "{mistakes}");
    assert!(lines[2].contains("\"transaction\""), "{mistakes}");
}

#[test]
fn check_names_files_that_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let (status, _, words) = check_in(folder.path(), "absent.toml");
    assert_eq!(status, Some(1));
    assert!(words.contains("absent.toml") && words.contains("No such file"), "{words}");
    let text = MINIMAL
        .replace("{port}", "6432")
        .replace("[databases", "auth_file = \"who.txt\"\n[databases");
    let (status, _, words) = check(&[("pool.toml", &text)]);
    assert_eq!(status, Some(1));
    assert!(words.contains("who.txt") && words.contains("No such file"), "{words}");
    let (status, _, words) = check(&[("pool.toml", &text), ("who.txt", "\"a\" \"b\"\nnonsense\n")]);
    assert_eq!(status, Some(1));
    assert!(words.contains("who.txt:2:1"), "{words}");
    assert!(!words.contains("nonsense"), "no line of a secret file is repeated: {words}");
}

#[test]
fn a_file_that_may_not_be_read_is_an_error_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    // Root may read everything; a folder is unreadable for anybody.
    let text =
        MINIMAL.replace("{port}", "6432").replace("[databases", "auth_file = \"who\"\n[databases");
    std::fs::write(folder.path().join("pool.toml"), text).unwrap();
    std::fs::create_dir(folder.path().join("who")).unwrap();
    let (status, _, words) = check_in(folder.path(), "pool.toml");
    assert_eq!(status, Some(1));
    assert!(words.contains("who"), "{words}");
}

#[test]
fn starting_with_a_bad_file_fails_with_the_same_words() {
    let exited = Pgusher::builder(BINARY, "[pgusher]\nlisten_adr = 1\n").run_to_exit(LIMIT);
    assert_eq!(exited.status.code(), Some(1));
    assert!(exited.log.contains("pgusher.toml:2:1: unknown key `listen_adr`"), "{}", exited.log);
    let text = MINIMAL.replace("[databases", "auth_file = \"who.txt\"\n[databases");
    let exited = Pgusher::builder(BINARY, &text).run_to_exit(LIMIT);
    assert_eq!(exited.status.code(), Some(1));
    assert!(exited.log.contains("who.txt"), "{}", exited.log);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let exited = Pgusher::builder(BINARY, &MINIMAL.replace("{port}", &port)).run_to_exit(LIMIT);
    assert_eq!(exited.status.code(), Some(1));
    let expected = format!("pgusher: cannot listen on 127.0.0.1:{port}: Address already in use");
    assert!(exited.log.contains(&expected), "{}", exited.log);
}

#[test]
fn a_unix_socket_in_use_is_not_taken_away() {
    let config =
        format!("{}\n", MINIMAL.replace("[databases", "unix_socket_dir = \"{dir}\"\n[databases"));
    let first = Pgusher::start(BINARY, &config);
    let (port, folder) = (first.port(), first.dir().display().to_string());
    // The same name in the same folder, and no TCP that could clash.
    let second = config
        .replace("listen_addr = \"127.0.0.1\"\n", "")
        .replace("{port}", &port.to_string())
        .replace("{dir}", &folder);
    let exited = Pgusher::builder(BINARY, &second).run_to_exit(LIMIT);
    assert_eq!(exited.status.code(), Some(1), "{}", exited.log);
    let socket = first.dir().join(format!(".s.PGSQL.{port}"));
    assert!(exited.log.contains(&socket.display().to_string()), "{}", exited.log);
    std::os::unix::net::UnixStream::connect(&socket).unwrap();
}

#[test]
fn json_log_lines_are_json() {
    let config =
        MINIMAL.replace("[databases", "log_format = \"json\"\nlog_level = \"debug\"\n[databases");
    let mut pgusher = Pgusher::start(BINARY, &config);
    pgusher.signal(Signal::HUP);
    pgusher.wait_log("configuration reloaded", LIMIT);
    pgusher.signal(Signal::TERM);
    assert_eq!(pgusher.wait_exit(LIMIT).code(), Some(0));
    let log = pgusher.log();
    let mut messages = Vec::new();
    for line in log.lines() {
        let line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        for key in ["timestamp", "level", "target", "message"] {
            assert!(line[key].is_string(), "no {key} in {line}");
        }
        messages.push(line["message"].as_str().unwrap().to_owned());
    }
    assert!(messages.contains(&"pgusher is ready".to_owned()), "{messages:?}");
    assert!(messages.contains(&"configuration reloaded".to_owned()), "{messages:?}");
}

#[test]
fn settings_come_from_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let text = MINIMAL.replace("{port}", "\"${POOL_PORT}\"");
    std::fs::write(folder.path().join("pool.toml"), text).unwrap();
    let check = |port: Option<&str>| {
        let mut command = Command::new(BINARY);
        command.args(["check", "pool.toml"]).current_dir(folder.path()).env_remove("POOL_PORT");
        port.map(|port| command.env("POOL_PORT", port));
        command.process_group(0).output().unwrap()
    };
    assert!(check(Some("7000")).status.success());
    for bad in [None, Some("many")] {
        let output = check(bad);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            String::from_utf8_lossy(&output.stderr).starts_with("pool.toml:3:15: "),
            "{output:?}"
        );
    }
}
