//! A client wants a server: it gets one, or waits in the queue.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::disconnect::Goodbye;
use super::replies;
use super::serve::Client;
use crate::control::Dequeue;
use crate::pool::{Checkout, Facts, Lease, PoolError, Ticket, Waiting};
use crate::stats::{ClientState, Traced, WaitOutcome};
use crate::types::Timeout;

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
        let standing = self.standing();
        let Client { pool, worker, waiting, record, .. } = self;
        let place =
            || Arc::clone(waiting.get_or_insert_with(|| Arc::new(Waiting::new(record.client.id))));
        let mut lease = match pool.checkout(standing, worker.id, now, place) {
            Checkout::Now(lease) => {
                self.cells().waited(WaitOutcome::Assigned, Duration::ZERO, false);
                lease
            }
            Checkout::Never(error) => return self.refuse(&error, now),
            Checkout::Later(ticket) => match self.queue(ticket).await {
                End::Served(lease) => {
                    self.cells().waited(WaitOutcome::Assigned, now.elapsed(), true);
                    lease
                }
                End::Failed(error) => return self.refuse(&error, now),
                End::Left(goodbye) => {
                    self.cells().waited(WaitOutcome::Gone, now.elapsed(), true);
                    return Waited::Left(goodbye);
                }
            },
        };
        self.trace(&mut lease, now);
        self.take_home(lease)
    }

    /// What the client does with the server may become a span.
    fn trace(&self, lease: &mut Lease, asked: Instant) {
        if self.record.records.tracer.is_on() {
            lease.traced = Traced::open(asked, lease.since().saturating_duration_since(asked));
        } else if lease.traced.is_open() {
            lease.traced = Traced::default();
        }
    }

    /// Moves the server's socket to this thread if it comes from another one.
    fn take_home(&mut self, mut lease: Lease) -> Waited {
        match lease.rehome(self.worker.id, &self.worker.sends) {
            Ok(()) => Waited::Served(lease),
            Err(_) => Waited::Left(Goodbye::Told(replies::server_gone())),
        }
    }

    fn refuse(&mut self, error: &PoolError, since: Instant) -> Waited {
        let (fields, outcome) = (replies::no_server(error), outcome(error));
        self.cells().waited(outcome, since.elapsed(), true);
        let tracer = &self.record.records.tracer;
        if tracer.is_on() {
            let (client, wanted) = (&self.record.client, self.relay.wanted());
            tracer.waited_in_vain(client, wanted, since, outcome.as_str());
        }
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
        let mut patience = Patience::default();
        let end = std::future::poll_fn(|cx| self.poll_queue(cx, &mut ticket, &mut patience)).await;
        match &end {
            End::Served(_) => self.key.target.aim_soon(),
            End::Failed(_) | End::Left(_) => self.key.target.aim_at_nothing(),
        }
        self.disarm();
        end
    }

    fn poll_queue(
        &mut self,
        cx: &mut Context<'_>,
        ticket: &mut Ticket,
        patience: &mut Patience,
    ) -> Poll<End> {
        match ticket.poll(cx) {
            Poll::Ready(Ok(lease)) => return Poll::Ready(End::Served(lease)),
            Poll::Ready(Err(error)) => return Poll::Ready(End::Failed(error)),
            Poll::Pending => {}
        }
        if let Some(goodbye) = self.ordered(false) {
            return Poll::Ready(End::Left(goodbye));
        }
        let control = &self.record.client.control;
        if control.is_suspended() {
            // Its request waits here until everything goes on.
            control.stand_still();
            return Poll::Pending;
        }
        if self.stream.poll_peer_closed(cx).is_ready() {
            return Poll::Ready(End::Left(Goodbye::Closed));
        }
        if let Some(error) = self.check_wait(ticket, patience) {
            return Poll::Ready(End::Failed(error));
        }
        if !self.relay.is_flushed() {
            let mut side = self.worker.side(&mut self.stream);
            // An error shows when the client is heard next.
            let _ = self.relay.poll_flush(cx, &mut side);
        }
        Poll::Pending
    }

    /// Says once that the wait is long, to the client and to the log, and ends it when it is too long. A pause does not
    /// count as waiting.
    fn check_wait(&mut self, ticket: &Ticket, patience: &mut Patience) -> Option<PoolError> {
        let waited = ticket.since.elapsed();
        let paused = self.pool.is_paused();
        let limits = self.limits();
        if !paused {
            if !patience.notified && is_over(limits.notify, waited) {
                patience.notified = true;
                let mut bytes = Vec::new();
                let notice = replies::still_waiting(&self.pool.facts(waited));
                self.worker.manners.told(notice).put_notice(&mut bytes);
                self.relay.say(&bytes);
            }
            if !patience.logged && is_over(limits.log, waited) {
                patience.logged = true;
                self.pool.log_wait(&self.record.client, waited);
            }
            if let Some(error) = limits.end(waited) {
                return Some(error(Box::new(self.pool.facts(waited))));
            }
        }
        // While paused the deadline has passed long ago: look again in a while.
        let left = limits.next(patience).map(|at| at.saturating_sub(waited).max(crate::net::TICK));
        self.deadline.arm(left);
        None
    }

    fn limits(&self) -> Limits {
        Limits {
            notify: self.settings.query_wait_notify,
            log: self.settings.log_queue_wait,
            timeout: self.settings.query_wait_timeout,
            deadline: self.standing().deadline,
            // To PgBouncer a query that waits runs.
            query: self.settings.query_timeout.filter(|_| self.worker.manners.like_pgbouncer),
        }
    }
}

/// What has been said of a wait.
#[derive(Default)]
struct Patience {
    notified: bool,
    logged: bool,
}

/// How long a client waits for what.
struct Limits {
    notify: Timeout,
    log: Timeout,
    timeout: Timeout,
    deadline: Timeout,
    query: Timeout,
}

impl Limits {
    /// The error that ends the wait now.
    fn end(&self, waited: Duration) -> Option<fn(Box<Facts>) -> PoolError> {
        if is_over(self.deadline, waited) {
            Some(PoolError::DeadlinePassed)
        } else if is_over(self.timeout, waited) {
            Some(PoolError::WaitTimeout)
        } else if is_over(self.query, waited) {
            Some(|_| PoolError::QueryTimeout)
        } else {
            None
        }
    }

    /// When there is something to do next, from the beginning of the wait.
    fn next(&self, patience: &Patience) -> Timeout {
        let notify = self.notify.filter(|_| !patience.notified);
        let log = self.log.filter(|_| !patience.logged);
        [notify, log, self.timeout, self.deadline, self.query].into_iter().flatten().min()
    }
}

fn is_over(limit: Timeout, waited: Duration) -> bool {
    limit.is_some_and(|limit| waited >= limit)
}

fn outcome(error: &PoolError) -> WaitOutcome {
    match error {
        PoolError::Cancelled => WaitOutcome::Cancelled,
        PoolError::TooLate(_) | PoolError::QueueFull(_) => WaitOutcome::Shed,
        _ => WaitOutcome::Timeout,
    }
}
