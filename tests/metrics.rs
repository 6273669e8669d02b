//! The HTTP port of the running binary, and that it says what the console says.

use std::collections::BTreeMap;
use std::time::Duration;

use pgusher_testkit::{Cluster, Pgusher, RawClient, Signal, TRUSTING, wait_for};

const LIMIT: Duration = Duration::from_secs(30);

fn start(database: &str) -> Pgusher {
    start_with(database, "")
}

/// `settings` are lines of the database's section.
fn start_with(database: &str, settings: &str) -> Pgusher {
    let pooled = Cluster::shared().pooled("app", database, &format!("pool_size = 1\n{settings}"));
    let config = format!(
        r#"
{TRUSTING}
admin_users = ["boss"]

[http]
listen = "127.0.0.1:{{http_port}}"
metrics_compat = ["pgbouncer_exporter"]

{pooled}"#
    );
    Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &config)
}

/// All series and their values.
fn scrape(pgusher: &Pgusher) -> BTreeMap<String, f64> {
    let (status, body) = pgusher.http_get("/metrics");
    assert_eq!(status, 200);
    let lines = body.lines().filter(|line| !line.starts_with('#'));
    let series = lines.map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("series and value");
        (name.to_owned(), value.parse().expect("a number"))
    });
    series.collect()
}

fn of_pool(name: &str, more: &str) -> String {
    format!("{name}{{database=\"app\",user=\"{}\"{more}}}", Cluster::shared().superuser())
}

fn of_host(name: &str, more: &str) -> String {
    let cluster = Cluster::shared();
    format!("{name}{{database=\"app\",host=\"{}:{}\"{more}}}", cluster.host(), cluster.port())
}

#[tokio::test]
async fn counts_are_exact_and_waits_have_their_outcomes() {
    // Long enough for the first of them, who waits for the server to be connected.
    let pgusher = start_with("metrics_counts", "query_wait_timeout = \"2s\"");
    let mut holder = RawClient::login(pgusher.port(), "app", "alice", "").await;
    let mut waiter = RawClient::login(pgusher.port(), "app", "bob", "").await;
    for _ in 0..5 {
        assert_eq!(holder.query("select 1").await.error, None);
    }
    assert_eq!(holder.query("begin").await.error, None);
    assert_eq!(waiter.query("select 1").await.unwrap_error().code(), "53300");
    assert_eq!(holder.query("commit").await.error, None);
    let all = scrape(&pgusher);
    assert_eq!(all[&of_pool("pgusher_queries_total", "")], 7.0);
    assert_eq!(all[&of_pool("pgusher_transactions_total", ",result=\"commit\"")], 6.0);
    let waits = |outcome: &str| {
        all[&of_pool("pgusher_pool_wait_seconds_count", &format!(",outcome=\"{outcome}\""))]
    };
    assert_eq!((waits("assigned"), waits("timeout"), waits("gone")), (6.0, 1.0, 0.0));
    let assigned = [",queued=\"true\"", ",queued=\"false\""]
        .map(|queued| all[&of_pool("pgusher_pool_assignments_total", queued)]);
    assert_eq!(assigned.iter().sum::<f64>(), 6.0);
    let timeouts = all[&of_pool("pgusher_pool_wait_seconds_sum", ",outcome=\"timeout\"")];
    assert!((2.0..20.0).contains(&timeouts), "{timeouts}");
    assert!(all[&of_pool("pgusher_pool_saturated_seconds_total", "")] >= 2.0);
    assert!(all[&of_pool("pgusher_pool_queue_seconds_total", "")] >= 2.0);
    assert_eq!(
        all["pgusher_errors_total{database=\"app\",origin=\"pgusher\",sqlstate=\"53300\"}"],
        1.0
    );
    assert_eq!(
        all["pgusher_client_logins_total{result=\"ok\",method=\"trust\",database=\"app\"}"],
        2.0
    );
    assert_eq!(all[&of_host("pgusher_server_connects_total", ",result=\"ok\"")], 1.0);
    assert_eq!(all[&of_host("pgusher_server_connects_total", ",result=\"failed\"")], 0.0);
    assert_eq!(all[&of_host("pgusher_server_up", ",role=\"primary\"")], 1.0);
    assert!(all["process_open_fds"] > 5.0);
}

