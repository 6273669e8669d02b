//! The requests of a window once more, in virtual time, through a pool of another size.
//!
//! Each request brings the work that it brought when it was recorded; how long that takes depends on how many servers
//! work at the same time, by the law. Who waits is served in the order of arrival.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::forecast::Replayed;
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

/// What is different from the recording, beside the size.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// How many times as much is asked.
    pub load: f64,
    /// Clients are never silent while they have a server.
    pub no_silence: bool,
}

impl Default for Change {
    fn default() -> Self {
        Change { load: 1.0, no_silence: false }
    }
}

impl Arrivals {
    /// How the clients of a window behave. Whoever comes back within it is a client that waits for its answers; where
    /// most requests are of such clients, times are from reply to request, else each request stands for itself.
    pub fn of(window: &Window) -> Self {
        let again: usize = window.by_client().values().map(|requests| requests.len() - 1).sum();
        let is_closed = 2 * again >= window.requests.len();
        if is_closed { Arrivals::AfterReplies } else { Arrivals::AsRecorded }
    }
}

/// Runs the requests of a window through a pool of `size` servers.
pub fn replay(
    window: &Window,
    law: Law,
    size: usize,
    arrivals: Arrivals,
    change: Change,
) -> Replayed {
    let size = size.max(1);
    let mut run = Run {
        law,
        size,
        sources: sources(window, law, arrivals, change),
        now: 0.0,
        worked: 0.0,
        working: BinaryHeap::new(),
        silent: BinaryHeap::new(),
        coming: BinaryHeap::new(),
        queue: VecDeque::new(),
        waits: Vec::new(),
        done: 0,
        held: 0.0,
        saturated: 0.0,
    };
    for (source, chain) in run.sources.iter().enumerate() {
        run.coming.push(Reverse((Moment(chain.first), source)));
    }
    run.until(window.length);
    let unserved = run.queue.iter().filter(|(since, _)| *since > 0.0);
    run.waits.extend(unserved.map(|(since, _)| window.length - since));
    Replayed {
        waits: run.waits,
        done: run.done,
        held: run.held,
        saturated: run.saturated,
        length: window.length,
    }
}

/// A time that can be sorted.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Moment(f64);

impl Eq for Moment {}

