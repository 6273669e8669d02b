//! The cluster keeps its promises, and leaves nothing behind.

use pgusher_testkit::{Cluster, StopMode, processes, wait_for_blocking};
use std::process::Command;
use std::time::Duration;

#[test]
fn answers_queries_and_survives_restarts() {
    let cluster =
        Cluster::builder().max_connections(17).setting("application_name", "it's").build();
    assert_eq!(cluster.psql("show max_connections"), "17");
    cluster.create_database("Odd name");
    assert_eq!(
        cluster.psql_in("Odd name", "select current_database(); select 1, 2"),
        "Odd name\n1|2"
    );
    assert!(cluster.try_psql("postgres", "select 1/0").unwrap_err().contains("division by zero"));
    for mode in [StopMode::Fast, StopMode::Immediate] {
        let started = cluster.psql("select pg_postmaster_start_time()");
        cluster.restart(mode);
        assert_ne!(cluster.psql("select pg_postmaster_start_time()"), started);
    }
    cluster.stop();
    assert!(cluster.try_psql("postgres", "select 1").is_err());
    cluster.start();
    assert!(cluster.log().contains("ready to accept connections"));
}

#[test]
fn checks_passwords_over_tcp() {
    for method in ["md5", "scram-sha-256"] {
        let cluster = Cluster::builder().auth(method).build();
        cluster.psql("create role alice login password 'secret'");
        let stored = cluster.psql("select rolpassword from pg_authid where rolname = 'alice'");
        assert!(stored.to_lowercase().starts_with(method), "{method}: {stored}");
        let asked = cluster.psql_as("postgres", "alice", "secret", "select current_user");
        assert_eq!(asked.as_deref(), Ok("alice"));
        assert!(cluster.psql_as("postgres", "alice", "wrong", "select 1").is_err());
        assert_eq!(
            cluster.psql_as("postgres", "postgres", "postgres", "select 1").as_deref(),
            Ok("1")
        );
    }
}

#[test]
fn own_hba_lines_come_first() {
    let cluster = Cluster::builder().hba("host all bob all reject").build();
    cluster.psql("create role bob login; create role eve login");
    assert!(cluster.psql_as("postgres", "bob", "", "select 1").unwrap_err().contains("reject"));
    assert!(cluster.psql_as("postgres", "eve", "", "select 1").is_ok());
}

#[test]
fn dropping_it_leaves_nothing() {
    let cluster = Cluster::builder().build();
    let folder = cluster.data_dir().parent().unwrap().to_owned();
    let lock = std::fs::read_to_string(cluster.data_dir().join("postmaster.pid")).unwrap();
    let postmaster: u32 = lock.lines().next().unwrap().parse().unwrap();
    assert!(processes::is_alive(postmaster));
    drop(cluster);
    assert!(!processes::is_alive(postmaster));
    assert!(!folder.exists());
}

#[test]
fn kills_one_backend() {
    let cluster = Cluster::shared();
    assert!(!cluster.kill_backend(i32::MAX as u32));
}

/// The other half of the next test: runs in a process of its own, and is killed there.
#[test]
#[ignore = "helper of a_killed_test_process_leaves_nothing"]
fn helper_that_waits_to_be_killed() {
    let cluster = Cluster::shared();
    println!("folder={}", cluster.data_dir().parent().unwrap().display());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_killed_test_process_leaves_nothing() {
    use std::io::{BufRead, BufReader};
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--ignored", "--exact", "--nocapture", "helper_that_waits_to_be_killed"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines
        .find_map(|line| line.unwrap().split_once("folder=").map(|(_, folder)| folder.to_owned()));
    let folder = std::path::PathBuf::from(line.expect("the helper says its folder"));
    let lock = std::fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    let postmaster: u32 = lock.lines().next().unwrap().parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let tidy = || !folder.exists() && !processes::is_alive(postmaster);
    assert!(wait_for_blocking(Duration::from_secs(30), tidy), "{} remains", folder.display());
}