/// What changed between two scrapes, over all series that begin so.
fn grown(before: &BTreeMap<String, f64>, after: &BTreeMap<String, f64>, start: &str) -> f64 {
    let of = |all: &BTreeMap<String, f64>| -> f64 {
        all.iter().filter(|(name, _)| name.starts_with(start)).map(|(_, value)| value).sum()
    };
    of(after) - of(before)
}

#[tokio::test]
async fn what_sessions_cost_is_counted() {
    let pgusher = start("metrics_sessions");
    let mut alice = RawClient::login(pgusher.port(), "app", "alice", "").await;
    let mut bob = RawClient::login(pgusher.port(), "app", "bob", "").await;
    for client in [&mut alice, &mut bob] {
        assert_eq!(client.query("select 1").await.error, None);
    }
    let before = scrape(&pgusher);
    assert_eq!(before["pgusher_client_login_seconds_count"], 2.0);
    assert_eq!(alice.query("set timezone = 'Europe/Rome'").await.error, None);
    for client in [&mut bob, &mut alice] {
        assert_eq!(client.query("select 1").await.error, None);
    }
    assert_eq!(alice.query("select 1").await.error, None);
    let after = scrape(&pgusher);
    let since = |name: &str| grown(&before, &after, name);
    assert_eq!(since("pgusher_state_replays_total"), 2.0, "for bob, and back again");
    assert_eq!(since("pgusher_pool_hold_seconds_count"), 4.0);
    assert_eq!(since("pgusher_query_seconds_count"), 4.0);

    use pgusher_testkit::frontend::{parse, sync};
    for client in [&mut alice, &mut bob] {
        client.send(&[parse("s", "select 'shared'", &[]), sync()].concat()).await;
        assert_eq!(client.read_result().await.error, None);
    }
    let parses = |side: &str| {
        let label = format!(",side=\"{side}\"");
        scrape(&pgusher)[&of_pool("pgusher_prepared_parses_total", &label)]
    };
    assert_eq!((parses("client"), parses("server")), (2.0, 1.0), "the server has it already");

    for sql in ["create temp table mine (a int)", "select 1", "drop table mine"] {
        assert_eq!(alice.query(sql).await.error, None, "{sql}");
    }
    let cause = ",cause=\"temp_object\"";
    assert_eq!(scrape(&pgusher)[&of_pool("pgusher_pins_total", cause)], 1.0);
    let pinned = || scrape(&pgusher)[&of_pool("pgusher_pinned_seconds_total", cause)] > 0.0;
    assert!(wait_for(LIMIT, pinned).await, "the pin is over");
}

#[tokio::test]
async fn what_alerts_stand_on_is_counted() {
    let pgusher = start("metrics_alerts");
    let mut client = RawClient::login(pgusher.port(), "app", "alice", "").await;
    let of = |name: &str| scrape(&pgusher)[name];
    assert_eq!(client.query("begin").await.error, None);
    let idle = of_pool("pgusher_pool_idle_in_transaction_seconds_total", "");
    let busy = of_pool("pgusher_pool_busy_seconds_total", "");
    std::thread::sleep(Duration::from_millis(20));
    assert_eq!(client.query("commit").await.error, None);
    assert!(of(&idle) >= 0.02 && of(&busy) >= of(&idle), "{} {}", of(&idle), of(&busy));

    RawClient::cancel(pgusher.port(), client.pid(), b"nope").await;
    let unknown = || of("pgusher_cancels_total{result=\"unknown\"}") == 1.0;
    assert!(wait_for(LIMIT, unknown).await, "a key that nobody has");

    let before = scrape(&pgusher);
    Cluster::shared().psql(
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'metrics_alerts'",
    );
    let gone = || {
        let now = scrape(&pgusher);
        grown(&before, &now, "pgusher_server_closes_total") == 1.0
            && now[&of_pool("pgusher_server_closes_total", ",reason=\"out_of_sync\"")] == 0.0
    };
    assert!(wait_for(LIMIT, gone).await, "it was killed, and not out of sync");

    let reloaded = || of("pgusher_config_last_reload_successful");
    assert_eq!(reloaded(), 1.0);
    let path = pgusher.dir().join("pgusher.toml");
    let text = std::fs::read_to_string(path).expect("the configuration");
    for (text, expected) in [(format!("{text}\nnonsense"), 0.0), (text, 1.0)] {
        pgusher.rewrite_config(&text);
        pgusher.signal(Signal::HUP);
        assert!(wait_for(LIMIT, || reloaded() == expected).await, "{expected}");
    }
}

