//! Clients that change their worker, each between two of its transactions.

use std::cell::RefCell;
use std::time::Duration;

use super::parking::Parked;
use super::worker::WorkerHandle;

/// Who is to leave a worker, and for where.
#[derive(Debug)]
pub(super) struct Transfer {
    to: Vec<WorkerHandle>,
    left: usize,
}

impl Transfer {
    /// So many clients, to these workers in turn.
    pub(super) fn new(to: Vec<WorkerHandle>, clients: usize) -> Self {
        Transfer { to, left: clients }
    }
}

/// A worker's departures: whoever comes to rest while some are wanted leaves.
#[derive(Debug, Default)]
pub(super) struct Departures(RefCell<Option<Transfer>>);

impl Departures {
    /// These from now on; what was wanted before is not wanted any more.
    pub(super) fn call(&self, transfer: Option<Transfer>) {
        *self.0.borrow_mut() = transfer;
    }

    /// True while somebody is to leave.
    pub(super) fn are_wanted(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Where the next who leaves goes; `None` when nobody is to leave.
    pub(super) fn next(&self) -> Option<WorkerHandle> {
        let mut wanted = self.0.borrow_mut();
        let transfer = wanted.as_mut()?;
        transfer.left -= 1;
        let left = transfer.left;
        let to = transfer.to.get(left % transfer.to.len().max(1)).cloned();
        if left == 0 {
            *wanted = None;
        }
        to
    }
}

/// A client on its way from one worker to another.
#[derive(Debug)]
pub(super) struct Mover {
    client: Parked,
    /// How long it has rested: the workers' clocks began at different times.
    rested: Duration,
}

impl Mover {
    /// A client that leaves a worker whose clock says `now`.
    pub(super) fn leave(client: Parked, now: Duration) -> Self {
        let rested = now.saturating_sub(client.who.resting_since);
        Mover { client, rested }
    }

    /// The client, arrived at a worker whose clock says `now`. It counts as one that is busy.
    pub(super) fn arrive(self, now: Duration) -> Parked {
        let Mover { mut client, rested } = self;
        client.who.resting_since = now.saturating_sub(rested);
        client.who.had_task = Some(now);
        client
    }
}
