//! What the clients of a window do, put down once, to be replayed through pools of many sizes.

use std::ops::Range;

use super::law::Law;
use super::sweep::steps;
use super::window::{Window, times};

/// What makes a client ask again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// It asks as long after its last answer as it did when it was recorded: a client that waits asks later, and one
    /// that need not wait asks sooner. Its requests are repeated for as long as the window is.
    AfterReplies,
    /// It asks when it asked when it was recorded, whatever became of its other requests.
    AsRecorded,
}

impl Arrivals {
    /// How the clients of a window behave. Whoever comes back within it is a client that waits for its answers; where
    /// most requests are of such clients, times are from reply to request, else each request stands for itself.
    pub fn of(window: &Window) -> Self {
        let again = window.requests.len() - window.clients();
        let is_closed = 2 * again >= window.requests.len();
        if is_closed { Arrivals::AfterReplies } else { Arrivals::AsRecorded }
    }
}

/// What the clients of a window do.
#[derive(Clone, Debug)]
pub struct Script {
    /// How servers slow each other down, and did when the window was recorded.
    pub(super) law: Law,
    /// How long it is, in microseconds.
    pub(super) length: f64,
    /// The requests, those of one source side by side.
    pub(super) needs: Vec<Need>,
    pub(super) sources: Vec<Source>,
    /// Sources begin again behind their last request.
    pub(super) repeats: bool,
}

/// What one client does: requests, one after the other.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// When the first is made.
    pub(super) first: f64,
    /// Where its requests begin.
    pub(super) from: usize,
    /// Where they have ended.
    pub(super) to: usize,
}

/// What one request needs, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    /// From the reply before to this request; before the first one, from the last.
    pub(super) thinking: f64,
    pub(super) work: f64,
    /// How long it keeps its server without asking anything of it.
    pub(super) silence: f64,
}

impl Script {
    /// What clients do who come like this to servers that are under this law.
    pub fn new(window: &Window, law: Law, arrivals: Arrivals) -> Self {
        let works = works(window, law);
        let mut script = Script {
            law,
            length: window.length,
            needs: Vec::with_capacity(window.requests.len()),
            sources: Vec::new(),
            repeats: arrivals == Arrivals::AfterReplies,
        };
        match arrivals {
            Arrivals::AsRecorded => {
                for (at, &work) in works.iter().enumerate() {
                    script.needs.push(need(window, at, work, 0.0));
                    script.end_source(at..at + 1, window, at);
                }
            }
            Arrivals::AfterReplies => {
                let by_client = window.by_client();
                for requests in by_client.chunk_by(|one, next| one.0 == next.0) {
                    script.add_client(requests, window, &works);
                }
            }
        }
        script
    }

    /// One client's requests, with its times for thinking.
    fn add_client(&mut self, requests: &[(u32, usize)], window: &Window, works: &[f64]) {
        let (Some(&(_, first)), Some(&(_, last))) = (requests.first(), requests.last()) else {
            return;
        };
        let of = |at: usize| times(&window.requests[at]);
        let from = self.needs.len();
        // From its last reply to the end of the window, and from there, which is its beginning again, to its first
        // request.
        let around = (window.length - of(last).released).max(0.0);
        let mut thinking = around + of(first).arrived.max(0.0);
        for (place, &(_, at)) in requests.iter().enumerate() {
            if let Some(&(_, before)) = place.checked_sub(1).and_then(|before| requests.get(before))
            {
                thinking = (of(at).arrived - of(before).released).max(0.0);
            }
            self.needs.push(need(window, at, works[at], thinking));
        }
        self.end_source(from..self.needs.len(), window, first);
    }

    fn end_source(&mut self, needs: Range<usize>, window: &Window, first: usize) {
        let first = times(&window.requests[first]).arrived.max(0.0);
        self.sources.push(Source { first, from: needs.start, to: needs.end });
    }
}

fn need(window: &Window, at: usize, work: f64, thinking: f64) -> Need {
    let times = times(&window.requests[at]);
    // What is left of it, where it began before the window did.
    let silence = (times.released - times.silent.max(0.0)).max(0.0);
    // What waited at the end was given no time to work in the window; it has its hold still before it.
    let unseen = if times.assigned >= window.length { times.silent - times.assigned } else { 0.0 };
    Need { thinking, work: work + unseen, silence }
}

/// How much work each request was, were it alone: the time it worked, each moment by how slow servers were then.
fn works(window: &Window, law: Law) -> Vec<f64> {
    let (mut working, mut clock, mut now) = (0_u32, 0.0, 0.0);
    let mut works = vec![0.0; window.requests.len()];
    for step in steps(window) {
        clock += (step.at - now) / law.slowdown(f64::from(working));
        now = step.at;
        let sign = if step.begins { -1.0 } else { 1.0 };
        works[step.request] += sign * clock;
        working = if step.begins { working + 1 } else { working - 1 };
    }
    works
}
