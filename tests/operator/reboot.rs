//! `-R`: a second process takes the first one's place, whose clients stay with it until they leave.

use pgusher_testkit::{Pgusher, PgusherBuilder, free_port, wait_for};

use super::stage::{LIMIT, builder, line, login};

/// Processes that share a folder: it has the pidfile and the unix socket.
fn sharing(folder: &std::path::Path, more: &str) -> PgusherBuilder {
    let folder = folder.display();
    // The kit's own line about the unix socket is overridden: the last one counts.
    let parameters = format!("pidfile = {folder}/a.pid\nunix_socket_dir = {folder}\n{more}");
    builder(&parameters, &line("app", ""))
}

fn pid_in(folder: &std::path::Path) -> Option<u32> {
    std::fs::read_to_string(folder.join("a.pid")).ok()?.trim().parse().ok()
}

#[tokio::test]
async fn a_successor_lets_the_clients_of_the_first_finish() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let shared = sharing(folder.path(), "so_reuseport = 1").port(port);
    // Without a process to relieve it starts as usual.
    let mut first = shared.clone().arg("-R").start();
    let mut old = login(&first, "app", "postgres").await;
    assert_eq!(old.query("select 1").await.value(), "1");
    let mut second: Pgusher = shared.arg("-R").start();
    second.wait_log("relieving the process that ran before", LIMIT);
    first.wait_log("got SIGTERM", LIMIT);
    assert!(wait_for(LIMIT, || pid_in(folder.path()) == Some(second.pid())).await);
    assert_eq!(old.query("select 2").await.value(), "2", "its session goes on");
    let socket = || pgusher_testkit::RawClient::connect_unix(folder.path(), port);
    let mut new = socket().await;
    new.startup(0, &[("user", "postgres"), ("database", "app")]).await;
    new.authenticate("postgres", "").await.unwrap();
    assert_eq!(new.query("select 3").await.value(), "3");
    old.terminate().await;
    assert!(first.wait_exit(LIMIT).success());
    assert_eq!(pid_in(folder.path()), Some(second.pid()), "the file is the second one's");
    socket().await;
    new.terminate().await;
    second.signal(pgusher_testkit::Signal::TERM);
    assert!(second.wait_exit(LIMIT).success());
    assert_eq!(pid_in(folder.path()), None);
}

#[tokio::test]
async fn without_a_shared_port_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = sharing(folder.path(), "").start();
    let refused = sharing(folder.path(), "").arg("-R").run_to_exit(LIMIT);
    assert_eq!(refused.status.code(), Some(1));
    assert!(refused.log.contains("-R needs so_reuseport = 1"), "{}", refused.log);
    let nowhere = builder("so_reuseport = 1", "").arg("-R").run_to_exit(LIMIT);
    assert!(nowhere.log.contains("-R needs pidfile"), "{}", nowhere.log);
}
