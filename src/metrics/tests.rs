//! The page of a small snapshot, and what holds for every page.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::{pgbouncer_exporter, render};
use crate::stats::{
    ClassFacts, ClientsByState, DatabaseFacts, HistogramTotal, HostFacts, LoginCount, PoolFacts,
    ProcessFacts, ServersByState, Snapshot, Total, Totals,
};

fn pool(user: &str) -> PoolFacts {
    let mut pool = PoolFacts {
        database: "app".into(),
        user: user.into(),
        size: 20,
        reserve: 5,
        advised: Some(16),
        clients: ClientsByState { idle: 4, active: 2, waiting: 1 },
        in_state: ServersByState {
            idle: 1,
            active: 1,
            idle_in_transaction: 1,
            ..Default::default()
        },
        queue: 1,
        oldest_wait: Duration::from_millis(1_500),
        busy_micros: 2_500_000,
        totals: Totals::default().with(Total::Queries, 42).with(Total::Received, 1_000),
        assigned_at_once: 7,
        assigned_queued: 3,
        errors: vec![("server", "42".to_owned(), 2)],
        closes: vec![("out_of_sync", 0)],
        departures: vec![("closed", 3)],
        pinned: 1,
        classes: vec![ClassFacts {
            name: "batch".into(),
            waiting: 1,
            assigned: 4,
            waited_micros: 2_500_000,
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
            ..ProcessFacts::default()
        },
        bounds: vec![100, 1_000],
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
        [r#"pgusher_errors_total{database="app",user="alice",origin="server",sqlstate="42"} 2"#]
    );
    assert_eq!(of("pgusher_pool_paused"), [r#"pgusher_pool_paused{database="app"} 1"#]);
    assert_eq!(of("pgusher_draining"), ["pgusher_draining 0"]);
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
    let up = r#"pgusher_server_up{database="app",host="db:5432"} 0"#;
    assert_eq!(of("pgusher_server_up"), [up], "nothing is known of the other");
    let class = r#"{database="app",user="alice",class="batch"}"#;
    for (name, value) in [
        ("pgusher_class_waiting", "1"),
        ("pgusher_class_assignments_total", "4"),
        ("pgusher_class_wait_seconds_total", "2.5"),
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