#[tokio::test]
async fn waits_that_end_in_nothing_are_counted_as_what_they_were() {
    let settings = "max_db_client_connections = 7\nmax_prepared_statements = 1";
    let pgusher = start_with("metrics_outcomes", settings);
    let login = async |name| RawClient::login(pgusher.port(), "app", name, "").await;
    let (mut holder, mut patient, mut hasty) =
        (login("alice").await, login("bob").await, login("carol").await);
    let of = |name: &str, more: &str| scrape(&pgusher)[&of_pool(name, more)];
    assert_eq!(scrape(&pgusher)["pgusher_client_connections_limit{database=\"app\"}"], 7.0);
    assert_eq!(holder.query("begin").await.error, None);
    patient.send(&pgusher_testkit::frontend::query("select 1")).await;
    hasty.send(&pgusher_testkit::frontend::query("select 1")).await;
    let waiting = |count: f64| of("pgusher_pool_queue_length", "") == count;
    assert!(wait_for(LIMIT, || waiting(2.0)).await, "both wait");
    let oldest = of("pgusher_pool_oldest_wait_seconds", "");
    assert!(oldest > 0.0, "a wait that has not ended is seen: {oldest}");
    RawClient::cancel(pgusher.port(), patient.pid(), patient.key()).await;
    assert_eq!(patient.read_result().await.unwrap_error().code(), "57014");
    drop(hasty);
    assert!(wait_for(LIMIT, || waiting(0.0)).await, "nobody waits");
    let ended =
        |outcome: &str| of("pgusher_pool_wait_seconds_count", &format!(",outcome=\"{outcome}\""));
    assert_eq!((ended("cancelled"), ended("gone"), ended("timeout")), (1.0, 1.0, 0.0));
    assert_eq!(scrape(&pgusher)["pgusher_cancels_total{result=\"dequeued\"}"], 1.0);
    assert_eq!(holder.query("commit").await.error, None);

    use pgusher_testkit::frontend::{parse, sync};
    for number in 0..3 {
        let name = format!("s{number}");
        let statement = parse(&name, &format!("select {number}"), &[]);
        holder.send(&[statement, sync()].concat()).await;
        assert_eq!(holder.read_result().await.error, None);
    }
    assert_eq!(of("pgusher_prepared_evictions_total", ""), 2.0, "there is room for one");
}

#[tokio::test]
async fn transactions_are_told_apart_by_how_they_ended() {
    let pgusher = start("metrics_results");
    let mut client = RawClient::login(pgusher.port(), "app", "alice", "").await;
    let results = || {
        let all = scrape(&pgusher);
        ["commit", "rollback", "error"].map(|result| {
            all[&of_pool("pgusher_transactions_total", &format!(",result=\"{result}\""))]
        })
    };
    client.query("create table t (a int unique deferrable initially deferred)").await;
    let mut expected = [1.0, 0.0, 0.0];
    assert_eq!(results(), expected);
    // What is asked, message by message, and which of the three it adds to.
    let cases: [(&[&str], usize); 11] = [
        (&["select 1"], 0),
        (&["begin; select 1; commit"], 0),
        (&["begin", "savepoint s", "rollback to s", "commit"], 0),
        (&["begin", "savepoint s", "select 1/0", "rollback to s; select 1", "commit"], 0),
        (&["begin", "rollback"], 1),
        (&["begin; select 1; rollback; select 1"], 1),
        (&["begin", "select 1/0", "rollback"], 1),
        (&["begin", "select 1/0", "commit"], 1),
        (&["begin", "insert into t values (1), (1)", "commit"], 1),
        (&["select 1/0"], 2),
        (&["select 1; select 1/0"], 2),
    ];
    for (asked, result) in cases {
        for sql in asked {
            client.query(sql).await;
        }
        expected[result] += 1.0;
        assert_eq!(results(), expected, "{asked:?}");
    }
    for (sql, result) in [("select 1", 0), ("select 1/0", 2), ("begin", 0), ("rollback", 1)] {
        client.query_extended(sql, &[]).await;
        expected[result] += f64::from(u8::from(sql != "begin"));
        assert_eq!(results(), expected, "{sql}, extended");
    }
}

