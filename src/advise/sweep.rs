//! A window from its beginning to its end, event by event.

use super::window::{Window, times};

/// How many servers worked at the same time, told in the order of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    /// When it happened.
    pub(super) at: f64,
    /// Which request began or stopped to work.
    pub(super) request: usize,
    /// It began.
    pub(super) begins: bool,
}

/// Every beginning and every end of work within the window. Where one server is handed on, its end comes first.
pub(super) fn steps(window: &Window) -> Vec<Step> {
    let mut steps = Vec::with_capacity(2 * window.requests.len());
    for (request, facts) in window.requests.iter().enumerate() {
        let times = times(facts);
        let (from, to) = (times.assigned.max(0.0), times.silent.min(window.length));
        if from < to {
            steps.push(Step { at: from, request, begins: true });
            steps.push(Step { at: to, request, begins: false });
        }
    }
    steps.sort_by(|one, other| one.at.total_cmp(&other.at).then(one.begins.cmp(&other.begins)));
    steps
}
