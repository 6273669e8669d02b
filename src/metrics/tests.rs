//! The page of a small snapshot, and what holds for every page.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{pgbouncer_exporter, render};
use crate::stats::{
    ClassFacts, ClientsByState, DatabaseFacts, ErrorFacts, ExchangeFacts, ExportFacts,
    HistogramTotal, HostFacts, LoginCount, PeersByState, PinsByCause, PoolFacts, ProcessFacts,
    Role, ServersByState, Snapshot, Total, Totals,
};

fn pool(user: &str) -> PoolFacts {
    let mut pool = PoolFacts {
        database: "app".into(),
        user: user.into(),
        size: 20,
        reserve: 5,
        clients: ClientsByState { idle: 4, active: 2, waiting: 1 },
        in_state: ServersByState {
            idle: 1,
            active: 1,
            idle_in_transaction: 1,
            closing: 1,
            ..Default::default()
        },
        queue: 1,
        oldest_wait: Duration::from_millis(1_500),
        busy_micros: 2_500_000,
        totals: Totals::default()
            .with(Total::Queries, 42)
            .with(Total::Received, 1_000)
            .with(Total::Transactions, 10),
        assigned_at_once: 7,
        assigned_queued: 3,
        rolled_back: 2,
        failed: 1,
        server_received: 900,
        server_sent: 1_100,
        closes: vec![("out_of_sync", 0)],
        pins: vec![PinsByCause { cause: "session", begun: 2, micros: 5, warned: 1 }],
        leaks: vec![("parameter", 0)],
        departures: vec![("closed", 3)],
        pinned: 1,
        classes: vec![ClassFacts {
            name: "batch".into(),
            waiting: 1,
            assigned: 4,
            waits: HistogramTotal { counts: vec![3, 0, 1], sum_micros: 2_500_000 },
            ..ClassFacts::default()
        }],
        ..PoolFacts::default()
    };
    pool.waits[0] = HistogramTotal { counts: vec![7, 2, 1], sum_micros: 1_000_000 };
    pool
}

fn snapshot() -> Snapshot {
    Snapshot {
        process: ProcessFacts {
            clients: 8,
            max_clients: 100,
            logins: vec![LoginCount {
                result: "ok",
                method: "md5",
                database: "app".into(),
                count: 9,
            }],
            cancels: vec![("forwarded", 1)],
            certificates: vec![("client", std::time::SystemTime::UNIX_EPOCH)],
            ..ProcessFacts::default()
        },
        bounds: vec![100, 1_000],
        exchanges: vec![ExchangeFacts { database: "app".into(), ..ExchangeFacts::default() }],
        exports: Some(ExportFacts {
            exports: [
                ("metrics", "ok", 4),
                ("metrics", "failed", 1),
                ("traces", "ok", 2),
                ("traces", "failed", 0),
            ],
            spans_dropped: 5,
        }),
        peers: PeersByState { up: 1, down: 2, unknown: 0 },
        errors: vec![ErrorFacts {
            database: "app".into(),
            told: vec![("server", "42".to_owned(), 2)],
            healed: vec![("26000".to_owned(), 3)],
        }],
        pools: vec![pool("alice"), pool("a\\\"b\n")],
        databases: vec![DatabaseFacts {
            name: "app".into(),
            is_paused: true,
            max_clients: Some(50),
            hosts: vec![
                HostFacts {
                    connected: 2,
                    failed: 1,
                    is_up: Some(false),
                    role: Role::Primary,
                    ..HostFacts::unknown("db:5432".to_owned())
                },
                HostFacts::unknown("standby:5432".to_owned()),
            ],
            ..DatabaseFacts::default()
        }],
        ..Snapshot::default()
    }
}

/// The values of one series' name, in order, for the first pool.
fn lines<'a>(page: &'a str, name: &str) -> Vec<&'a str> {
    let of_name =
        |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
    page.lines().filter(of_name).filter(|line| !line.contains("a\\\\")).collect()
}

