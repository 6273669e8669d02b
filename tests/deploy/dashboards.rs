//! The dashboards: every query of every panel and every variable is asked of a Prometheus that reads a pgusher at
//! work, and each must be answered with numbers. The same for what the alert rules ask for.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Seek, Write};
use std::process::Command;
use std::time::{Duration, Instant};

use regex::Regex;
use serde_json::Value;

use crate::prometheus::{Prometheus, promtool};
use crate::rules::FILES;
use crate::shipped;
use crate::stage::{self, Life};

const DASHBOARDS: [&str; 2] = ["pgusher", "pgbouncer-names"];

/// Longer than Prometheus needs to see everything twice, even on a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// A query, and where it is from.
type Asked = (String, String);

#[tokio::test]
async fn every_panel_variable_and_rule_finds_its_metrics() {
    let pgusher = stage::start("deploy_dashboards");
    let mut life = Life::begin(&pgusher).await;
    life.round().await;
    let rules = FILES.map(|name| shipped(&format!("prometheus/{name}.yml")));
    let prometheus = Prometheus::start(pgusher.http_port(), &rules);
    let mut left: Vec<Asked> = DASHBOARDS.iter().flat_map(|name| queries(name)).collect();
    assert!(left.len() > 100, "only {} queries", left.len());
    let deadline = Instant::now() + LIMIT;
    while !left.is_empty() || !fires(&prometheus, "PgusherTimeouts") {
        assert!(Instant::now() < deadline, "no answer: {left:#?}\n{:#?}", prometheus.rules());
        life.round().await;
        left.retain(|(place, query)| match prometheus.query(query) {
            Ok(values) => values.is_empty(),
            Err(error) => panic!("{place}: {query}: {error}"),
        });
    }
    check_rules(&prometheus.rules(), &types(&pgusher.http_get("/metrics").1));
}

/// True once an alert fires.
fn fires(prometheus: &Prometheus, alert: &str) -> bool {
    prometheus.rules().iter().any(|rule| rule["name"] == alert && rule["state"] == "firing")
}

/// All rules are in good health, ask for metrics that there are, and say something readable when they fire.
fn check_rules(rules: &[Value], metrics: &BTreeMap<String, String>) {
    let name = Regex::new(r"\b(?:pgusher|pgbouncer|process)_\w+").unwrap();
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule:#}");
        for found in name.find_iter(rule["query"].as_str().unwrap()) {
            let metric = found.as_str();
            let base =
                ["_bucket", "_count", "_sum"].iter().find_map(|end| metric.strip_suffix(end));
            let is_known = |name: &str| metrics.contains_key(name);
            assert!(is_known(metric) || base.is_some_and(is_known), "no {metric}: {rule:#}");
        }
        let alerts = rule["alerts"].as_array().unwrap();
        let texts = alerts.iter().filter_map(|alert| alert["annotations"].as_object());
        for text in texts.flat_map(|texts| texts.values()).filter_map(Value::as_str) {
            assert!(!text.contains("<error"), "{text}");
            assert!(!text.contains("<no value>"), "{text}");
        }
    }
    let with_alerts: BTreeSet<_> = rules.iter().filter_map(|rule| rule["name"].as_str()).collect();
    assert_eq!(with_alerts.len(), rules.len(), "two alerts of one name");
}

/// The types of all metrics of a page.
fn types(page: &str) -> BTreeMap<String, String> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let types = lines.filter_map(|line| line.split_once(' '));
    types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
}

/// All queries of a dashboard, as Grafana would send them.
fn queries(name: &str) -> Vec<Asked> {
    let text = std::fs::read_to_string(shipped(&format!("grafana/{name}.json"))).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let mut all = Vec::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        let title = panel["title"].as_str().unwrap();
        let targets = panel["targets"].as_array().into_iter().flatten();
        for target in targets {
            let query = target["expr"].as_str().unwrap();
            all.push((format!("{name}: {title}"), with_values(query)));
        }
    }
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    for variable in variables.iter().filter(|variable| variable["type"] == "query") {
        let query = variable["query"]["query"].as_str().unwrap();
        all.push((
            format!("{name}: variable {}", variable["name"]),
            with_values(&values_of(query)),
        ));
    }
    all
}

/// Puts values in the place of variables.
fn with_values(query: &str) -> String {
    let values =
        [("$__rate_interval", "1m"), ("$__range", "5m"), ("$instance", ".*"), ("$database", ".*")];
    let replace = |text: String, (name, value): &(&str, &str)| text.replace(name, value);
    let query = values.iter().fold(query.to_owned(), replace).replace("$user", ".*");
    assert!(!query.contains('$') || query.contains("\"$1\""), "an unknown variable: {query}");
    query
}

/// What Grafana's `label_values(SERIES, LABEL)` asks for, as a query.
fn values_of(query: &str) -> String {
    let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
    let (series, label) = inner.and_then(|inner| inner.rsplit_once(", ")).unwrap();
    let (metric, matchers) = series.split_once('{').unwrap_or((series, "}"));
    format!("count by ({label}) ({metric}{{{label}!=\"\", {matchers})")
}

#[tokio::test]
async fn promtool_finds_nothing_to_say_of_the_metrics() {
    let pgusher = stage::start("deploy_metrics");
    Life::begin(&pgusher).await.round().await;
    let mut page = tempfile::tempfile().unwrap();
    page.write_all(pgusher.http_get("/metrics").1.as_bytes()).unwrap();
    page.rewind().unwrap();
    let said = promtool(Command::new("promtool").args(["check", "metrics"]).stdin(page));
    assert_eq!(said, "");
}

#[test]
fn panels_are_numbered_apart_and_do_not_overlap() {
    for name in DASHBOARDS {
        let text = std::fs::read_to_string(shipped(&format!("grafana/{name}.json"))).unwrap();
        let dashboard: Value = serde_json::from_str(&text).unwrap();
        let (mut ids, mut cells) = (BTreeSet::new(), BTreeSet::new());
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
            let [x, y, w, h] =
                ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            assert!(x + w <= 24, "{} is too wide", panel["title"]);
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(cells.insert(cell), "{} covers another", panel["title"]);
            }
        }
    }
}
