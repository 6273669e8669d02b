//! Classes of clients: who waits in which queue, how long a queue may be, and what is said of a wait.

use pgusher_testkit::{FakeServer, QueryResult, RawClient, frontend};
use tokio::task::JoinSet;

use crate::stage::{LIMIT, Stage, database, trusting, until};

const QUIET: &str = "query_wait_notify = \"off\"\nquery_wait_timeout = \"60s\"\n";

/// Clients of the stage with this application_name.
async fn named(stage: &Stage, name: &str) -> RawClient {
    let mut client = stage.client().await;
    client.query(&format!("set application_name = '{name}'")).await;
    client
}

fn waiting(stage: &Stage) -> usize {
    let (_, page) = stage.pgusher.http_get("/metrics");
    let line = page.lines().find(|line| line.starts_with("pgusher_pool_queue_length{"));
    line.and_then(|line| line.rsplit(' ').next()?.parse().ok()).unwrap_or_default()
}

fn shed(stage: &Stage) -> usize {
    let (_, page) = stage.pgusher.http_get("/metrics");
    let is_it = |line: &&str| {
        line.starts_with("pgusher_pool_wait_seconds_count{") && line.contains("outcome=\"shed\"")
    };
    let line = page.lines().find(is_it).unwrap_or_default();
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).unwrap_or_default()
}

/// A stage with `[http]` and these classes.
fn stage(name: &str, settings: &str, classes: &str) -> Stage {
    let http = format!("[http]\nlisten = \"127.0.0.1:{{http_port}}\"\n{classes}");
    Stage::with(name, "", &format!("{QUIET}{settings}"), &http)
}

fn is_shed(result: &QueryResult, setting: &str) -> bool {
    let error = result.unwrap_error();
    assert_eq!((error.severity(), error.code()), ("ERROR", "53300"), "{error:?}");
    assert_eq!(result.status, b'I');
    error.message() == format!("the queue for a server connection is too long ({setting})")
}

#[tokio::test]
async fn a_class_at_its_limit_waits_and_the_others_do_not() {
    let batch = "[classes.batch]\napplication_names = [\"batch*\"]\nmax_servers = 1\n";
    let stage = stage("class_limit", "pool_size = 2", batch);
    let mut first = named(&stage, "batch one").await;
    let mut second = named(&stage, "batch two").await;
    let mut web = named(&stage, "web").await;
    first.query("begin").await;
    second.send(&frontend::query("select 'second'")).await;
    until("the second waits", || waiting(&stage) == 1).await;
    assert_eq!(web.query("select 'free'").await.value(), "free", "there is a free server");
    // Who changes its class by a SET is judged by what it is now.
    web.query("set application_name = 'batch three'").await;
    web.send(&frontend::query("select 'third'")).await;
    until("the third waits", || waiting(&stage) == 2).await;
    first.query("commit").await;
    assert_eq!(second.read_result().await.value(), "second");
    assert_eq!(web.read_result().await.value(), "third");
}

#[tokio::test]
async fn a_higher_priority_is_served_first_and_each_class_in_the_order_it_came() {
    let web = "[classes.web]\nusers = [\"postgres\"]\ntags = [\"web\"]\npriority = 1\n";
    let stage = stage("class_order", "pool_size = 1", web);
    stage.cluster.psql_in("class_order", "create table turns (turn serial, name text)");
    let mut waiters = Vec::new();
    for _ in 0..3 {
        for tag in ["batch", "web"] {
            let mut waiter = stage.client().await;
            waiter.query(&format!("set pgusher.class = '{tag}'")).await;
            waiters.push((waiter, tag));
        }
    }
    let mut holder = stage.client().await;
    holder.query("begin").await;
    for (number, (waiter, tag)) in waiters.iter_mut().enumerate() {
        let sql = format!("insert into turns (name) values ('{tag} {number}')");
        waiter.send(&frontend::query(&sql)).await;
        until("it waits", || waiting(&stage) == number + 1).await;
    }
    holder.query("commit").await;
    for (waiter, _) in &mut waiters {
        assert_eq!(waiter.read_result().await.tags, ["INSERT 0 1"]);
    }
    let order = "select string_agg(name, ', ' order by turn) from turns";
    let order = stage.cluster.psql_in("class_order", order);
    assert_eq!(order, "web 1, web 3, web 5, batch 0, batch 2, batch 4");
}

