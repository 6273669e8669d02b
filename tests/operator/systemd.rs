//! systemd's part, played by the test.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use pgusher_testkit::Signal;

use super::stage::{LIMIT, builder, line, text};

/// The next message; its lines.
fn hear(ear: &UnixDatagram) -> Vec<String> {
    let mut bytes = [0; 4096];
    let count = ear.recv(&mut bytes).unwrap();
    String::from_utf8_lossy(&bytes[..count]).lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn systemd_is_told_of_reloads() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let ear = UnixDatagram::bind(&path).unwrap();
    ear.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let line = line("app", "");
    let started = builder("", &line).env("NOTIFY_SOCKET", path.to_str().unwrap());
    let mut pgusher = started.start();
    assert_eq!(hear(&ear), ["READY=1"]);
    pgusher.signal(Signal::HUP);
    let reloading = hear(&ear);
    assert_eq!(reloading[0], "RELOADING=1");
    let time = reloading[1].strip_prefix("MONOTONIC_USEC=").unwrap();
    assert!(time.parse::<u64>().unwrap() > 0);
    assert_eq!(hear(&ear), ["READY=1"]);
    // A file that is no good does not leave systemd waiting.
    pgusher.rewrite_config(&text("nonsense = 1", &line));
    pgusher.signal(Signal::HUP);
    assert_eq!(hear(&ear)[0], "RELOADING=1");
    assert_eq!(hear(&ear), ["READY=1"]);
    pgusher.signal(Signal::TERM);
    assert_eq!(hear(&ear), ["STOPPING=1"]);
    assert!(pgusher.wait_exit(LIMIT).success());
}

/// A shell hands over a socket as systemd does: descriptor 3, and the number of the process.
#[tokio::test]
async fn a_socket_is_taken_over() {
    use std::os::fd::AsFd;
    use std::process::{Command, Stdio};
    let folder = tempfile::tempdir().unwrap();
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    std::fs::write(folder.path().join("userlist.txt"), "\"postgres\" \"\"\n").unwrap();
    let config = text("", &line("app", ""))
        .replace("{port}", "1")
        .replace("{dir}", folder.path().to_str().unwrap());
    let file = folder.path().join("pgbouncer.ini");
    std::fs::write(&file, config).unwrap();
    // Standard input is the one descriptor that a child can be given without unsafe code.
    let mut child = Command::new("sh")
        .args(["-c", "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$0\" \"$1\""])
        .args([super::stage::BINARY, file.to_str().unwrap()])
        .stdin(Stdio::from(listener.as_fd().try_clone_to_owned().unwrap()))
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let login = pgusher_testkit::RawClient::try_login(port, "app", "postgres", "").await;
    let value = match login {
        Ok(mut client) => client.query("select 5").await.value().to_owned(),
        Err(error) => format!("{error:?}"),
    };
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(value, "5");
}

/// The unit that is shipped, with this program in it.
#[test]
fn systemd_has_nothing_to_say_against_the_unit() {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/systemd/pgusher.service");
    let unit = std::fs::read_to_string(shipped).unwrap();
    let unit = unit.replace("/usr/local/bin/pgusher", super::stage::BINARY);
    let verify = |unit: &str| {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pgusher.service");
        std::fs::write(&path, unit).unwrap();
        let mut command = std::process::Command::new("systemd-analyze");
        let output = command.args(["verify", "--man=no"]).arg(path).output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        // Units of the machine itself are no concern of this test.
        said.lines().filter(|line| line.contains("pgusher.service")).collect::<String>()
    };
    assert_eq!(verify(&unit), "");
    let broken = unit.replace("Restart=on-failure", "Restart=sometimes");
    assert!(verify(&broken).contains("sometimes"), "it does look");
}
