//! Prometheus' text format.

use std::fmt::{Display, Write};
use std::time::SystemTime;

use metrics_exporter_prometheus::formatting::{write_help_line, write_type_line};

use crate::stats::{HistogramTotal, seconds};

/// A label and its value.
pub(super) type Label<'a> = (&'static str, &'a str);

/// Labels as a page has them, put together once for the many series that have them.
#[derive(Debug)]
pub(super) struct Labels(String);

impl Labels {
    /// These.
    pub(super) fn new(labels: &[Label<'_>]) -> Self {
        let mut text = String::new();
        push_labels(&mut text, labels);
        Labels(text)
    }
}

/// A page under construction.
#[derive(Default)]
pub(super) struct Page(String);

impl Page {
    /// A page that will have about so many bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Page(String::with_capacity(bytes))
    }

    /// Begins a counter; its name ends in `_total`.
    pub(super) fn counter(&mut self, name: &'static str, help: &str) -> Family<'_> {
        debug_assert!(name.ends_with("_total"), "{name}");
        self.family(name, help, "counter")
    }

    /// Begins a gauge.
    pub(super) fn gauge(&mut self, name: &'static str, help: &str) -> Family<'_> {
        self.family(name, help, "gauge")
    }

    /// Begins a histogram of durations; its name ends in `_seconds`.
    pub(super) fn histogram(&mut self, name: &'static str, help: &str) -> Family<'_> {
        debug_assert!(name.ends_with("_seconds"), "{name}");
        self.family(name, help, "histogram")
    }

    fn family(&mut self, name: &'static str, help: &str, kind: &str) -> Family<'_> {
        write_help_line(&mut self.0, name, None, None, help);
        write_type_line(&mut self.0, name, None, None, kind);
        Family { name, out: &mut self.0, bounds: Vec::new(), start: String::new() }
    }

    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// A metric whose values are being written.
pub(super) struct Family<'a> {
    name: &'static str,
    out: &'a mut String,
    /// Bounds of buckets as they are written.
    bounds: Vec<String>,
    /// What the buckets of one histogram have in common.
    start: String,
}

impl Family<'_> {
    /// One value.
    pub(super) fn value(&mut self, labels: &[Label<'_>], value: impl Display) -> &mut Self {
        self.line("", None, labels, value);
        self
    }

    /// One value of a series that has `more` labels behind some known ones.
    pub(super) fn value_of(
        &mut self,
        known: &Labels,
        more: &[Label<'_>],
        value: impl Display,
    ) -> &mut Self {
        self.line("", Some(known), more, value);
        self
    }

    /// A number of microseconds, in seconds.
    pub(super) fn micros(&mut self, labels: &[Label<'_>], micros: u64) -> &mut Self {
        self.value(labels, seconds(micros))
    }

    /// The same behind known labels.
    pub(super) fn micros_of(
        &mut self,
        known: &Labels,
        more: &[Label<'_>],
        micros: u64,
    ) -> &mut Self {
        self.value_of(known, more, seconds(micros))
    }

    /// A moment, in seconds since 1970; 0 for none.
    pub(super) fn moment(&mut self, moment: Option<SystemTime>) -> &mut Self {
        let since = moment.and_then(|moment| moment.duration_since(SystemTime::UNIX_EPOCH).ok());
        self.value(&[], since.map_or(0.0, |since| since.as_secs_f64()))
    }

    /// A whole histogram; `bounds` are those it was counted by.
    pub(super) fn observations(
        &mut self,
        known: Option<&Labels>,
        more: &[Label<'_>],
        bounds: &[u64],
        total: &HistogramTotal,
    ) -> &mut Self {
        if self.bounds.is_empty() {
            let written = bounds.iter().map(|&bound| seconds(bound).to_string());
            self.bounds = written.chain(std::iter::once("+Inf".to_owned())).collect();
        }
        // Most of a page is buckets: what they have in common is put together once.
        self.start.clear();
        push_series(&mut self.start, (self.name, "_bucket"), known, more);
        let has_labels = known.is_some() || !more.is_empty();
        self.start.push_str(if has_labels { ",le=\"" } else { "{le=\"" });
        let mut below = 0;
        for (at, bound) in self.bounds.iter().enumerate() {
            below += total.counts.get(at).copied().unwrap_or_default();
            self.out.push_str(&self.start);
            self.out.push_str(bound);
            // Writing to a String does not fail.
            let _ = writeln!(self.out, "\"}} {below}");
        }
        self.line("_sum", known, more, seconds(total.sum_micros));
        self.line("_count", known, more, below);
        self
    }

    fn line(
        &mut self,
        suffix: &str,
        known: Option<&Labels>,
        more: &[Label<'_>],
        value: impl Display,
    ) {
        push_series(self.out, (self.name, suffix), known, more);
        if known.is_some() || !more.is_empty() {
            self.out.push('}');
        }
        // Writing to a String does not fail.
        let _ = writeln!(self.out, " {value}");
    }
}

/// A series' name and labels, without the closing brace.
fn push_series(
    out: &mut String,
    (name, suffix): (&str, &str),
    known: Option<&Labels>,
    more: &[Label<'_>],
) {
    out.push_str(name);
    out.push_str(suffix);
    if known.is_some() || !more.is_empty() {
        out.push('{');
    }
    if let Some(Labels(text)) = known {
        out.push_str(text);
        if !more.is_empty() {
            out.push(',');
        }
    }
    push_labels(out, more);
}

fn push_labels(out: &mut String, labels: &[Label<'_>]) {
    for (at, (name, value)) in labels.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        out.push_str(name);
        out.push_str("=\"");
        push_escaped(out, value);
        out.push('"');
    }
}

/// Escapes a label's value. Different values stay different: the crate's own escaping drops a backslash before a
/// quote, and two users named so would make one series twice, which makes Prometheus refuse the whole page.
fn push_escaped(out: &mut String, value: &str) {
    if !value.contains(['\\', '"', '\n']) {
        return out.push_str(value);
    }
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            other => out.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped_and_stay_different() {
        let mut page = Page::default();
        let mut family = page.gauge("g", "A gauge.");
        family.value(&[("a", r#"x\"y"#), ("b", "1\n2")], 1).value(&[("a", r#"x"y"#)], 2.5);
        let expected = "# HELP g A gauge.\n# TYPE g gauge\ng{a=\"x\\\\\\\"y\",b=\"1\\n2\"} 1\ng{a=\"x\\\"y\"} 2.5\n";
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn histograms_are_cumulative_and_in_seconds() {
        let mut page = Page::default();
        let total = HistogramTotal { counts: vec![2, 0, 3], sum_micros: 1_500_100 };
        let known = Labels::new(&[("d", "x")]);
        let mut family = page.histogram("h_seconds", "Help.");
        family.observations(Some(&known), &[("e", "y")], &[100, 250_000], &total);
        let text = page.into_text();
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                r#"h_seconds_bucket{d="x",e="y",le="0.0001"} 2"#,
                r#"h_seconds_bucket{d="x",e="y",le="0.25"} 2"#,
                r#"h_seconds_bucket{d="x",e="y",le="+Inf"} 5"#,
                r#"h_seconds_sum{d="x",e="y"} 1.5001"#,
                r#"h_seconds_count{d="x",e="y"} 5"#,
            ]
        );
    }

    #[test]
    fn an_empty_histogram_is_whole() {
        let mut page = Page::default();
        page.histogram("h_seconds", "Help.").observations(
            None,
            &[],
            &[100],
            &HistogramTotal::default(),
        );
        assert!(page.into_text().ends_with(
            "h_seconds_bucket{le=\"0.0001\"} 0\nh_seconds_bucket{le=\"+Inf\"} 0\nh_seconds_sum 0\nh_seconds_count 0\n"
        ));
    }
}
