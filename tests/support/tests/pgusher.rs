//! Starting and watching the binary, played here by this very test program.

use pgusher_testkit::{Pgusher, PgusherBuilder, Signal, processes, wait_for_blocking};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

/// Plays pgusher: the configuration, given as the last argument, is `port http_port word`.
#[test]
#[ignore = "plays the binary for the other tests"]
fn fake_pgusher() {
    let path = std::env::args().next_back().unwrap();
    let config = std::fs::read_to_string(&path).unwrap();
    let words: Vec<&str> = config.split_whitespace().collect();
    let folder = Path::new(&path).parent().unwrap();
    eprintln!("users: {}", std::fs::read_to_string(folder.join("users.txt")).unwrap_or_default());
    assert_ne!(words[2], "broken", "a bad configuration");
    let listener = TcpListener::bind(format!("127.0.0.1:{}", words[0])).unwrap();
    let http = TcpListener::bind(format!("127.0.0.1:{}", words[1])).unwrap();
    println!("listening for {}", words[2]);
    let (mut page, _) = http.accept().unwrap();
    let mut request = [0; 1024];
    let count = page.read(&mut request).unwrap();
    let first = String::from_utf8_lossy(&request[..count]).lines().next().unwrap().to_owned();
    let again = std::fs::read_to_string(&path).unwrap();
    write!(page, "HTTP/1.1 418 Teapot\r\n\r\n{first}; {again}").unwrap();
    drop((page, listener));
    std::process::exit(7);
}

fn fake(config: &str) -> PgusherBuilder {
    let builder = Pgusher::builder(std::env::current_exe().expect("this test program"), config);
    ["--ignored", "--exact", "--nocapture", "fake_pgusher"]
        .iter()
        .fold(builder, |builder, arg| builder.arg(arg))
}

#[test]
fn starts_talks_and_ends() {
    let mut pgusher = fake("{port} {http_port} first").file("users.txt", "dir={dir}").start();
    pgusher.wait_log("listening for first", LIMIT);
    pgusher.wait_log(&format!("users: dir={}", pgusher.dir().display()), LIMIT);
    assert_eq!(
        pgusher.url("db", "me", "pw"),
        format!("postgres://me:pw@127.0.0.1:{}/db", pgusher.port())
    );
    assert!(processes::is_alive(pgusher.pid()));
    pgusher.rewrite_config("second {port}");
    let (status, body) = pgusher.http_get("/metrics");
    assert_eq!((status, body), (418, format!("GET /metrics HTTP/1.1; second {}", pgusher.port())));
    assert_eq!(pgusher.wait_exit(LIMIT).code(), Some(7));
}

#[test]
fn signals_reach_it_and_dropping_it_leaves_nothing() {
    let mut pgusher = fake("{port} {http_port} x").start();
    pgusher.signal(Signal::TERM);
    assert_eq!(pgusher.wait_exit(LIMIT).code(), None);
    let pgusher = fake("{port} {http_port} x").start();
    let (pid, folder) = (pgusher.pid(), pgusher.dir().to_owned());
    drop(pgusher);
    assert!(!processes::is_alive(pid));
    assert!(!folder.exists());
}

#[test]
fn a_failed_start_shows_its_words() {
    let exited = fake("{port} {http_port} broken").run_to_exit(LIMIT);
    assert!(!exited.status.success());
    assert!(exited.log.contains("a bad configuration"), "{}", exited.log);
    let panic = std::panic::catch_unwind(|| fake("{port} {http_port} broken").start()).unwrap_err();
    let words = panic.downcast_ref::<String>().unwrap();
    assert!(words.contains("a bad configuration"), "{words}");
}

/// Starts a pgusher and waits to be killed with it.
#[test]
#[ignore = "helper of a_killed_test_process_takes_pgusher_along"]
fn helper_that_waits_to_be_killed() {
    let pgusher = fake("{port} {http_port} x").start();
    println!("pid={} ", pgusher.pid());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_test_process_takes_pgusher_along() {
    use std::io::{BufRead, BufReader};
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "helper_that_waits_to_be_killed"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let pid = lines
        .find_map(|line| line.unwrap().split_once("pid=").map(|(_, pid)| pid.trim().to_owned()));
    let pid: u32 = pid.expect("the helper says its pid").parse().unwrap();
    assert!(processes::is_alive(pid));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(wait_for_blocking(LIMIT, || !processes::is_alive(pid)));
}