#[tokio::test]
async fn bytes_are_counted_on_either_side() {
    let pgusher = start("metrics_bytes");
    let mut client = RawClient::login(pgusher.port(), "app", "alice", "").await;
    let bytes = |side: &str, direction: &str| {
        let labels = format!(",side=\"{side}\",direction=\"{direction}\"");
        scrape(&pgusher)[&of_pool("pgusher_bytes_total", &labels)]
    };
    let sql = "select repeat('x', 10000)";
    assert_eq!(client.query(sql).await.error, None);
    let asked = pgusher_testkit::frontend::query(sql).len() as f64;
    assert_eq!((bytes("client", "received"), bytes("server", "sent")), (asked, asked));
    let answered = bytes("server", "received");
    assert!((10_000.0..10_500.0).contains(&answered), "{answered}");
    assert_eq!(bytes("client", "sent"), answered);
    client.query("set timezone = 'Europe/Rome'").await;
    let mut other = RawClient::login(pgusher.port(), "app", "bob", "").await;
    assert_eq!(other.query("select 1").await.error, None);
    let (sent, received) = (bytes("server", "sent"), bytes("client", "received"));
    assert!(sent > received, "its parameters were restored: {sent} {received}");
    let (passed, got) = (bytes("client", "sent"), bytes("server", "received"));
    assert!(passed < got, "what answered that is not the client's: {passed} {got}");
}

#[tokio::test]
async fn classes_have_their_waits_and_closed_servers_are_seen_to_go() {
    let pooled = Cluster::shared().pooled("app", "metrics_classes", "pool_size = 1");
    let config = format!(
        "{TRUSTING}[http]\nlisten = \"127.0.0.1:{{http_port}}\"\n[peers.7]\nhost = \"127.0.0.1\"\n\
         [classes.alice]\nusers = [\"alice\"]\n{pooled}"
    );
    let pgusher = Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &config);
    let mut alice = RawClient::login(pgusher.port(), "app", "alice", "").await;
    let mut bob = RawClient::login(pgusher.port(), "app", "bob", "").await;
    assert_eq!(bob.query("begin").await.error, None);
    alice.send(&pgusher_testkit::frontend::query("select 1")).await;
    let of = |name: &str, more: &str| scrape(&pgusher)[&of_pool(name, more)];
    assert!(wait_for(LIMIT, || of("pgusher_class_waiting", ",class=\"alice\"") == 1.0).await);
    assert_eq!(bob.query("commit").await.error, None);
    assert_eq!(alice.read_result().await.error, None);
    let of_class = |name: &str| of(name, ",class=\"alice\"");
    assert_eq!(of_class("pgusher_class_wait_seconds_count"), 1.0);
    assert!(of_class("pgusher_class_wait_seconds_sum") > 0.0);
    assert_eq!(of_class("pgusher_class_assignments_total"), 1.0);
    assert_eq!(alice.query("select 1").await.error, None);
    assert_eq!(of_class("pgusher_class_wait_seconds_count"), 2.0, "one did not wait");
    let all = scrape(&pgusher);
    assert_eq!(all["pgusher_peers{state=\"unknown\"}"], 1.0);
    assert_eq!(all[&of_pool("pgusher_server_connections", ",state=\"closing\"")], 0.0);
}

