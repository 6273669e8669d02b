//! Many clients, and PostgreSQL's own benchmark.

use std::process::Command;

use pgusher_testkit::{Signal, processes};

use crate::stage::{LIMIT, Stage, login, until};

fn pgbench(stage: &Stage, port: u16, arguments: &[&str]) -> String {
    let output = Command::new(stage.cluster.bin("pgbench"))
        .args(["-h", "127.0.0.1", "-U", "postgres", "-p", &port.to_string()])
        .args(arguments)
        .arg(&stage.database)
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "pgbench {arguments:?}: {words}\n{}", stage.pgusher.log());
    words
}

#[test]
fn pgbench_runs_in_every_mode_and_the_books_balance() {
    let stage = Stage::new("load_pgbench", "pool_size = 4");
    stage.cluster.fill(&stage.database, stage.cluster.superuser(), 1);
    // One thread for each client: pgbench waits for a Prepare with its whole thread, transactions of others included.
    for mode in ["simple", "extended", "prepared"] {
        for script in [&["-S"][..], &[]] {
            let arguments =
                [&["-n", "-c", "12", "-j", "12", "-t", "50", "-M", mode], script].concat();
            let words = pgbench(&stage, stage.pgusher.port(), &arguments);
            assert!(words.contains("actually processed: 600/600"), "{words}");
            assert!(words.contains("failed transactions: 0 "), "{words}");
        }
    }
    let sums = "select (select count(*) from pgbench_history), \
                (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history), \
                (select sum(bbalance) from pgbench_branches) = (select sum(delta) from pgbench_history), \
                (select sum(tbalance) from pgbench_tellers) = (select sum(delta) from pgbench_history)";
    assert_eq!(stage.cluster.psql_in(&stage.database, sums), "1800|t|t|t");
}

#[tokio::test]
async fn a_thousand_clients_come_and_go_and_nothing_is_left() {
    rlimit::increase_nofile_limit(8192).unwrap();
    let mut stage = Stage::new("load_thousand", "pool_size = 5");
    let fds = processes::open_fds(stage.pgusher.pid()).unwrap();
    let mut clients = Vec::new();
    for _ in 0..1000 {
        clients.push(login(&stage.pgusher, &stage.database).await);
    }
    let mut tasks = tokio::task::JoinSet::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        tasks.spawn(async move {
            let result = client.query(&format!("select {number}")).await;
            assert_eq!(result.value(), number.to_string());
            // Half of them say goodbye, half just go.
            if number % 2 == 0 {
                client.terminate().await;
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.unwrap();
    }
    let mut eye = stage.eye().await;
    let servers = eye.count().await;
    assert!((1..=5).contains(&servers), "{servers} servers");
    let pid = stage.pgusher.pid();
    until("all sockets of clients are closed", || {
        processes::open_fds(pid).is_some_and(|now| now <= fds + servers)
    })
    .await;
    until("each departure is logged", || {
        stage.pgusher.log().matches("client disconnected").count() == 1000
    })
    .await;
    // Nobody is counted any more: there is nothing to wait for.
    stage.pgusher.signal(Signal::TERM);
    assert!(stage.pgusher.wait_exit(LIMIT).success());
    assert!(
        stage.pgusher.log().contains("draining: no new clients, transactions finish clients=0")
    );
    eye.expect(0).await;
}
