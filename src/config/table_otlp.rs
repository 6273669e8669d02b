//! The settings of `[otlp]`, and the kinds of value that only they have.

use super::kinds::{Count, Kind, Pause, Reading};
use super::resolved_otlp::Otlp;
use super::setting::{RELOAD, RESTART, section_table};
use super::tree::{Node, Value};
use super::words::{OptionalPath, OptionalSecret};

section_table! {
    /// `[otlp]`.
    OTLP for Otlp, shown as "otlp." {
        endpoint: Endpoint = "http://127.0.0.1:4318", RESTART,
            "The collector's address for OTLP over HTTP, http:// or https://; /v1/metrics and /v1/traces are put behind it.";
        headers: OptionalSecret = "", RESTART,
            "Headers of every export, name=value with commas between; write ${VAR} for a secret of the environment.";
        headers_file: OptionalPath = "", RESTART,
            "The same from a file, one to a line.";
        interval: Pause = "30s", RESTART,
            "How often metrics are exported; spans go every second.";
        timeout: Pause = "10s", RESTART,
            "Longest time for one export, connecting included.";
        sample_ratio: Ratio = "0", RELOAD,
            "Part of the logins and transactions without a traceparent that become spans, from 0 to 1; one with a traceparent does as that says.";
        span_queue: Count<1> = "2048", RESTART,
            "Spans that may wait to be exported; more are dropped, and counted.";
    }
}

/// The beginning of an address on the web.
pub(super) struct Endpoint;

impl Kind for Endpoint {
    type Value = String;

    const UNIT: &'static str = "URL";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<String> {
        let text = cx.text(node, "a URL in quotes")?.trim_end_matches('/');
        let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        let authority = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
        let is_plain = text.chars().all(|c| c.is_ascii_graphic());
        if authority.is_empty() || authority.contains('@') || !is_plain {
            let help = "write http://host:4318".to_owned();
            cx.wrong(node.at, "expected a URL that begins with http:// or https://", Some(help));
            return None;
        }
        Some(text.to_owned())
    }

    fn show(value: &String) -> String {
        value.clone()
    }
}

/// A number from 0 to 1.
pub(super) struct Ratio;

impl Kind for Ratio {
    type Value = f64;

    const UNIT: &'static str = "number";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<f64> {
        let shown = match &node.value {
            Value::Fraction(shown) | Value::Integer { shown, .. } => shown,
            Value::Text { text, loose: true } => text,
            _ => return cx.mismatch(node, "a number from 0 to 1", None),
        };
        let ratio = shown.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        if ratio.is_none() {
            cx.wrong(node.at, &format!("{shown} is out of range; it must be from 0 to 1"), None);
        }
        ratio
    }

    fn show(value: &f64) -> String {
        value.to_string()
    }
}
