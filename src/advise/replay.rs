//! The requests of a window once more, in virtual time, through a pool of another size.
//!
//! Each request brings the work that it brought when it was recorded; how long that takes depends on how many servers
//! work at the same time, by the law. Who waits is served in the order of arrival.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::forecast::Replayed;
use super::law::Law;
use super::script::{Need, Script};

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

impl Script {
    /// Runs the requests through a pool of `size` servers.
    pub fn replay(&self, size: usize, change: Change) -> Replayed {
        let mut run = Run {
            script: self,
            law: self.law,
            size: size.max(1),
            change,
            next: self.sources.iter().map(|source| source.from).collect(),
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
        let first = |(source, made): (usize, f64)| Reverse((Moment(made / change.load), source));
        let made = self.sources.iter().map(|source| source.first);
        run.coming.extend(made.enumerate().map(first));
        run.until(self.length);
        let unserved = run.queue.iter().filter(|(since, _)| *since > 0.0);
        run.waits.extend(unserved.map(|(since, _)| self.length - since));
        Replayed {
            waits: run.waits,
            done: run.done,
            held: run.held,
            saturated: run.saturated,
            length: self.length,
        }
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

/// A pool at work.
struct Run<'a> {
    script: &'a Script,
    law: Law,
    size: usize,
    change: Change,
    /// The next request of each source.
    next: Vec<usize>,
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

impl Run<'_> {
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
        let need = self.need(source);
        self.working.push(Reverse((Moment(self.worked + need.work), source)));
    }

    fn finish_work(&mut self) {
        let Some(Reverse((_, source))) = self.working.pop() else { return };
        let silence = self.need(source).silence;
        if silence > 0.0 && !self.change.no_silence {
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
        if let Some(thinking) = self.advance(source) {
            let made = self.now + thinking / self.change.load;
            self.coming.push(Reverse((Moment(made), source)));
        }
        if let Some((since, next)) = self.queue.pop_front() {
            self.serve(since, next);
        }
    }

    /// What the request needs that a source has made, or makes next.
    fn need(&self, source: usize) -> Need {
        self.script.needs[self.next[source]]
    }

    /// Goes on to a source's next request; how long until it is made, if it is.
    fn advance(&mut self, source: usize) -> Option<f64> {
        let script = self.script;
        let (chain, next) = (&script.sources[source], &mut self.next[source]);
        *next += 1;
        if *next == chain.to {
            if !script.repeats {
                return None;
            }
            *next = chain.from;
        }
        Some(script.needs[*next].thinking)
    }
}
