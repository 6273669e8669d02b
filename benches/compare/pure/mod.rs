//! What can be tested without running anything; `tests/compare.rs` does.

pub(crate) mod bars;
pub(crate) mod numbers;
pub(crate) mod options;
pub(crate) mod pgbench_text;
pub(crate) mod strace_text;
pub(crate) mod table;
