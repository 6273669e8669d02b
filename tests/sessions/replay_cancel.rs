//! A cancel request that comes while a client's session is being restored on another server.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pgusher_testkit::{
    FakeConn, FakeServer, Pgusher, QueryResult, RawClient, TRUSTING, frontend, wait_for,
};
use tokio::sync::watch;

const KEY: &[u8] = b"keys";
const PID: u32 = 7;
const PATIENCE: Duration = Duration::from_secs(60);

/// What the test tells the server, and learns of it.
#[derive(Clone)]
struct Script {
    /// Whether replays are answered.
    answers: watch::Receiver<bool>,
    /// How many replays have come.
    replays: Arc<AtomicUsize>,
    /// What strikes the next one.
    fate: Arc<Mutex<Option<Fate>>>,
}

/// The code of an error, after which the connection is closed.
type Fate = &'static str;

/// Holds answers to replays back until it is told. A cancel request while one is open fails it, as PostgreSQL would;
/// later it ends the sleep.
async fn serve(mut conn: FakeConn, mut script: Script) {
    conn.login_trust(&[("server_version", "15.0"), ("client_encoding", "UTF8")], PID, KEY).await;
    while let Some(message) = conn.recv().await {
        if message.tag != b'Q' {
            continue;
        }
        let sql = message.texts().concat();
        if sql.contains("set_config") || sql.contains("RESET") {
            script.replays.fetch_add(1, Ordering::SeqCst);
            let fate = script.fate.lock().expect("the fate").take();
            if let Some(code) = fate {
                conn.error("FATAL", code, "struck").await;
                return;
            }
            let struck = tokio::select! {
                biased;
                () = conn.cancelled(PID, KEY) => true,
                open = async { script.answers.wait_for(|&answers| answers).await.is_ok() } => !open,
            };
            if struck {
                conn.error("ERROR", "57014", "the replay was struck").await;
            } else {
                conn.complete("SELECT 1").await;
            }
        } else if sql.contains("sleep") {
            // A server that has not begun with a query yet does not hear of it.
            for _ in 0..=usize::from(sql.contains("late")) {
                conn.cancelled(PID, KEY).await;
            }
            conn.error("ERROR", "57014", "canceling statement due to user request").await;
        } else {
            conn.complete(if sql.starts_with("set") { "SET" } else { "SELECT 0" }).await;
        }
        conn.ready(b'I').await;
    }
}

struct Stage {
    server: FakeServer,
    pgusher: Pgusher,
    answers: watch::Sender<bool>,
    script: Script,
}

impl Stage {
    async fn set(settings: &str) -> Self {
        let (answers, watched) = watch::channel(true);
        let script = Script { answers: watched, replays: Arc::default(), fate: Arc::default() };
        let played = script.clone();
        let server = FakeServer::start(move |conn| serve(conn, played.clone())).await;
        let config = format!(
            "{TRUSTING}admin_users = [\"admin\"]\n[defaults]\naudit_sample = 0\n\
             [databases.app]\nhost = \"127.0.0.1\"\nport = {}\npool_size = 1\n{settings}\n[users.app]\n",
            server.port()
        );
        let pgusher = Pgusher::start(Path::new(env!("CARGO_BIN_EXE_pgusher")), &config);
        Stage { server, pgusher, answers, script }
    }

    /// A client with a parameter of its own, which another client's has taken the place of on the server.
    async fn client(&self) -> RawClient {
        let mut client = RawClient::login(self.pgusher.port(), "app", "app", "").await;
        assert_eq!(client.query("set lock_timeout = '7s'").await.error, None);
        let mut other = RawClient::login(self.pgusher.port(), "app", "app", "").await;
        assert_eq!(other.query("select 1").await.error, None);
        client
    }

    /// Has the client ask for something, and waits until its session is being restored for that.
    async fn begin(&self, client: &mut RawClient, request: &[u8]) {
        self.answers.send_replace(false);
        let before = self.script.replays.load(Ordering::SeqCst);
        client.send(request).await;
        let begun = || self.script.replays.load(Ordering::SeqCst) > before;
        assert!(wait_for(PATIENCE, begun).await, "no replay");
    }
}

/// The client's sleep ends as cancelled, and nothing else does: both go on.
async fn goes_on(stage: &Stage, client: &mut RawClient) {
    let cancelled = client.read_result().await;
    let error = cancelled.unwrap_error();
    assert_eq!(error.message(), "canceling statement due to user request");
    assert_eq!((error.code(), cancelled.status), ("57014", b'I'));
    assert!(!stage.server.cancels().is_empty());
    assert_eq!(client.query("select 2").await.error, None);
    assert_eq!(stage.server.connections(), 1, "the server was kept");
}

