//! Metrics as the protocol has them: OpenTelemetry's names for connection pools, and pgusher's own for the rest.

use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, metric::Data,
};
use opentelemetry_proto::tonic::resource::v1::Resource;

use super::{attributes, nanos, scope, text};
use crate::stats::{
    DatabaseFacts, HistogramTotal, PoolFacts, Snapshot, Total, WaitOutcome, seconds,
};

const POOL: &str = "db.client.connection.pool.name";

pub(super) fn request(
    snapshot: &Snapshot,
    resource: Resource,
    started: SystemTime,
) -> ExportMetricsServiceRequest {
    let clock = Clock { started: nanos(started), now: nanos(SystemTime::now()) };
    let view = View { snapshot, clock };
    let metrics = [connections(&view), waits(&view), traffic(&view)].concat();
    ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource),
            scope_metrics: vec![ScopeMetrics {
                scope: Some(scope()),
                metrics,
                ..ScopeMetrics::default()
            }],
            ..ResourceMetrics::default()
        }],
    }
}

/// What counters are counted from, and until.
#[derive(Clone, Copy)]
struct Clock {
    started: u64,
    now: u64,
}

struct View<'a> {
    snapshot: &'a Snapshot,
    clock: Clock,
}

impl View<'_> {
    /// A number of each pool.
    fn of_pools(&self, value: impl Fn(&PoolFacts) -> Number) -> Vec<NumberDataPoint> {
        let points = self.snapshot.pools.iter();
        points.map(|pool| self.point(labels(pool), value(pool))).collect()
    }

    /// Numbers of each pool, told apart by one more attribute.
    fn by<const N: usize>(
        &self,
        key: &str,
        values: impl Fn(&PoolFacts) -> [(&'static str, Number); N],
    ) -> Vec<NumberDataPoint> {
        let mut points = Vec::with_capacity(self.snapshot.pools.len() * N);
        for pool in &self.snapshot.pools {
            for (value, number) in values(pool) {
                let mut labels = labels(pool);
                labels.extend(attributes([(key, text(value))]));
                points.push(self.point(labels, number));
            }
        }
        points
    }

    fn point(&self, attributes: Vec<KeyValue>, value: Number) -> NumberDataPoint {
        NumberDataPoint {
            attributes,
            start_time_unix_nano: self.clock.started,
            time_unix_nano: self.clock.now,
            value: Some(value),
            ..NumberDataPoint::default()
        }
    }

    fn times(&self, attributes: Vec<KeyValue>, total: &HistogramTotal) -> HistogramDataPoint {
        let bounds = &self.snapshot.bounds;
        let mut counts = total.counts.clone();
        counts.resize(bounds.len() + 1, 0);
        HistogramDataPoint {
            attributes,
            start_time_unix_nano: self.clock.started,
            time_unix_nano: self.clock.now,
            count: total.count(),
            sum: Some(seconds(total.sum_micros)),
            bucket_counts: counts,
            explicit_bounds: bounds.iter().map(|&bound| seconds(bound)).collect(),
            ..HistogramDataPoint::default()
        }
    }

    /// A histogram of each pool.
    fn histogram(
        &self,
        (name, unit): (&str, &str),
        about: &str,
        total: impl Fn(&PoolFacts) -> &HistogramTotal,
    ) -> Metric {
        let pools = self.snapshot.pools.iter();
        let points = pools.map(|pool| self.times(labels(pool), total(pool)));
        histogram((name, unit), about, points.collect())
    }
}

/// OpenTelemetry's names for pools.
fn connections(view: &View<'_>) -> Vec<Metric> {
    let create =
        |of: &DatabaseFacts| view.times(attributes([(POOL, text(&of.name))]), &of.connect_took);
    let unit = "{connection}";
    vec![
        gauge_sum(
            ("db.client.connection.count", unit),
            "Servers of a pool, by state.",
            view.by("db.client.connection.state", |pool| {
                let free = pool.in_state.idle + pool.in_state.used;
                [("idle", count(free)), ("used", count(pool.in_state.total() - free))]
            }),
        ),
        gauge_sum(
            ("db.client.connection.max", unit),
            "Servers a pool may have.",
            view.of_pools(|pool| count(pool.size)),
        ),
        gauge_sum(
            ("db.client.connection.idle.max", unit),
            "Free servers a pool may have.",
            view.of_pools(|pool| count(pool.size)),
        ),
        gauge_sum(
            ("db.client.connection.idle.min", unit),
            "Servers a pool keeps open.",
            view.of_pools(|pool| count(pool.least)),
        ),
        gauge_sum(
            ("db.client.connection.pending_requests", "{request}"),
            "Clients that wait for a server.",
            view.of_pools(|pool| count(pool.queue)),
        ),
        counter(
            ("db.client.connection.timeouts", "{timeout}"),
            "Waits for a server that were given up.",
            view.of_pools(|pool| whole(pool.waits_of(WaitOutcome::Timeout).count())),
        ),
        histogram(
            ("db.client.connection.create_time", "s"),
            "Connect and login of a server together, by database.",
            view.snapshot.databases.iter().map(create).collect(),
        ),
        view.histogram(
            ("db.client.connection.wait_time", "s"),
            "How long clients waited for the server they got.",
            |pool| pool.waits_of(WaitOutcome::Assigned),
        ),
        view.histogram(
            ("db.client.connection.use_time", "s"),
            "How long clients held a server.",
            |pool| &pool.hold,
        ),
    ]
}

/// What else is to be known of waiting.
fn waits(view: &View<'_>) -> Vec<Metric> {
    let micros = |name, about, value: fn(&PoolFacts) -> u64| {
        let points = view.of_pools(|pool| Number::AsDouble(seconds(value(pool))));
        counter((name, "s"), about, points)
    };
    let ended = |pool: &PoolFacts| {
        WaitOutcome::ALL.map(|outcome| (outcome.as_str(), whole(pool.waits_of(outcome).count())))
    };
    vec![
        gauge(
            ("pgusher.pool.oldest_wait", "s"),
            "How long the first in the queue has waited.",
            view.of_pools(|pool| Number::AsDouble(pool.oldest_wait.as_secs_f64())),
        ),
        counter(
            ("pgusher.pool.waits", "{wait}"),
            "Waits for a server, by outcome.",
            view.by("pgusher.outcome", ended),
        ),
        micros("pgusher.pool.queue_time", "Integral of the queue's length.", |pool| {
            pool.queue_micros
        }),
        micros("pgusher.pool.busy_time", "Integral of servers in use.", |pool| pool.busy_micros),
        micros("pgusher.pool.saturated_time", "Time with every server in use.", |pool| {
            pool.saturated_micros
        }),
        micros(
            "pgusher.pool.idle_in_transaction_time",
            "Time that servers waited for their clients inside transactions.",
            |pool| pool.idle_in_transaction_micros,
        ),
    ]
}

/// What goes through.
fn traffic(view: &View<'_>) -> Vec<Metric> {
    let transactions =
        |pool: &PoolFacts| pool.transactions().map(|(result, count)| (result, whole(count)));
    let clients = |pool: &PoolFacts| {
        [
            ("idle", count(pool.clients.idle)),
            ("active", count(pool.clients.active)),
            ("waiting", count(pool.clients.waiting)),
        ]
    };
    vec![
        gauge_sum(
            ("pgusher.client.connections", "{connection}"),
            "Clients, by state.",
            view.by("pgusher.client.state", clients),
        ),
        counter(
            ("pgusher.transactions", "{transaction}"),
            "Transactions, by result.",
            view.by("pgusher.outcome", transactions),
        ),
        counter(
            ("pgusher.queries", "{query}"),
            "Queries.",
            view.of_pools(|pool| whole(pool.totals.get(Total::Queries))),
        ),
        view.histogram(
            ("pgusher.query.duration", "s"),
            "From sending a request to ReadyForQuery.",
            |pool| &pool.query,
        ),
    ]
}

fn labels(pool: &PoolFacts) -> Vec<KeyValue> {
    let name = format!("{}/{}", pool.database, pool.user);
    attributes([(POOL, text(&name)), ("db.namespace", text(&pool.database))])
}

fn counter((name, unit): (&str, &str), about: &str, points: Vec<NumberDataPoint>) -> Metric {
    sum((name, unit), about, points, true)
}

/// A number that goes up and down, and means something when it is added up.
fn gauge_sum((name, unit): (&str, &str), about: &str, points: Vec<NumberDataPoint>) -> Metric {
    sum((name, unit), about, points, false)
}

fn sum(
    (name, unit): (&str, &str),
    about: &str,
    data_points: Vec<NumberDataPoint>,
    is_monotonic: bool,
) -> Metric {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    let data = Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic });
    metric((name, unit), about, data)
}

fn gauge((name, unit): (&str, &str), about: &str, data_points: Vec<NumberDataPoint>) -> Metric {
    metric((name, unit), about, Data::Gauge(Gauge { data_points }))
}

fn histogram(
    (name, unit): (&str, &str),
    about: &str,
    data_points: Vec<HistogramDataPoint>,
) -> Metric {
    let aggregation_temporality = AggregationTemporality::Cumulative.into();
    metric((name, unit), about, Data::Histogram(Histogram { data_points, aggregation_temporality }))
}

fn metric((name, unit): (&str, &str), about: &str, data: Data) -> Metric {
    Metric {
        name: name.to_owned(),
        description: about.to_owned(),
        unit: unit.to_owned(),
        data: Some(data),
        ..Metric::default()
    }
}

fn count(number: usize) -> Number {
    Number::AsInt(i64::try_from(number).unwrap_or(i64::MAX))
}

fn whole(number: u64) -> Number {
    Number::AsInt(i64::try_from(number).unwrap_or(i64::MAX))
}
