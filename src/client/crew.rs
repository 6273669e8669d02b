//! The workers, and which of them are in service.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

use super::roster::{Load, Roster, Step};
use super::transfer::Transfer;
use super::{Seat, WorkerHandle};

/// How often it is looked whether clients are well distributed.
const PERIOD: Duration = Duration::from_secs(1);

/// All workers of the process.
#[derive(Debug)]
pub struct Crew {
    workers: Vec<WorkerHandle>,
    /// The first so many are in service; the others get no clients.
    active: AtomicUsize,
}

impl Crew {
    /// Workers that are all in service.
    pub fn fixed(workers: Vec<WorkerHandle>) -> Arc<Self> {
        let active = AtomicUsize::new(workers.len());
        Arc::new(Crew { workers, active })
    }

    /// Workers of which as many are in service as it takes: one that is busy for more of the time than `full` shares
    /// with another. The task that sees to it runs on `control`.
    pub fn by_need(workers: Vec<WorkerHandle>, full: f64, control: &Handle) -> Arc<Self> {
        let crew = Arc::new(Crew { workers, active: AtomicUsize::new(1) });
        if crew.workers.len() > 1 {
            control.spawn(distribute(Arc::clone(&crew), full));
        }
        crew
    }

    /// A place with the worker that has the fewest clients, those included that are about to log in.
    pub fn seat(&self) -> Option<Seat> {
        self.active().iter().min_by_key(|worker| worker.clients()).map(WorkerHandle::seat)
    }

    /// Where clients arrive.
    pub fn reception(&self) -> Option<&Handle> {
        self.workers.first().map(WorkerHandle::runtime)
    }

    /// How many workers there are, in service or not.
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// True without any worker.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    fn active(&self) -> &[WorkerHandle] {
        let active = self.active.load(Ordering::Relaxed);
        self.workers.get(..active).unwrap_or(&self.workers)
    }

    fn take(&self, step: Step) {
        match step {
            Step::Share { from, to, clients } => {
                // It may have been going out of service.
                self.call(to, None);
                self.call(from, Some((to..to + 1, clients)));
            }
            Step::Retire(worker) => self.call(worker, Some((0..worker, usize::MAX))),
        }
    }

    fn call(&self, from: usize, transfer: Option<(Range<usize>, usize)>) {
        let Some(from) = self.workers.get(from) else { return };
        from.transfer(transfer.map(|(to, clients)| {
            let to = self.workers.get(to).unwrap_or_default();
            Transfer::new(to.to_vec(), clients)
        }));
    }
}

/// Sees to it that as many workers are in service as it takes.
async fn distribute(crew: Arc<Crew>, full: f64) {
    let mut roster = Roster::new(full);
    let mut period = tokio::time::interval(PERIOD);
    period.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        period.tick().await;
        let loads: Vec<Load> = crew.workers.iter().map(WorkerHandle::load).collect();
        let Some(step) = roster.judge(&loads) else { continue };
        let before = crew.active.swap(roster.active(), Ordering::Relaxed);
        crew.take(step);
        if before != roster.active() {
            tracing::info!(before, now = roster.active(), "workers in service");
        }
    }
}