#[tokio::test]
async fn a_request_is_kept_for_the_clients_own_statement() {
    let stage = Stage::set("").await;
    let mut client = stage.client().await;
    stage.begin(&mut client, &frontend::query("select sleep()")).await;
    let (port, pid, key) = (stage.pgusher.port(), client.pid(), client.key().to_vec());
    let cancel = tokio::spawn(async move { RawClient::cancel(port, pid, &key).await });
    let mut console = RawClient::login(port, "pgusher", "admin", "").await;
    let is_kept = |all: &QueryResult| all.column("cl_active_cancel_req").contains(&"1");
    console.query_until("show pools", PATIENCE, is_kept).await;
    assert_eq!(stage.server.cancels(), []);
    assert!(!cancel.is_finished());
    stage.answers.send_replace(true);
    goes_on(&stage, &mut client).await;
    cancel.await.expect("the request was taken");
}

#[tokio::test]
async fn a_query_timeout_waits_for_it_too() {
    let stage = Stage::set("query_timeout = \"200ms\"").await;
    let mut client = stage.client().await;
    stage.begin(&mut client, &frontend::query("select sleep()")).await;
    // What says that the server is asked to cancel.
    assert_eq!(client.recv().await.tag, b'N');
    assert_eq!(stage.server.cancels(), []);
    stage.answers.send_replace(true);
    goes_on(&stage, &mut client).await;
}

/// A client that leaves in the middle of it leaves nothing behind.
#[tokio::test]
async fn a_client_that_leaves_meanwhile_lets_the_request_go() {
    let stage = Stage::set("").await;
    let mut client = stage.client().await;
    stage.begin(&mut client, &frontend::query("select sleep()")).await;
    client.reset();
    stage.answers.send_replace(true);
    let mut other = RawClient::login(stage.pgusher.port(), "app", "app", "").await;
    assert_eq!(other.query("select 3").await.error, None);
}

/// A timeout of the client before may strike it, or an administrator.
#[tokio::test]
async fn a_replay_that_is_struck_costs_the_server_and_no_session() {
    let stage = Stage::set("").await;
    let mut client = stage.client().await;
    let own = frontend::query("select own").to_vec();
    let batch = [frontend::parse("", "select own", &[]), frontend::sync()].concat();
    // What is outstanding, how often it fails, and what ends it.
    for (round, (request, failures, rest)) in [
        (own.clone(), 1, Vec::new()),
        ([own.clone(), own.clone()].concat(), 2, Vec::new()),
        (batch.clone(), 1, Vec::new()),
        ([&batch[..], &own, &batch].concat(), 3, Vec::new()),
        (
            [frontend::parse("", "select own", &[]), frontend::flush()].concat(),
            1,
            [frontend::bind("", "", &[]), frontend::execute("", 0), frontend::sync()].concat(),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let mut other = RawClient::login(stage.pgusher.port(), "app", "app", "").await;
        assert_eq!(other.query("select 1").await.error, None, "round {round}");
        *stage.script.fate.lock().expect("the fate") = Some("57014");
        client.send(&request).await;
        for failure in 0..failures {
            if !rest.is_empty() {
                assert_eq!(client.recv().await.error().code(), "57014", "round {round}");
                client.send(&rest).await;
                assert_eq!(client.read_ready().await.len(), 1, "round {round}");
                continue;
            }
            let result = client.read_result().await;
            let error = result.unwrap_error();
            assert_eq!((error.code(), error.severity()), ("57014", "ERROR"), "{round} {failure}");
            assert_eq!(result.status, b'I');
        }
        assert_eq!(client.query("select 2").await.error, None, "round {round}");
        let before = stage.script.replays.load(Ordering::SeqCst);
        assert_eq!(other.query("select 1").await.error, None);
        assert_eq!(client.query("select 2").await.error, None);
        assert_eq!(stage.script.replays.load(Ordering::SeqCst), before + 2, "its parameters are");
    }
}

/// PostgreSQL forgets a request that finds it idle, which it is until it has begun with what was sent to it.
#[tokio::test]
async fn a_request_that_comes_before_the_server_has_begun_is_repeated() {
    let stage = Stage::set("").await;
    let mut client = RawClient::login(stage.pgusher.port(), "app", "app", "").await;
    client.send(&frontend::query("select late sleep()")).await;
    let mut console = RawClient::login(stage.pgusher.port(), "pgusher", "admin", "").await;
    let is_served = |all: &QueryResult| {
        let mut clients = all.column("database").into_iter().zip(all.column("state"));
        clients.any(|client| client == ("app", "active"))
    };
    console.query_until("show clients", PATIENCE, is_served).await;
    RawClient::cancel(stage.pgusher.port(), client.pid(), client.key()).await;
    assert_eq!(client.read_result().await.unwrap_error().code(), "57014");
    assert!(stage.server.cancels().len() > 1);
    assert_eq!(client.query("select 2").await.error, None);
}
