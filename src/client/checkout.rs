//! A client wants a server: it gets one, or waits in the queue.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::disconnect::Goodbye;
use super::replies;
use super::serve::Client;
use crate::control::Dequeue;
use crate::pool::{Checkout, Lease, PoolError, Ticket};
use crate::stats::{ClientState, WaitOutcome};
use crate::wire::ErrorFields;

/// How wanting a server ended.
pub(super) enum Waited {
    /// Here it is.
    Served(Lease),
    /// The request was answered with an error; the client stays.
    Refused,
    /// The client left, or was sent away.
    Left(Goodbye),
}

/// How a wait ended.
enum End {
    Served(Lease),
    Failed(PoolError),
    Left(Goodbye),
}

impl Client {
    pub(super) async fn checkout(&mut self) -> Waited {
        self.refresh();
        let now = Instant::now();
        self.record.client.request_at(now);
        let Client { pool, worker, waiting, .. } = self;
        let lease =
            match pool.checkout(worker.id, now, || Arc::clone(waiting.get_or_insert_default())) {
                Checkout::Now(lease) => {
                    self.cells().waited(WaitOutcome::Assigned, std::time::Duration::ZERO, false);
                    lease
                }
                Checkout::Never(error) => {
                    return self.refuse(replies::no_server(&error), WaitOutcome::Timeout, now);
                }
                Checkout::Later(ticket) => match self.queue(ticket).await {
                    End::Served(lease) => {
                        self.cells().waited(WaitOutcome::Assigned, now.elapsed(), true);
                        lease
                    }
                    End::Failed(error) => {
                        let cancelled = matches!(error, PoolError::Cancelled);
                        let outcome =
                            if cancelled { WaitOutcome::Cancelled } else { WaitOutcome::Timeout };
                        return self.refuse(replies::no_server(&error), outcome, now);
                    }
                    End::Left(goodbye) => {
                        self.cells().waited(WaitOutcome::Gone, now.elapsed(), true);
                        return Waited::Left(goodbye);
                    }
                },
            };
        self.take_home(lease)
    }

    /// Moves the server's socket to this thread if it comes from another one.
    fn take_home(&mut self, mut lease: Lease) -> Waited {
        match lease.rehome(self.worker.id, &self.worker.sends) {
            Ok(()) => Waited::Served(lease),
            Err(_) => Waited::Left(Goodbye::Told(replies::server_gone())),
        }
    }

    fn refuse(&mut self, fields: ErrorFields, outcome: WaitOutcome, since: Instant) -> Waited {
        self.cells().waited(outcome, since.elapsed(), true);
        self.note_idle();
        if self.worker.manners.like_pgbouncer && outcome != WaitOutcome::Cancelled {
            return Waited::Left(Goodbye::Told(self.worker.manners.ended(fields)));
        }
        self.pool.errors.from_pgusher(&fields.code);
        let mut bytes = Vec::new();
        fields.put_error(&mut bytes);
        self.relay.refuse(&bytes);
        Waited::Refused
    }

    /// Waits in the queue. The server that comes is put down in the ticket; dropping the ticket gives up the place.
    async fn queue(&mut self, mut ticket: Ticket) -> End {
        self.record.client.enter(ClientState::Waiting, 0);
        if let Some(waiting) = &self.waiting {
            self.key.target.aim_at_queue(Arc::clone(waiting) as Arc<dyn Dequeue>);
        }
        self.disarm();
        let mut notified = self.settings.query_wait_notify.is_none();
        let end = std::future::poll_fn(|cx| self.poll_queue(cx, &mut ticket, &mut notified)).await;
        self.key.target.aim_at_nothing();
        self.disarm();
        end
    }

    fn poll_queue(
        &mut self,
        cx: &mut Context<'_>,
        ticket: &mut Ticket,
        notified: &mut bool,
    ) -> Poll<End> {
        match ticket.poll(cx) {
            Poll::Ready(Ok(lease)) => return Poll::Ready(End::Served(lease)),
            Poll::Ready(Err(error)) => return Poll::Ready(End::Failed(error)),
            Poll::Pending => {}
        }
        if let Some(goodbye) = self.ordered(false) {
            return Poll::Ready(End::Left(goodbye));
        }
        if self.stream.poll_peer_closed(cx).is_ready() {
            return Poll::Ready(End::Left(Goodbye::Closed));
        }
        if let Some(error) = self.check_wait(ticket, notified) {
            return Poll::Ready(End::Failed(error));
        }
        if !self.relay.is_flushed() {
            let mut side = self.worker.side(&mut self.stream);
            while let Poll::Ready(Ok(true)) = self.relay.poll_flush(cx, &mut side) {}
        }
        Poll::Pending
    }

    /// `query_wait_notify` says so once; `query_wait_timeout` ends the wait. A pause does not count as waiting.
    fn check_wait(&mut self, ticket: &Ticket, notified: &mut bool) -> Option<PoolError> {
        let waited = ticket.since.elapsed();
        let (timeout, notify) = (self.settings.query_wait_timeout, self.settings.query_wait_notify);
        let paused = self.pool.is_paused();
        if !*notified && !paused && notify.is_some_and(|notify| waited >= notify) {
            *notified = true;
            let mut bytes = Vec::new();
            let notice = replies::still_waiting(&self.pool.facts(waited));
            self.worker.manners.told(notice).put_notice(&mut bytes);
            self.relay.say(&bytes);
        }
        if !paused && timeout.is_some_and(|timeout| waited >= timeout) {
            return Some(PoolError::WaitTimeout(Box::new(self.pool.facts(waited))));
        }
        let next = if *notified { timeout } else { notify.into_iter().chain(timeout).min() };
        // While paused the deadline has passed long ago: look again in a while.
        let left = next.map(|next| next.saturating_sub(waited).max(crate::net::TICK));
        self.deadline.arm(left);
        None
    }
}
