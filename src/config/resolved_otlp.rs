//! `[otlp]`, checked.

use std::path::PathBuf;
use std::time::Duration;

use crate::secret::Secret;

/// `[otlp]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Otlp {
    /// The collector's address.
    pub endpoint: String,
    /// Headers of every export: name=value, separated by commas or by ends of lines.
    pub headers: Option<Secret>,
    /// Where they stand, if in a file.
    pub headers_file: Option<PathBuf>,
    /// How often metrics are exported.
    pub interval: Duration,
    /// Longest time for one export.
    pub timeout: Duration,
    /// Part of what has no traceparent that becomes spans.
    pub sample_ratio: f64,
    /// Spans that may wait to be exported.
    pub span_queue: usize,
}

impl Otlp {
    /// The headers, by name.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        let text = self.headers.as_ref().map_or("", Secret::expose);
        let lines = text.split([',', '\n']).map(str::trim).filter(|line| !line.is_empty());
        lines.map(|line| {
            // What is no pair has no name, which is a mistake that is reported.
            let (name, value) = line.split_once('=').unwrap_or(("", line));
            (name.trim(), value.trim())
        })
    }
}