#[test]
fn values_are_those_of_the_snapshot() {
    let page = render(&snapshot());
    let of = |name| lines(&page, name);
    assert_eq!(
        of("pgusher_queries_total"),
        [r#"pgusher_queries_total{database="app",user="alice"} 42"#]
    );
    assert_eq!(
        of("pgusher_client_connections"),
        [
            r#"pgusher_client_connections{database="app",user="alice",state="idle"} 4"#,
            r#"pgusher_client_connections{database="app",user="alice",state="active"} 1"#,
            r#"pgusher_client_connections{database="app",user="alice",state="pinned"} 1"#,
            r#"pgusher_client_connections{database="app",user="alice",state="waiting"} 1"#,
            r#"pgusher_client_connections{database="",user="",state="login"} 8"#,
        ]
    );
    assert_eq!(
        of("pgusher_client_connections_limit"),
        [
            r#"pgusher_client_connections_limit{database=""} 100"#,
            r#"pgusher_client_connections_limit{database="app"} 50"#,
        ]
    );
    assert_eq!(
        of("pgusher_pool_wait_seconds_bucket")[..3],
        [
            r#"pgusher_pool_wait_seconds_bucket{database="app",user="alice",outcome="assigned",le="0.0001"} 7"#,
            r#"pgusher_pool_wait_seconds_bucket{database="app",user="alice",outcome="assigned",le="0.001"} 9"#,
            r#"pgusher_pool_wait_seconds_bucket{database="app",user="alice",outcome="assigned",le="+Inf"} 10"#,
        ]
    );
    assert_eq!(
        of("pgusher_pool_wait_seconds_sum")[0],
        r#"pgusher_pool_wait_seconds_sum{database="app",user="alice",outcome="assigned"} 1"#
    );
    assert_eq!(
        of("pgusher_pool_oldest_wait_seconds"),
        [r#"pgusher_pool_oldest_wait_seconds{database="app",user="alice"} 1.5"#]
    );
    assert_eq!(
        of("pgusher_pool_busy_seconds_total"),
        [r#"pgusher_pool_busy_seconds_total{database="app",user="alice"} 2.5"#]
    );
    assert_eq!(
        of("pgusher_errors_total"),
        [r#"pgusher_errors_total{database="app",origin="server",sqlstate="42"} 2"#]
    );
    assert_eq!(of("pgusher_pool_paused"), [r#"pgusher_pool_paused{database="app"} 1"#]);
    assert_eq!(of("pgusher_draining"), ["pgusher_draining 0"]);
}

#[test]
fn transactions_bytes_and_peers_are_told_apart() {
    let page = render(&snapshot());
    let values = |name: &str, labels: &[&str]| -> Vec<String> {
        let all = lines(&page, name);
        let of = |label: &&str| {
            let line = all.iter().find(|line| line.contains(*label)).expect("a line");
            line.rsplit_once(' ').expect("a value").1.to_owned()
        };
        assert_eq!(all.len(), labels.len(), "{all:?}");
        labels.iter().map(of).collect()
    };
    let results = ["result=\"commit\"", "result=\"rollback\"", "result=\"error\""];
    assert_eq!(values("pgusher_transactions_total", &results), ["7", "2", "1"]);
    let flows = [
        "side=\"client\",direction=\"received\"",
        "side=\"client\",direction=\"sent\"",
        "side=\"server\",direction=\"received\"",
        "side=\"server\",direction=\"sent\"",
    ];
    assert_eq!(values("pgusher_bytes_total", &flows), ["1000", "0", "900", "1100"]);
    let states = ["state=\"up\"", "state=\"down\"", "state=\"unknown\""];
    assert_eq!(values("pgusher_peers", &states), ["1", "2", "0"]);
    assert_eq!(values("pgusher_prepared_retries_total", &["sqlstate=\"26000\""]), ["3"]);
    let closing = lines(&page, "pgusher_server_connections");
    assert!(closing.iter().any(|line| line.ends_with("state=\"closing\"} 1")), "{closing:?}");
}

#[test]
fn hosts_classes_logins_and_departures_have_their_labels() {
    let page = render(&snapshot());
    let of = |name| lines(&page, name);
    assert_eq!(
        of("pgusher_server_connects_total"),
        [
            r#"pgusher_server_connects_total{database="app",host="db:5432",result="ok"} 2"#,
            r#"pgusher_server_connects_total{database="app",host="db:5432",result="failed"} 1"#,
            r#"pgusher_server_connects_total{database="app",host="standby:5432",result="ok"} 0"#,
            r#"pgusher_server_connects_total{database="app",host="standby:5432",result="failed"} 0"#,
        ]
    );
    let up = r#"pgusher_server_up{database="app",host="db:5432",role="primary"} 0"#;
    assert_eq!(of("pgusher_server_up"), [up], "nothing is known of the other");
    let class = r#"{database="app",user="alice",class="batch"}"#;
    for (name, value) in [
        ("pgusher_class_waiting", "1"),
        ("pgusher_class_assignments_total", "4"),
        ("pgusher_class_wait_seconds_sum", "2.5"),
        ("pgusher_class_wait_seconds_count", "4"),
    ] {
        assert_eq!(of(name), [format!("{name}{class} {value}")]);
    }
    assert_eq!(
        of("pgusher_client_logins_total"),
        [r#"pgusher_client_logins_total{result="ok",method="md5",database="app"} 9"#]
    );
    assert_eq!(
        of("pgusher_client_disconnects_total"),
        [r#"pgusher_client_disconnects_total{database="app",user="alice",reason="closed"} 3"#]
    );
    assert_eq!(of("pgusher_build_info").len(), 1);
    assert!(page.contains("pgusher_build_info{version=\"") && page.contains("revision=\""));
}

#[test]
fn every_metric_has_one_help_and_one_type_and_no_series_comes_twice() {
    let page = render(&snapshot());
    let mut kinds = BTreeMap::new();
    let (mut helps, mut series) = (0, BTreeSet::new());
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').expect("name and type");
            assert_eq!(kinds.insert(name.to_owned(), kind), None, "{name} comes twice");
        } else if line.starts_with("# HELP ") {
            helps += 1;
        } else {
            let (name, value) = line.rsplit_once(' ').expect("series and value");
            assert!(series.insert(name.to_owned()), "{name} comes twice");
            assert!(value.parse::<f64>().is_ok(), "{line}");
            let base = name.split('{').next().expect("name");
            let known = ["", "_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|suffix| base.strip_suffix(suffix))
                .any(|base| kinds.contains_key(base));
            assert!(known, "{name} has no TYPE before it");
        }
    }
    assert_eq!(helps, kinds.len());
    assert!(kinds.len() > 35, "only {} metrics", kinds.len());
}

#[test]
fn the_exporters_names_have_our_values() {
    let page = pgbouncer_exporter(&snapshot());
    let of = |name| lines(&page, name);
    assert_eq!(of("pgbouncer_up"), ["pgbouncer_up 1"]);
    assert_eq!(
        of("pgbouncer_pools_client_active_connections"),
        [r#"pgbouncer_pools_client_active_connections{database="app",user="alice"} 6"#]
    );
    assert_eq!(of("pgbouncer_databases"), ["pgbouncer_databases 1"]);
    assert_eq!(
        of("pgbouncer_databases_paused"),
        [
            r#"pgbouncer_databases_paused{name="app",host="",port="0",database="",force_user="",pool_mode=""} 1"#
        ]
    );
    for prefix in ["pgbouncer_stats_totals_", "pgbouncer_stats_"] {
        for name in ["queries_pooled_total", "client_wait_seconds_total"] {
            let name = format!("{prefix}{name}");
            assert_eq!(lines(&page, &name), [format!("{name}{{database=\"app\"}} 0")]);
        }
    }
    assert_eq!(
        of("pgbouncer_config_max_client_connections"),
        ["pgbouncer_config_max_client_connections 100"]
    );
}

/// Every metric of a page, as a table for those who read it.
fn listing(page: &str) -> String {
    let mut rows = String::new();
    let mut lines = page.lines().peekable();
    while let Some(line) = lines.next() {
        let Some((name, help)) = line.strip_prefix("# HELP ").and_then(|l| l.split_once(' '))
        else {
            continue;
        };
        let kind = lines.next().and_then(|line| line.rsplit_once(' ')).expect("a type").1;
        let sample = lines.peek().expect("a series").split_once('{');
        let labels =
            sample.and_then(|(_, rest)| Some(rest.rsplit_once('}')?.0)).unwrap_or_default();
        let names = labels.split("\",").filter_map(|label| label.split_once('='));
        let names = names.filter(|(name, _)| *name != "le").map(|(name, _)| format!("`{name}`"));
        let names: Vec<_> = names.collect();
        rows.push_str(&format!("| `{name}` | {kind} | {} | {help} |\n", names.join(", ")));
    }
    rows
}

#[test]
fn the_list_for_users_is_that_of_a_page() {
    let head = "# Metrics\n\nWhat `/metrics` shows. Histograms have the buckets of `queue_buckets`; times are in \
                seconds. Those of classes are there where classes are configured, those of OTLP with `[otlp]`. \
                Counters of a pool begin anew when it does.\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n";
    let expected = format!("{head}{}", listing(&render(&snapshot())));
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/METRICS.md");
    if std::env::var_os("PGUSHER_WRITE_METRICS").is_some() {
        std::fs::write(path, &expected).expect("writable");
    }
    let list = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(
        list, expected,
        "write it anew: PGUSHER_WRITE_METRICS=1 cargo test the_list_for_users"
    );
}