/// The list that users read says what a page says: names, types, and the labels of everything that has a value.
#[tokio::test]
async fn the_list_of_metrics_is_true() {
    let pgusher = start("metrics_list");
    let mut client = RawClient::login(pgusher.port(), "app", "alice", "").await;
    client.query("select 1/0").await;
    let (_, page) = pgusher.http_get("/metrics");
    let list = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config/METRICS.md"));
    let list = list.expect("the list");
    let rows = list.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: BTreeMap<_, (&str, &str)> = rows
        .filter_map(|row| {
            let mut cells = row.split(" | ");
            Some((cells.next()?.trim_end_matches('`'), (cells.next()?, cells.next()?)))
        })
        .collect();
    let types: BTreeMap<_, _> = page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .filter(|(name, _)| !name.starts_with("pgbouncer_"))
        .collect();
    let absent: Vec<_> = listed.keys().filter(|name| !types.contains_key(*name)).collect();
    assert!(absent.iter().all(|name| name.contains("_otlp_")), "listed, not there: {absent:?}");
    assert!(types.len() > 50, "only {} metrics", types.len());
    for (name, kind) in &types {
        let (listed_kind, labels) =
            listed.get(name).unwrap_or_else(|| panic!("{name}: not listed"));
        assert_eq!(listed_kind, kind, "{name}");
        let series = page.lines().find(|line| {
            let rest = line.strip_prefix(name).map(|rest| rest.trim_start_matches("_count"));
            rest.is_some_and(|rest| rest.starts_with(['{', ' ']))
        });
        let shown = series.and_then(|line| Some(line.split_once('{')?.1.split_once('}')?.0));
        let names = shown.into_iter().flat_map(|labels| labels.split(','));
        let names: Vec<_> = names.filter_map(|label| label.split_once('=')).map(|l| l.0).collect();
        if series.is_some() {
            assert_eq!(names.join(", "), labels.replace('`', ""), "{name}");
        }
    }
}

/// A page is made where it is in nobody's way: on a thread that lets the others go first.
#[tokio::test]
async fn pages_are_made_by_a_thread_that_steps_back() {
    let pgusher = start("metrics_backstage");
    let _client = RawClient::login(pgusher.port(), "app", "alice", "").await;
    let tasks = || {
        let folder = std::fs::read_dir(format!("/proc/{}/task", pgusher.pid())).expect("threads");
        let paths = folder.filter_map(|entry| Some(entry.ok()?.path()));
        let facts = paths.filter_map(|path| {
            let read = |name: &str| std::fs::read_to_string(path.join(name)).ok();
            let (name, times, stat) = (read("comm")?, read("schedstat")?, read("stat")?);
            let worked: u64 = times.split_whitespace().next()?.parse().ok()?;
            // The nineteenth field of proc(5); the third is the first behind the name.
            let nice: i64 = stat.rsplit_once(") ")?.1.split_whitespace().nth(16)?.parse().ok()?;
            Some((name.trim().to_owned(), worked, nice))
        });
        facts.collect::<Vec<_>>()
    };
    let worked = |name: &str| -> u64 {
        let tasks = tasks();
        tasks.iter().filter(|task| task.0.starts_with(name)).map(|task| task.1).sum()
    };
    let before = worked("backstage");
    for _ in 0..50 {
        scrape(&pgusher);
    }
    // There is nothing else for it to do; a page of one pool takes it 20 µs at the very least.
    let page = (worked("backstage") - before) / 50;
    assert!(page > 20_000, "{page} ns for a page");
    let nice = |name: &str| tasks().into_iter().find(|task| task.0.starts_with(name)).map(|t| t.2);
    let (own, workers) = (nice("backstage").expect("it"), nice("worker").expect("a worker"));
    assert!(own > workers, "{own} {workers}");
}

#[tokio::test]
async fn the_exporters_names_are_served_on_request() {
    let pgusher = start("metrics_exporter");
    let mut client = RawClient::login(pgusher.port(), "app", "alice", "").await;
    for _ in 0..3 {
        assert_eq!(client.query("select pg_sleep(0.01)").await.error, None);
    }
    let all = scrape(&pgusher);
    for prefix in ["pgbouncer_stats_totals_", "pgbouncer_stats_"] {
        let of = |name: &str| all[&format!("{prefix}{name}{{database=\"app\"}}")];
        assert_eq!((of("queries_pooled_total"), of("sql_transactions_pooled_total")), (3.0, 3.0));
        assert!(of("queries_duration_seconds_total") >= 0.03);
    }
    assert_eq!(all[&of_pool("pgbouncer_pools_server_idle_connections", "")], 1.0);
    assert_eq!(
        (all["pgbouncer_up"], all["pgbouncer_pools"], all["pgbouncer_used_servers"]),
        (1.0, 1.0, 1.0)
    );
    assert_eq!(all["pgbouncer_config_max_client_connections"], 6000.0);
}

