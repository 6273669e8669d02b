//! Spans as the protocol has them.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1 as wire;

use super::{attributes, nanos, scope};
use crate::stats::{Fact, Span};

pub(super) fn request(
    spans: impl Iterator<Item = Span>,
    resource: Resource,
) -> ExportTraceServiceRequest {
    let scope_spans = wire::ScopeSpans {
        scope: Some(scope()),
        spans: spans.map(span).collect(),
        ..wire::ScopeSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![wire::ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![scope_spans],
            ..wire::ResourceSpans::default()
        }],
    }
}

fn span(span: Span) -> wire::Span {
    let Span { identity, name, began, took, failed, facts } = span;
    let value = |fact: Fact| match fact {
        Fact::Text(text) => Value::StringValue(text),
        Fact::Count(count) => Value::IntValue(count),
        Fact::Seconds(seconds) => Value::DoubleValue(seconds),
    };
    let code =
        if failed { wire::status::StatusCode::Error } else { wire::status::StatusCode::Unset };
    wire::Span {
        trace_id: identity.trace.to_be_bytes().to_vec(),
        span_id: identity.span.to_be_bytes().to_vec(),
        parent_span_id: match identity.parent {
            0 => Vec::new(),
            parent => parent.to_be_bytes().to_vec(),
        },
        // Sampled, or it would not be here.
        flags: 1,
        name: name.to_owned(),
        kind: wire::span::SpanKind::Internal.into(),
        start_time_unix_nano: nanos(began),
        end_time_unix_nano: nanos(began + took),
        attributes: attributes(facts.into_iter().map(|(key, fact)| (key, value(fact)))),
        status: Some(wire::Status { code: code.into(), ..wire::Status::default() }),
        ..wire::Span::default()
    }
}
