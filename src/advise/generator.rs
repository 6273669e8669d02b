//! Windows made up by a naive simulation that shares nothing with a [`Script`](super::Script), for tests.

use fastrand::Rng;

use super::law::Law;
use super::window::Window;
use crate::stats::{Recording, Request};

/// How clients come.
#[derive(Clone, Copy)]
pub(super) enum Load {
    /// Each request is a client of its own; so long, in the mean, from one to the next.
    Open(f64),
    /// So many clients, each of which thinks for so long, in the mean, before it asks again.
    Closed(usize, f64),
}

/// What is made up.
pub(super) struct Scene {
    pub(super) size: usize,
    pub(super) law: Law,
    pub(super) load: Load,
    /// The share of the holds that is silence, and nothing the servers could do about.
    pub(super) silence: f64,
    pub(super) length: f64,
    pub(super) seed: u64,
}

#[derive(Clone, Copy)]
struct Job {
    client: u32,
    arrived: f64,
    assigned: f64,
    work: f64,
    silence: f64,
    worked_until: f64,
}

pub(super) fn exponential(rng: &mut Rng, mean: f64) -> f64 {
    -mean * (1.0 - rng.f64()).ln()
}

impl Scene {
    /// Runs it.
    pub(super) fn window(&self) -> Window {
        let mut rng = Rng::with_seed(self.seed);
        let mut coming: Vec<(f64, u32)> = match self.load {
            Load::Open(gap) => vec![(exponential(&mut rng, gap), 0)],
            Load::Closed(clients, think) => {
                (0..clients as u32).map(|client| (exponential(&mut rng, think), client)).collect()
            }
        };
        let (mut now, mut queue, mut served) = (0.0, Vec::<Job>::new(), Vec::<Job>::new());
        let mut requests = Vec::new();
        while now < self.length {
            let at_work = served.iter().filter(|job| job.work > 0.0).count();
            let slowdown = self.law.slowdown(at_work as f64);
            let arrival = coming.iter().map(|next| next.0).fold(f64::INFINITY, f64::min);
            let left = served
                .iter()
                .map(|job| if job.work > 0.0 { job.work * slowdown } else { job.silence });
            let step = left.fold(arrival - now, f64::min);
            now += step;
            for job in &mut served {
                if job.work > 0.0 {
                    job.work -= step / slowdown;
                    job.worked_until = now;
                } else {
                    job.silence -= step;
                }
                // What is less than a nanosecond is nothing.
                job.work = if job.work < 1e-3 { 0.0 } else { job.work };
                job.silence = if job.silence < 1e-3 { 0.0 } else { job.silence };
            }
            let (ended, rest): (Vec<Job>, Vec<Job>) =
                served.into_iter().partition(|job| job.work == 0.0 && job.silence == 0.0);
            served = rest;
            for job in ended {
                requests.push(recorded(&job, now));
                if let Load::Closed(_, think) = self.load {
                    coming.push((now + exponential(&mut rng, think), job.client));
                }
            }
            if let Some(at) = coming.iter().position(|next| next.0 <= now) {
                let (arrived, client) = coming.swap_remove(at);
                let work = exponential(&mut rng, self.law.demand);
                let silence = work * self.silence / (1.0 - self.silence);
                queue.push(Job {
                    client,
                    arrived,
                    assigned: 0.0,
                    work,
                    silence,
                    worked_until: 0.0,
                });
                if let Load::Open(gap) = self.load {
                    coming.push((now + exponential(&mut rng, gap), client + 1));
                }
            }
            while served.len() < self.size && !queue.is_empty() {
                served.push(Job { assigned: now, ..queue.remove(0) });
            }
        }
        let open = served.iter().map(|job| Request { is_open: true, ..recorded(job, self.length) });
        let waiting = queue.iter().map(|job| {
            let waits = Job { assigned: self.length, worked_until: self.length, ..*job };
            Request { is_open: true, ..recorded(&waits, self.length) }
        });
        let open: Vec<Request> = open.chain(waiting).collect();
        Window::new(self.size, self.length as u32, Recording { requests, full_at: None }, &open)
    }
}

fn recorded(job: &Job, now: f64) -> Request {
    let worked_until = job.worked_until.max(job.assigned);
    Request {
        ended: now.round() as u32,
        wait: (job.assigned - job.arrived).round() as u32,
        hold: (now - job.assigned).round() as u32,
        idle: (now - worked_until).max(0.0).round() as u32,
        client: job.client,
        ..Request::default()
    }
}