#[tokio::test]
async fn one_more_than_may_wait_is_refused_at_once_and_stays() {
    let stage = stage("class_full", "pool_size = 1\nmax_queue = 1", "");
    let (mut holder, mut waiter) = (stage.client().await, stage.client().await);
    let mut third = stage.client().await;
    holder.query("begin").await;
    waiter.send(&frontend::query("select 'waited'")).await;
    until("one waits", || waiting(&stage) == 1).await;
    let refused = third.query("select 'refused'").await;
    assert!(is_shed(&refused, "max_queue"), "{refused:?}");
    let error = refused.unwrap_error();
    assert!(error.detail().unwrap().starts_with("1 clients are waiting"), "{error:?}");
    assert_eq!(shed(&stage), 1);
    holder.query("commit").await;
    assert_eq!(waiter.read_result().await.value(), "waited");
    assert_eq!(third.query("select 'later'").await.value(), "later");
}

#[tokio::test]
async fn who_would_wait_beyond_the_deadline_is_refused_at_once_and_who_has_as_well() {
    let stage = stage("class_deadline", "pool_size = 1\nqueue_deadline = \"400ms\"", "");
    let mut clients = JoinSet::new();
    for _ in 0..24 {
        let mut client = stage.client().await;
        clients.spawn(async move {
            let mut refused = 0;
            for _ in 0..6 {
                let result = client.query("select pg_sleep(0.05)").await;
                refused +=
                    usize::from(result.error.is_some() && is_shed(&result, "queue_deadline"));
            }
            refused
        });
    }
    let refused: usize = clients.join_all().await.into_iter().sum();
    assert!((1..24 * 6).contains(&refused), "{refused}");
    assert_eq!(shed(&stage), refused);
    let (mut holder, mut late) = (stage.client().await, stage.client().await);
    holder.query("begin").await;
    let error = late.query("select 1").await;
    let error = error.unwrap_error();
    assert_eq!(error.code(), "53300");
    assert!(error.message().contains("(queue_deadline)"), "{error:?}");
    holder.query("rollback").await;
    assert_eq!(late.query("select 1").await.value(), "1");
}

#[tokio::test]
async fn a_long_wait_is_logged_with_its_reason_once_a_second() {
    let stage = stage("class_log", "pool_size = 1\nlog_queue_wait = \"100ms\"", "");
    let mut holder = named(&stage, "nightly").await;
    holder.query("begin").await;
    holder.query("select 'a secret', 42").await;
    let mut waiters = Vec::new();
    for _ in 0..4 {
        let mut waiter = stage.client().await;
        waiter.send(&frontend::query("select 'served'")).await;
        waiters.push(waiter);
    }
    stage.pgusher.wait_log("long wait for a server", LIMIT);
    holder.query("commit").await;
    for waiter in &mut waiters {
        assert_eq!(waiter.read_result().await.value(), "served");
    }
    let log = stage.pgusher.log();
    let lines: Vec<_> =
        log.lines().filter(|line| line.contains("long wait for a server")).collect();
    assert!(lines.len() < 4, "{lines:?}");
    for part in ["nightly", "idle in transaction", "last statement: select ?, ?"] {
        assert!(lines[0].contains(part), "{part}: {}", lines[0]);
    }
    assert!(!log.contains("a secret"), "literals are not logged");
}

#[tokio::test]
async fn classes_change_with_a_reload_and_nobody_loses_a_place() {
    let batch = "[classes.batch]\napplication_names = [\"batch\"]\nmax_servers = 1\n";
    let stage = stage("class_reload", "pool_size = 3", batch);
    let mut holder = named(&stage, "batch").await;
    let mut waiter = named(&stage, "batch").await;
    holder.query("begin").await;
    waiter.send(&frontend::query("select 'served'")).await;
    until("one waits", || waiting(&stage) == 1).await;
    let path = stage.pgusher.dir().join("pgusher.toml");
    let text = std::fs::read_to_string(path).unwrap();
    stage.pgusher.rewrite_config(&text.replace("max_servers = 1", "max_servers = 2"));
    stage.pgusher.signal(pgusher_testkit::Signal::HUP);
    assert_eq!(waiter.read_result().await.value(), "served");
    holder.query("commit").await;
}

