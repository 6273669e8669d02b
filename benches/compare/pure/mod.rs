//! What can be tested without running anything; `tests/compare.rs` does.

pub(crate) mod bars;
#[path = "../../shared/median.rs"]
pub(crate) mod median;
pub(crate) mod numbers;
pub(crate) mod options;
pub(crate) mod pgbench_text;
pub(crate) mod strace_text;
pub(crate) mod table;
