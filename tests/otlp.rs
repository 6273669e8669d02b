//! What the running binary sends to an OpenTelemetry collector, taken apart by the protocol's own messages.

#![cfg(feature = "otlp")]

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, Metric, metric::Data};
use opentelemetry_proto::tonic::trace::v1::Span;
use pgusher_testkit::{Cluster, Pgusher, RawClient, TRUSTING, free_port, wait_for};
use prost::Message;
use tokio::net::TcpListener;

const LIMIT: Duration = Duration::from_secs(30);

/// The trace that statements of these tests name.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Received>>);

#[derive(Default)]
struct Received {
    metrics: Vec<Metric>,
    spans: Vec<Span>,
    services: Vec<String>,
    tokens: Vec<String>,
}

impl Collector {
    async fn serve(&self, listener: TcpListener) {
        let app = Router::new()
            .route("/v1/metrics", post(take_metrics))
            .route("/v1/traces", post(take_traces))
            .with_state(self.clone());
        axum::serve(listener, app).await.expect("a collector");
    }

    fn with<T>(&self, look: impl FnOnce(&mut Received) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn spans(&self, name: &str) -> Vec<Span> {
        self.with(|got| got.spans.iter().filter(|span| span.name == name).cloned().collect())
    }

    /// The points of a number, told apart by these attributes, in the last export.
    fn number(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let metric = self.metric(name)?;
        let points = match metric.data? {
            Data::Sum(sum) => sum.data_points,
            Data::Gauge(gauge) => gauge.data_points,
            _ => return None,
        };
        let point = points.into_iter().find(|point| has(&point.attributes, labels))?;
        Some(match point.value? {
            Number::AsInt(value) => value as f64,
            Number::AsDouble(value) => value,
        })
    }

    fn histogram(&self, name: &str) -> Option<HistogramDataPoint> {
        match self.metric(name)?.data? {
            Data::Histogram(histogram) => histogram.data_points.into_iter().next(),
            _ => None,
        }
    }

    fn metric(&self, name: &str) -> Option<Metric> {
        self.with(|got| got.metrics.iter().find(|metric| metric.name == name).cloned())
    }
}

async fn take_metrics(
    State(collector): State<Collector>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportMetricsServiceRequest::decode(body).expect("the protocol's message");
    let token = headers.get("x-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
    collector.with(|got| {
        got.tokens.push(token.to_owned());
        got.metrics.clear();
        for resource in request.resource_metrics {
            let attributes = resource.resource.map(|of| of.attributes).unwrap_or_default();
            got.services.push(text(&attributes, "service.name"));
            let scopes = resource.scope_metrics.into_iter();
            got.metrics.extend(scopes.flat_map(|scope| scope.metrics));
        }
    });
    StatusCode::OK
}

async fn take_traces(State(collector): State<Collector>, body: Bytes) -> StatusCode {
    let request = ExportTraceServiceRequest::decode(body).expect("the protocol's message");
    let scopes = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
    collector.with(|got| got.spans.extend(scopes.flat_map(|scope| scope.spans)));
    StatusCode::OK
}

fn text(attributes: &[KeyValue], key: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    match found.and_then(|attribute| attribute.value.as_ref()?.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::DoubleValue(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn has(attributes: &[KeyValue], labels: &[(&str, &str)]) -> bool {
    labels.iter().all(|(key, value)| text(attributes, key) == *value)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn start(database: &str, collector: u16, settings: &str) -> Pgusher {
    let pooled =
        Cluster::shared().pooled("app", database, "pool_size = 1\nquery_wait_timeout = \"3s\"");
    let config = format!(
        r#"
{TRUSTING}
[http]
listen = "127.0.0.1:{{http_port}}"

[otlp]
endpoint = "http://127.0.0.1:{collector}/"
headers = "x-token=secret, x-other=1"
interval = "100ms"
timeout = "5s"
{settings}

{pooled}"#
    );
    Pgusher::start(env!("CARGO_BIN_EXE_pgusher"), &config)
}

async fn with_collector(database: &str, settings: &str) -> (Collector, Pgusher) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let collector = Collector::default();
    let serving = collector.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    let pgusher = start(database, port, settings);
    (collector, pgusher)
}

async fn login(pgusher: &Pgusher, application: &str) -> RawClient {
    let mut client = RawClient::connect(pgusher.port()).await;
    let params = [("user", "alice"), ("database", "app"), ("application_name", application)];
    client.startup(0, &params).await;
    client.authenticate("alice", "").await.expect("a login");
    client
}

fn traced(sql: &str, flags: &str) -> String {
    format!("{sql} /*action='x',traceparent='00-{TRACE}-{PARENT}-{flags}'*/")
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_opentelemetrys_names_and_exact_values() {
    let (collector, pgusher) = with_collector("otlp_metrics", "").await;
    let mut client = login(&pgusher, "web").await;
    for sql in ["select 1", "select 2", "begin", "select 3", "rollback", "begin", "commit"] {
        assert_eq!(client.query(sql).await.error, None, "{sql}");
    }
    assert!(client.query("select 1/0").await.error.is_some());
    let mut late = login(&pgusher, "late").await;
    assert_eq!(client.query("begin").await.error, None);
    assert_eq!(late.query("select 1").await.unwrap_error().code(), "53300");
    let of = |name: &str, key: &str, value: &str| collector.number(name, &[(key, value)]);
    let done = |result| of("pgusher.transactions", "pgusher.outcome", result);
    let timeouts = || collector.number("db.client.connection.timeouts", &[]);
    let all = wait_for(LIMIT, || {
        (done("commit"), done("rollback"), done("error")) == (Some(3.0), Some(1.0), Some(1.0))
            && timeouts() == Some(1.0)
    });
    assert!(all.await, "{:?} {:?}", collector.metric("pgusher.transactions"), timeouts());
    let pool = format!("app/{}", Cluster::shared().superuser());
    let count = |state| {
        let labels = [
            ("db.client.connection.pool.name", pool.as_str()),
            ("db.client.connection.state", state),
        ];
        collector.number("db.client.connection.count", &labels)
    };
    assert_eq!((count("used"), count("idle")), (Some(1.0), Some(0.0)));
    for (name, value) in [("max", 1.0), ("idle.max", 1.0), ("idle.min", 0.0)] {
        let number = collector.number(&format!("db.client.connection.{name}"), &[]);
        assert_eq!(number, Some(value), "{name}");
    }
    assert_eq!(collector.number("db.client.connection.pending_requests", &[]), Some(0.0));
    let waits = collector.histogram("db.client.connection.wait_time").expect("a histogram");
    // One assignment for each transaction, and for the block that is open.
    assert_eq!((waits.count, waits.bucket_counts.iter().sum::<u64>()), (6, 6));
    assert_eq!(waits.bucket_counts.len(), waits.explicit_bounds.len() + 1);
    let held = collector.histogram("db.client.connection.use_time").expect("a histogram");
    assert_eq!(held.count, 5);
    let made = collector.histogram("db.client.connection.create_time").expect("a histogram");
    assert_eq!(made.count, 1);
    collector.with(|got| {
        assert!(got.services.iter().all(|name| name == "pgusher") && !got.services.is_empty());
        assert!(got.tokens.iter().all(|token| token == "secret"));
        assert!(got.spans.is_empty(), "nobody asked for spans: {:?}", got.spans);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_joins_the_trace_its_statements_name() {
    let (collector, pgusher) = with_collector("otlp_joined", "").await;
    let mut client = login(&pgusher, "web").await;
    client.query("select 'no parent, and the ratio is 0'").await;
    client.query(&traced("select 'not sampled'", "00")).await;
    for sql in ["begin", &traced("select 1", "01"), &traced("select 2", "01"), "rollback"] {
        assert_eq!(client.query(sql).await.error, None, "{sql}");
    }
    let statement = traced("select $1::text", "01");
    assert_eq!(client.query_extended(&statement, &[Some("x")]).await.error, None);
    assert!(client.query(&traced("select 1/0", "01")).await.error.is_some());
    let spans = || collector.spans("transaction");
    assert!(wait_for(LIMIT, || spans().len() >= 3).await, "{:?}", spans());
    let spans = spans();
    let outcomes: Vec<_> =
        spans.iter().map(|span| text(&span.attributes, "pgusher.outcome")).collect();
    assert_eq!(outcomes, ["rollback", "commit", "error"]);
    let user = Cluster::shared().superuser();
    assert_ne!(user, "alice", "the client's name is shown, not the server's");
    for span in &spans {
        assert_eq!((hex(&span.trace_id), hex(&span.parent_span_id)), (TRACE.into(), PARENT.into()));
        let expected = [
            ("db.system.name", "postgresql"),
            ("db.namespace", "app"),
            ("pgusher.user", "alice"),
            ("pgusher.application_name", "web"),
            ("server.address", Cluster::shared().host()),
        ];
        assert!(has(&span.attributes, &expected), "{:?}", span.attributes);
        assert!(span.start_time_unix_nano < span.end_time_unix_nano);
    }
    let failed = |span: &Span| span.status.as_ref().map(|status| status.code);
    assert_eq!(spans.iter().map(failed).collect::<Vec<_>>(), [Some(2), Some(0), Some(2)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_is_a_span_of_its_transaction_and_one_in_vain_stands_alone() {
    let (collector, pgusher) = with_collector("otlp_waits", "").await;
    let mut holder = login(&pgusher, "holder").await;
    let mut waiter = login(&pgusher, "waiter").await;
    assert_eq!(holder.query("begin").await.error, None);
    let refused = waiter.query(&traced("select 'in vain'", "01")).await;
    assert_eq!(refused.unwrap_error().code(), "53300");
    let waiting = tokio::spawn(async move {
        // It may time out on a busy machine before the other has let go.
        while waiter.query(&traced("select 'served'", "01")).await.error.is_some() {}
    });
    let queued = || {
        pgusher
            .http_get("/metrics")
            .1
            .lines()
            .any(|line| line.starts_with("pgusher_pool_queue_length{") && line.ends_with(" 1"))
    };
    assert!(wait_for(LIMIT, queued).await);
    assert_eq!(holder.query("commit").await.error, None);
    waiting.await.expect("served in the end");
    assert!(wait_for(LIMIT, || collector.spans("transaction").len() == 1).await);
    let transaction = collector.spans("transaction").remove(0);
    let waits = collector.spans("queue wait");
    let (served, lost): (Vec<_>, Vec<_>) =
        waits.iter().partition(|wait| wait.parent_span_id == transaction.span_id);
    assert_eq!(served.len(), 1, "{waits:?}");
    assert_eq!(served[0].trace_id, transaction.trace_id);
    let told: f64 = text(&transaction.attributes, "pgusher.queue_wait").parse().expect("seconds");
    let took = served[0].end_time_unix_nano - served[0].start_time_unix_nano;
    assert!((told - took as f64 / 1e9).abs() < 1e-6 && told > 0.0, "{told} {took}");
    assert!(!lost.is_empty());
    for wait in lost {
        assert_eq!((hex(&wait.trace_id), hex(&wait.parent_span_id)), (TRACE.into(), PARENT.into()));
        assert_eq!(text(&wait.attributes, "pgusher.outcome"), "timeout");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_logins_and_transactions_without_a_parent_is_sampled() {
    let (collector, pgusher) = with_collector("otlp_sampled", "sample_ratio = 1").await;
    let mut client = login(&pgusher, "web").await;
    for _ in 0..3 {
        assert_eq!(client.query("select 1").await.error, None);
    }
    client.query(&traced("select 'its parent is not sampled'", "00")).await;
    assert_eq!(client.query("begin").await.error, None);
    drop(client);
    let transactions = || collector.spans("transaction");
    let all = wait_for(LIMIT, || transactions().len() == 4 && collector.spans("login").len() == 1);
    assert!(all.await, "{:?}", transactions());
    let outcome = |span: &Span| text(&span.attributes, "pgusher.outcome");
    assert_eq!(
        transactions().iter().map(outcome).collect::<Vec<_>>(),
        ["commit", "commit", "commit", "aborted"]
    );
    let login = collector.spans("login").remove(0);
    assert!(login.parent_span_id.is_empty() && login.trace_id.len() == 16);
    let expected =
        [("pgusher.outcome", "ok"), ("pgusher.login.method", "trust"), ("pgusher.user", "alice")];
    assert!(has(&login.attributes, &expected), "{:?}", login.attributes);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_everything_goes_on_and_what_is_lost_is_counted() {
    let port = free_port();
    let pgusher = start("otlp_gone", port, "sample_ratio = 1\nspan_queue = 4");
    let mut client = login(&pgusher, "web").await;
    for _ in 0..50 {
        assert_eq!(client.query("select 1").await.error, None);
    }
    let value = |series: &str| -> f64 {
        let (_, page) = pgusher.http_get("/metrics");
        let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.unwrap_or_else(|| panic!("{series}")).parse().expect("a number")
    };
    let failed = || value("pgusher_otlp_exports_total{signal=\"metrics\",result=\"failed\"}");
    let dropped = || value("pgusher_otlp_spans_dropped_total");
    let queued =
        value("pgusher_pool_assignments_total{database=\"app\",user=\"postgres\",queued=\"true\"}");
    let spans = 51.0 + queued;
    assert!(wait_for(LIMIT, || failed() >= 3.0 && dropped() >= spans).await, "{}", dropped());
    assert_eq!(dropped(), spans, "50 transactions, a login, and {queued} waits for the server");
    pgusher.wait_log("exports fail", LIMIT);
    let complaints = || pgusher.log().matches("exports fail").count();
    assert!((1..=2).contains(&complaints()), "one for each address: {}", pgusher.log());
    let collector = Collector::default();
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("the same port");
    let serving = collector.clone();
    tokio::spawn(async move { serving.serve(listener).await });
    assert!(wait_for(LIMIT, || collector.metric("pgusher.queries").is_some()).await);
    pgusher.wait_log("exports succeed again", LIMIT);
    assert_eq!(collector.number("pgusher.queries", &[]), Some(50.0));
}
