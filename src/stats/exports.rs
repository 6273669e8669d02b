//! Exports to a collector, counted.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is exported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// The metrics.
    Metrics,
    /// Spans.
    Traces,
}

/// Exports by signal and result.
#[derive(Debug, Default)]
pub struct Exports([[AtomicU64; 2]; 2]);

impl Exports {
    /// One has ended.
    pub fn count(&self, signal: Signal, is_ok: bool) {
        if let Some(count) = self.cell(signal, is_ok) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn cell(&self, signal: Signal, is_ok: bool) -> Option<&AtomicU64> {
        self.0.get(signal as usize)?.get(usize::from(is_ok))
    }

    /// All of them: signal, result, count.
    pub fn all(&self) -> [(&'static str, &'static str, u64); 4] {
        let of = |signal, is_ok| {
            self.cell(signal, is_ok).map_or(0, |count| count.load(Ordering::Relaxed))
        };
        [
            ("metrics", "ok", of(Signal::Metrics, true)),
            ("metrics", "failed", of(Signal::Metrics, false)),
            ("traces", "ok", of(Signal::Traces, true)),
            ("traces", "failed", of(Signal::Traces, false)),
        ]
    }
}