impl PartialOrd for Moment {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Moment {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// What one client does: requests, one after the other.
struct Source {
    /// When the first is made.
    first: f64,
    requests: Vec<Need>,
    next: usize,
    /// Begins again behind the last.
    repeats: bool,
}

/// What one request needs.
#[derive(Clone, Copy)]
struct Need {
    /// From the reply before to this request; before the first one, from the last.
    thinking: f64,
    work: f64,
    silence: f64,
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

fn sources(window: &Window, law: Law, arrivals: Arrivals, change: Change) -> Vec<Source> {
    let works = works(window, law);
    let need = |at: usize, thinking: f64| {
        let times = times(&window.requests[at]);
        // What is left of it, where it began before the window did.
        let silence = times.released - times.silent.max(0.0);
        // What waited at the end was given no time to work in the window; it has its hold still before it.
        let unseen =
            if times.assigned >= window.length { times.silent - times.assigned } else { 0.0 };
        Need {
            thinking: thinking / change.load,
            work: works[at] + unseen,
            silence: if change.no_silence { 0.0 } else { silence.max(0.0) },
        }
    };
    let arrived = |at: usize| times(&window.requests[at]).arrived.max(0.0);
    match arrivals {
        Arrivals::AsRecorded => {
            let source = |at| Source {
                first: arrived(at) / change.load,
                requests: vec![need(at, 0.0)],
                next: 0,
                repeats: false,
            };
            (0..window.requests.len()).map(source).collect()
        }
        Arrivals::AfterReplies => {
            let source = |requests: Vec<usize>| chain(window, &requests, change, need);
            window.by_client().into_values().map(source).collect()
        }
    }
}

/// One client's requests, with its times for thinking.
fn chain(
    window: &Window,
    requests: &[usize],
    change: Change,
    need: impl Fn(usize, f64) -> Need,
) -> Source {
    let at = |place: usize| times(&window.requests[requests[place]]);
    let last = requests.len() - 1;
    // From its last reply to the end of the window, and from there, which is its beginning again, to its first request.
    let around = (window.length - at(last).released).max(0.0) + at(0).arrived.max(0.0);
    let thinking = |place: usize| match place {
        0 => around,
        _ => (at(place).arrived - at(place - 1).released).max(0.0),
    };
    Source {
        first: at(0).arrived.max(0.0) / change.load,
        requests: requests
            .iter()
            .enumerate()
            .map(|(place, &at)| need(at, thinking(place)))
            .collect(),
        next: 0,
        repeats: true,
    }
}

/// A pool at work.
struct Run {
    law: Law,
    size: usize,
    sources: Vec<Source>,
    now: f64,
    /// How much work a server has done that has worked from the beginning on.
    worked: f64,
    /// Who works, by the value of `worked` at which it has done its work.
    working: BinaryHeap<Reverse<(Moment, usize)>>,
    /// Who keeps a server in silence, by when that ends.
    silent: BinaryHeap<Reverse<(Moment, usize)>>,
    /// Who makes its next request when.
    coming: BinaryHeap<Reverse<(Moment, usize)>>,
    /// Who waits, and since when.
    queue: VecDeque<(f64, usize)>,
    waits: Vec<f64>,
    done: u64,
    held: f64,
    saturated: f64,
}

/// What happens next.
enum Event {
    Arrival,
    WorkDone,
    SilenceOver,
}

impl Run {
    fn until(&mut self, end: f64) {
        loop {
            let slowdown = self.law.slowdown(self.working.len() as f64);
            let arrival = self.coming.peek().map(|next| next.0.0.0);
            let over = self.silent.peek().map(|next| next.0.0.0);
            let done = self.working.peek();
            let done = done.map(|next| self.now + (next.0.0.0 - self.worked).max(0.0) * slowdown);
            // Servers become free before somebody comes.
            let events =
                [(done, Event::WorkDone), (over, Event::SilenceOver), (arrival, Event::Arrival)];
            let events = events.into_iter().filter_map(|(at, event)| Some((at?, event)));
            let next = events.min_by(|one, other| one.0.total_cmp(&other.0));
            let Some((at, event)) = next.filter(|(at, _)| *at <= end) else {
                self.pass_to(end, slowdown);
                return;
            };
            self.pass_to(at, slowdown);
            match event {
                Event::Arrival => self.arrive(),
                Event::WorkDone => self.finish_work(),
                Event::SilenceOver => self.finish_silence(),
            }
        }
    }

    fn pass_to(&mut self, at: f64, slowdown: f64) {
        let passed = (at - self.now).max(0.0);
        self.worked += passed / slowdown;
        self.held += passed * self.busy() as f64;
        if self.busy() >= self.size {
            self.saturated += passed;
        }
        self.now = self.now.max(at);
    }

    fn busy(&self) -> usize {
        self.working.len() + self.silent.len()
    }

    fn arrive(&mut self) {
        let Some(Reverse((_, source))) = self.coming.pop() else { return };
        if self.busy() < self.size && self.queue.is_empty() {
            self.serve(self.now, source);
        } else {
            self.queue.push_back((self.now, source));
        }
    }

    fn serve(&mut self, since: f64, source: usize) {
        // Those that were there at the beginning had waited already, nobody knows how long.
        if since > 0.0 {
            self.waits.push(self.now - since);
        }
        let need = self.sources[source].current();
        self.working.push(Reverse((Moment(self.worked + need.work), source)));
    }

    fn finish_work(&mut self) {
        let Some(Reverse((_, source))) = self.working.pop() else { return };
        let silence = self.sources[source].current().silence;
        if silence > 0.0 {
            self.silent.push(Reverse((Moment(self.now + silence), source)));
        } else {
            self.release(source);
        }
    }

    fn finish_silence(&mut self) {
        if let Some(Reverse((_, source))) = self.silent.pop() {
            self.release(source);
        }
    }

    fn release(&mut self, source: usize) {
        self.done += 1;
        if let Some(thinking) = self.sources[source].advance() {
            self.coming.push(Reverse((Moment(self.now + thinking), source)));
        }
        if let Some((since, next)) = self.queue.pop_front() {
            self.serve(since, next);
        }
    }
}

impl Source {
    fn current(&self) -> Need {
        self.requests[self.next]
    }

    /// Goes on to the next request; how long until it is made, if it is.
    fn advance(&mut self) -> Option<f64> {
        self.next += 1;
        if self.next == self.requests.len() {
            if !self.repeats {
                return None;
            }
            self.next = 0;
        }
        Some(self.current().thinking)
    }
}