#[tokio::test]
async fn the_console_says_the_same() {
    let pgusher = start("metrics_agree");
    let mut admin = RawClient::login(pgusher.port(), "pgusher", "boss", "").await;
    let mut holder = RawClient::login(pgusher.port(), "app", "alice", "").await;
    let _idle = RawClient::login(pgusher.port(), "app", "bob", "").await;
    assert_eq!(holder.query("begin").await.error, None);
    let all = scrape(&pgusher);
    let pools = admin.query("SHOW POOLS").await;
    let shown = |column: &str| -> f64 { pools.column(column)[0].parse().expect("a number") };
    let clients =
        |state: &str| all[&of_pool("pgusher_client_connections", &format!(",state=\"{state}\""))];
    let servers =
        |state: &str| all[&of_pool("pgusher_server_connections", &format!(",state=\"{state}\""))];
    assert_eq!((clients("active"), clients("idle")), (1.0, 1.0));
    assert_eq!(shown("cl_active"), clients("active") + clients("idle"));
    assert_eq!(shown("cl_waiting"), clients("waiting"));
    assert_eq!(servers("idle_in_transaction"), 1.0);
    assert_eq!(shown("sv_active"), servers("active") + servers("idle_in_transaction"));
    assert_eq!(shown("sv_idle"), servers("idle"));
    assert_eq!(shown("sv_login"), servers("login"));
}

#[tokio::test]
async fn clients_that_keep_servers_and_clients_that_leave_are_told_apart() {
    let pgusher = start("metrics_pins");
    let mut pinned = RawClient::login(pgusher.port(), "app", "alice", "").await;
    let state = |metric: &str, state: &str| {
        scrape(&pgusher)[&of_pool(metric, &format!(",state=\"{state}\""))]
    };
    assert_eq!(pinned.query("create temp table t (a int)").await.error, None);
    for metric in ["pgusher_client_connections", "pgusher_server_connections"] {
        assert_eq!((state(metric, "pinned"), state(metric, "active")), (1.0, 0.0), "{metric}");
    }
    assert_eq!(pinned.query("begin").await.error, None);
    let servers = |name| state("pgusher_server_connections", name);
    assert_eq!((servers("pinned"), servers("idle_in_transaction")), (0.0, 1.0));
    assert_eq!(pinned.query("rollback").await.error, None);
    pinned.terminate().await;
    drop(RawClient::login(pgusher.port(), "app", "alice", "").await);
    let left = |reason: &str| {
        let series = of_pool("pgusher_client_disconnects_total", &format!(",reason=\"{reason}\""));
        scrape(&pgusher)[&series]
    };
    let gone = wait_for(LIMIT, || (left("terminated"), left("closed")) == (1.0, 1.0)).await;
    assert!(gone, "{} {}", left("terminated"), left("closed"));
}

#[tokio::test]
async fn health_is_told() {
    let mut pgusher = start("metrics_health");
    assert_eq!(pgusher.http_get("/healthz").0, 200);
    assert_eq!(pgusher.http_get("/readyz").0, 200);
    assert_eq!(pgusher.http_get("/nothing").0, 404);
    let mut busy = RawClient::login(pgusher.port(), "app", "alice", "").await;
    assert_eq!(busy.query("begin").await.error, None);
    pgusher.signal(Signal::TERM);
    let refuses = wait_for(LIMIT, || pgusher.http_get("/readyz").0 == 503).await;
    assert!(refuses, "{}", pgusher.log());
    assert!(pgusher.http_get("/readyz").1.contains("draining"));
    assert_eq!(pgusher.http_get("/healthz").0, 200);
    assert_eq!(scrape(&pgusher)["pgusher_draining"], 1.0);
    assert_eq!(busy.query("commit").await.tags, ["COMMIT"]);
    let ended = wait_for(LIMIT, || pgusher.try_exit().is_some()).await;
    assert!(ended, "{}", pgusher.log());
}

#[test]
fn an_http_port_in_use_is_told_at_the_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let address = taken.local_addr().expect("address");
    let config = format!(
        "{TRUSTING}[http]\nlisten = \"{address}\"\n[databases.app]\nhost = \"127.0.0.1\"\n"
    );
    let exited = Pgusher::builder(env!("CARGO_BIN_EXE_pgusher"), &config).run_to_exit(LIMIT);
    assert!(!exited.status.success());
    assert!(exited.log.contains(&address.to_string()), "{}", exited.log);
}
