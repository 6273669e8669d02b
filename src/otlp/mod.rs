//! Metrics and spans for an OpenTelemetry collector, by OTLP over HTTP.
//!
//! `metrics` and `spans` turn what pgusher knows into the protocol's messages, `post` sends them. The metrics are made
//! of the same snapshot as every other view of the process. A collector that is slow or gone costs nothing but what it
//! would have been told: spans wait in a queue that has an end, and failures are counted, and logged when they begin.

mod metrics;
mod post;
mod spans;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::config::Otlp;
use crate::stats::{Exports, Signal, Snapshot, Span, Tracer};
use post::Poster;

/// How long a span waits for company at most.
const SOON: Duration = Duration::from_secs(1);
/// So many spans are sent at once.
const TOGETHER: usize = 512;

/// Where the numbers are, and where exports are counted.
pub trait Source: Send + Sync + 'static {
    /// Everything now.
    fn snapshot(&self) -> Snapshot;

    /// Exports, counted.
    fn exports(&self) -> &Exports;

    /// Where spans are lost.
    fn tracer(&self) -> &Tracer;
}

/// Sends metrics and spans.
#[derive(Debug)]
pub struct Exporter {
    metrics: Poster,
    traces: Poster,
    resource: Resource,
    started: SystemTime,
    interval: Duration,
}

impl Exporter {
    /// One for this collector.
    ///
    /// # Errors
    /// TLS cannot be had.
    pub fn new(settings: &Otlp, instance: String) -> Result<Self, String> {
        let resource = [
            ("service.name", text("pgusher")),
            ("service.version", text(env!("CARGO_PKG_VERSION"))),
            ("service.instance.id", text(&instance)),
        ];
        Ok(Exporter {
            metrics: Poster::new(settings, "/v1/metrics")?,
            traces: Poster::new(settings, "/v1/traces")?,
            resource: Resource { attributes: attributes(resource), ..Resource::default() },
            started: SystemTime::now(),
            interval: settings.interval,
        })
    }

    /// Exports until `end` comes back, and then once more.
    pub async fn run(
        mut self,
        source: Arc<dyn Source>,
        mut spans: mpsc::Receiver<Span>,
        end: impl Future<Output = ()>,
    ) {
        let (mut due, mut soon) = (calm(self.interval), calm(SOON));
        // The first tick is at once, when there is nothing to tell.
        due.tick().await;
        let mut gathered = Vec::new();
        let mut end = std::pin::pin!(end);
        loop {
            tokio::select! {
                _ = due.tick() => self.send_metrics(source.as_ref()).await,
                _ = soon.tick() => self.send_spans(&mut gathered, source.as_ref()).await,
                taken = spans.recv_many(&mut gathered, TOGETHER), if gathered.len() < TOGETHER => {
                    if taken == 0 || gathered.len() >= TOGETHER {
                        self.send_spans(&mut gathered, source.as_ref()).await;
                    }
                }
                () = &mut end => break,
            }
        }
        spans.close();
        while spans.recv_many(&mut gathered, TOGETHER).await > 0 {}
        self.send_spans(&mut gathered, source.as_ref()).await;
        self.send_metrics(source.as_ref()).await;
    }

    async fn send_metrics(&mut self, source: &dyn Source) {
        let request = metrics::request(&source.snapshot(), self.resource.clone(), self.started);
        let sent = self.metrics.send(Bytes::from(request.encode_to_vec())).await;
        source.exports().count(Signal::Metrics, sent);
    }

    async fn send_spans(&mut self, gathered: &mut Vec<Span>, source: &dyn Source) {
        if gathered.is_empty() {
            return;
        }
        let count = gathered.len();
        let request = spans::request(gathered.drain(..), self.resource.clone());
        let sent = self.traces.send(Bytes::from(request.encode_to_vec())).await;
        source.exports().count(Signal::Traces, sent);
        if !sent {
            source.tracer().lose(count);
        }
    }
}

/// A clock that does not hurry after it was late.
fn calm(period: Duration) -> Interval {
    let mut clock = interval(period);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    clock
}

/// Who says all this.
fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "pgusher".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

fn attributes<'a>(all: impl IntoIterator<Item = (&'a str, Value)>) -> Vec<KeyValue> {
    let attribute = |(key, value): (&str, Value)| KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    };
    all.into_iter().map(attribute).collect()
}

/// Nanoseconds since 1970.
fn nanos(moment: SystemTime) -> u64 {
    let since = moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
