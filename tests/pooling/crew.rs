//! Workers by need: clients move from one to another between their transactions, and do not notice.

use pgusher_testkit::{RawClient, frontend};

use crate::stage::{LIMIT, Stage, login, until};

const CLIENTS: usize = 8;

/// A client with a session of its own: a parameter, and a prepared statement.
struct Guest {
    client: RawClient,
    number: usize,
}

impl Guest {
    async fn arrive(stage: &Stage, number: usize) -> Self {
        let mut client = login(&stage.pgusher, &stage.database).await;
        assert_eq!(client.query(&format!("set work_mem = '{}MB'", 10 + number)).await.error, None);
        let sql = format!("select $1::text || '-{number}'");
        client.send(&[frontend::parse("mine", &sql, &[]), frontend::sync()].concat()).await;
        client.read_ready().await;
        Guest { client, number }
    }

    /// Everything that is its own is there, in several requests and in a pipeline.
    async fn check(&mut self) {
        let number = self.number;
        assert_eq!(self.client.query("show work_mem").await.value(), format!("{}MB", 10 + number));
        let ask = |value: &str| {
            let bind = frontend::bind("", "mine", &[Some(value)]);
            [bind, frontend::execute("", 0), frontend::sync()].concat()
        };
        self.client.send(&[ask("a"), ask("b")].concat()).await;
        for value in ["a", "b"] {
            assert_eq!(self.client.read_result().await.value(), format!("{value}-{number}"));
        }
        self.client.query("begin").await;
        let pid = self.client.query("select pg_backend_pid()").await.value().to_owned();
        assert_eq!(self.client.query("select pg_backend_pid()").await.value(), pid);
        self.client.query("commit").await;
    }
}

fn count(log: &str, what: &str) -> usize {
    log.matches(what).count()
}

/// They spread while they are busy, and gather when they are not. What full means is set so low that a slow machine
/// fills a worker, too.
#[tokio::test]
async fn clients_spread_and_gather_and_keep_what_is_theirs() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1) {
        println!("skipped: with one processor there is one worker");
        return;
    }
    let stage =
        Stage::with("crew", "worker_full = 1\nadmin_users = [\"postgres\"]", "pool_size = 3", "");
    let mut guests = Vec::new();
    for number in 0..CLIENTS {
        guests.push(Guest::arrive(&stage, number).await);
    }
    let deadline = tokio::time::Instant::now() + LIMIT;
    while count(&stage.pgusher.log(), "client moved") < CLIENTS / 4 {
        assert!(tokio::time::Instant::now() < deadline, "nobody moved: {}", stage.pgusher.log());
        for guest in &mut guests {
            guest.check().await;
        }
    }
    until("they gather", || stage.pgusher.log().contains("before=2 now=1")).await;
    let moved = count(&stage.pgusher.log(), "client moved");
    for guest in &mut guests {
        guest.check().await;
    }
    // Who was parked with the worker that went out of service goes when it asks for something.
    assert!(count(&stage.pgusher.log(), "client moved") > moved, "{}", stage.pgusher.log());
    let mut admin = RawClient::login(stage.pgusher.port(), "pgusher", "postgres", "").await;
    let clients = admin.query("show clients").await;
    assert_eq!(clients.rows.len(), CLIENTS, "{clients:?}");
}

/// Beginning with everybody asking at once, ten times: whoever is on the way between two workers loses nothing.
#[tokio::test]
async fn many_clients_move_while_they_ask() {
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() == 1) {
        println!("skipped: with one processor there is one worker");
        return;
    }
    let stage = Stage::with("crew_many", "worker_full = 1", "pool_size = 4", "");
    let mut tasks = tokio::task::JoinSet::new();
    let over = tokio::time::Instant::now() + std::time::Duration::from_secs(8);
    for number in 0..40 {
        let mut guest = Guest::arrive(&stage, number).await;
        tasks.spawn(async move {
            while tokio::time::Instant::now() < over {
                guest.check().await;
            }
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert!(count(&stage.pgusher.log(), "client moved") > 0, "{}", stage.pgusher.log());
}