/// One column of a table's only row, or of its row `at`.
fn cell<'a>(table: &'a QueryResult, at: usize, column: &str) -> &'a str {
    table.column(column)[at]
}

#[tokio::test]
async fn one_command_shows_who_holds_the_servers_and_one_who_waits() {
    let process = "admin_users = [\"postgres\"]";
    let settings = format!("{QUIET}pool_size = 2");
    let stage = Stage::with("class_show", process, &settings, "[databases.other]\n");
    let mut idle = named(&stage, "nightly").await;
    let mut pinned = named(&stage, "migrations").await;
    let mut waiters = [named(&stage, "web").await, named(&stage, "web").await];
    let mut console = crate::stage::login(&stage.pgusher, "pgusher").await;
    idle.query("begin").await;
    idle.query("select * from pg_class where relname = 'secret' limit 7").await;
    pinned.query("create temp table t (a int)").await;
    for (before, waiter) in waiters.iter_mut().enumerate() {
        waiter.send(&frontend::query("select 'served'")).await;
        let waits =
            async || console.query("show waiters class_show").await.rows.len() == before + 1;
        happens("it waits", waits).await;
    }
    let table = console.query("show blockers class_show").await;
    assert_eq!(table.rows.len(), 2, "{table:?}");
    let row = |name: &str| {
        let is_it = |at: &usize| cell(&table, *at, "application_name") == name;
        (0..2).find(is_it).unwrap_or_else(|| panic!("no {name}: {table:?}"))
    };
    let (nightly, migrations) = (row("nightly"), row("migrations"));
    assert_eq!(cell(&table, nightly, "state"), "idle_in_transaction");
    let statement = "select * from pg_class where relname = ? limit ?";
    assert_eq!(cell(&table, nightly, "statement"), statement);
    assert_eq!(cell(&table, migrations, "state"), "pinned");
    assert_eq!(cell(&table, migrations, "pinned_by"), "temp_object");
    assert_eq!(cell(&table, migrations, "waiting"), "2");
    let table = console.query("show waiters").await;
    let places: Vec<_> = (0..2).map(|at| cell(&table, at, "place")).collect();
    assert_eq!(places, ["1", "2"]);
    assert_eq!(cell(&table, 0, "class"), "default");
    assert!(console.query("show blockers other").await.rows.is_empty());
    idle.query("commit").await;
    for waiter in &mut waiters {
        assert_eq!(waiter.read_result().await.value(), "served");
    }
}

#[tokio::test]
async fn servers_that_are_reset_or_on_their_way_are_shown_as_well() {
    let server = FakeServer::start(|mut conn| async move {
        if conn.index() > 0 {
            return conn.until_gone().await;
        }
        conn.login_trust(&[("server_version", "16.0")], 5000, &[1, 2, 3, 4]).await;
        while let Some(message) = conn.recv().await {
            if message.texts().iter().any(|text| text == "DISCARD ALL") {
                return conn.until_gone().await;
            }
            if message.tag == b'Q' {
                conn.complete("SELECT 0").await;
                conn.ready(b'I').await;
            }
        }
    })
    .await;
    let settings = format!("{QUIET}pool_size = 2\npool_mode = \"session\"");
    let process = "admin_users = [\"postgres\"]";
    let pgusher = trusting(process, &database("app", server.port(), &settings)).start();
    let mut console = crate::stage::login(&pgusher, "pgusher").await;
    let mut first = crate::stage::login(&pgusher, "app").await;
    let mut second = crate::stage::login(&pgusher, "app").await;
    assert_eq!(first.query("select 1").await.error, None);
    first.terminate().await;
    second.send(&frontend::query("select 2")).await;
    let mut states = async || -> Vec<String> {
        let table = console.query("show blockers app").await;
        (0..table.rows.len()).map(|at| cell(&table, at, "state").to_owned()).collect()
    };
    happens("one is reset, one is on its way", async || {
        states().await == ["resetting", "connecting"]
    })
    .await;
}

/// Waits until it does.
async fn happens(what: &str, mut does: impl AsyncFnMut() -> bool) {
    let deadline = std::time::Instant::now() + LIMIT;
    while !does().await {
        assert!(std::time::Instant::now() < deadline, "did not happen: {what}");
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}
