//! A client's place in the queue.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use parking_lot::Mutex;

use super::{Lease, Pool, PoolError, TicketNumber};
use crate::control::Dequeue;

/// Where a grant is put down for a waiting client. Made once per client and used for every wait.
#[derive(Debug, Default)]
pub struct Waiting {
    /// The client's number; 0 for none.
    pub(super) client: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    granted: Option<Lease>,
    failed: Option<PoolError>,
    waker: Option<Waker>,
}

impl Waiting {
    /// That of a client.
    pub fn new(client: u64) -> Self {
        Waiting { client, state: Mutex::default() }
    }

    /// Puts a server down. The caller holds the pool's lock, so the ticket is still wanted.
    pub(super) fn grant(&self, lease: Lease) -> Option<Waker> {
        let mut state = self.state.lock();
        debug_assert!(state.granted.is_none(), "granted twice");
        state.granted = Some(lease);
        state.waker.take()
    }

    /// The wait ends without a server.
    pub fn fail(&self, error: PoolError) {
        let waker = {
            let mut state = self.state.lock();
            state.failed.get_or_insert(error);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Result<Lease, PoolError>> {
        let mut state = self.state.lock();
        if let Some(error) = state.failed.take() {
            return Poll::Ready(Err(error));
        }
        if let Some(lease) = state.granted.take() {
            return Poll::Ready(Ok(lease));
        }
        match &state.waker {
            Some(waker) if waker.will_wake(cx.waker()) => {}
            _ => state.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// What is left when the wait is over, so that the next one starts afresh.
    fn clear(&self) -> Option<Lease> {
        let mut state = self.state.lock();
        state.failed = None;
        state.waker = None;
        state.granted.take()
    }
}

impl Dequeue for Waiting {
    fn dequeue(&self) {
        self.fail(PoolError::Cancelled);
    }
}

/// A place in the queue. Dropping it gives the place up, and a server that came meanwhile goes back.
#[derive(Debug)]
pub struct Ticket {
    pub(super) pool: Arc<Pool>,
    pub(super) number: TicketNumber,
    pub(super) waiting: Arc<Waiting>,
    /// When the wait began.
    pub since: Instant,
}

impl Ticket {
    /// Waits for the server.
    ///
    /// # Errors
    /// The wait ended without one.
    pub fn poll(&mut self, cx: &Context<'_>) -> Poll<Result<Lease, PoolError>> {
        self.waiting.poll(cx)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.pool.leave_queue(self.number);
        // Outside of the pool's lock: the lease takes it on its way back.
        drop(self.waiting.clear());
    }
}
