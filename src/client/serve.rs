//! A client's life after its login: idle, wants a server, holds one, idle again.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use super::checkout::Waited;
use super::disconnect::{Goodbye, linger};
use super::limits::Counted;
use super::login::Admitted;
use super::replies;
use super::worker::Worker;
use crate::cancel::Issued;
use crate::config::PoolSettings;
use crate::control::Order;
use crate::net::{Deadline, Stream};
use crate::pool::{Pool, Waiting};
use crate::relay::{Relay, Wish};
use crate::session::VirtualSession;
use crate::session::params::ParamSet;
use crate::stats::{ClientState, Entered, PoolCells};
use crate::types::Timeout;
use crate::wire::ErrorFields;

/// One client, served by one task.
pub(super) struct Client {
    pub(super) stream: Stream,
    pub(super) relay: Relay,
    pub(super) session: VirtualSession,
    /// The parameters that the record's application_name was taken from.
    named_by: Arc<ParamSet>,
    pub(super) pool: Arc<Pool>,
    pub(super) settings: Arc<PoolSettings>,
    epoch: u32,
    pub(super) record: Entered,
    pub(super) key: Issued,
    /// Made at the first wait.
    pub(super) waiting: Option<Arc<Waiting>>,
    pub(super) deadline: Deadline,
    pub(super) worker: Rc<Worker>,
    _counted: [Counted; 3],
}

/// Serves a client until it leaves.
pub(super) async fn serve(worker: Rc<Worker>, admitted: Box<Admitted>) {
    let Some(mut client) = Client::new(worker, *admitted) else { return };
    client.pool.clients.fetch_add(1, Ordering::Relaxed);
    client.cells().logins.add(1);
    client.log_arrival();
    let goodbye = client.live().await;
    client.pool.clients.fetch_sub(1, Ordering::Relaxed);
    client.log_departure(&goodbye);
    // Boxed, so that the task of a client that stays does not carry the room for parting.
    Box::pin(client.part(goodbye)).await;
}

impl Client {
    fn new(worker: Rc<Worker>, admitted: Admitted) -> Option<Self> {
        let Admitted { stream, buffer, session, pool, record, key, counted } = admitted;
        let mut relay = Relay::default();
        relay.preload(buffer.filled());
        let deadline = worker.deadlines.register();
        Some(Client {
            // A socket that cannot be registered is a client that cannot be served.
            stream: stream.rehome(Some(&worker.sends)).ok()?,
            relay,
            named_by: Arc::clone(&session.params),
            session,
            settings: pool.settings(),
            epoch: pool.epoch(),
            pool,
            record,
            key,
            waiting: None,
            deadline,
            worker,
            _counted: counted,
        })
    }

    async fn live(&mut self) -> Goodbye {
        std::future::poll_fn(|cx| {
            self.record.client.control.watch(cx);
            self.deadline.watch(cx);
            Poll::Ready(())
        })
        .await;
        loop {
            if let Err(goodbye) = std::future::poll_fn(|cx| self.poll_idle(cx)).await {
                return goodbye;
            }
            let lease = match self.checkout().await {
                Waited::Served(lease) => lease,
                Waited::Refused => continue,
                Waited::Left(goodbye) => return goodbye,
            };
            if let Err(goodbye) = self.hold(lease).await {
                return goodbye;
            }
        }
    }

    /// Waits until the client wants a server.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Goodbye>> {
        loop {
            if let Some(goodbye) = self.ordered(true) {
                return Poll::Ready(Err(goodbye));
            }
            if let Some(listening) = &self.session.listening {
                listening.listener.watch(cx.waker());
                if self.relay.is_flushed() {
                    let post = listening.listener.take();
                    if post.overflow {
                        return Poll::Ready(Err(Goodbye::Told(replies::slow_listener())));
                    }
                    self.relay.say(&post.messages);
                }
            }
            let mut side = self.worker.side(&mut self.stream);
            // Replies first: a client that does not read gets no server.
            match self.relay.poll_flush(cx, &mut side) {
                Poll::Ready(Ok(true)) => continue,
                Poll::Ready(Ok(false)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Goodbye::Failed(error.kind()))),
                Poll::Pending => return self.rest(),
            }
            let defaults = || self.pool.defaults();
            match self.relay.next_wish(&mut self.session, &defaults) {
                Ok(Wish::Server) => return Poll::Ready(Ok(())),
                Ok(Wish::Leave) => return Poll::Ready(Err(Goodbye::Terminated)),
                Ok(Wish::Nothing) if !self.relay.is_flushed() => continue,
                Ok(Wish::Nothing) => {}
                Err(error) => return Poll::Ready(Err(Goodbye::Told(replies::bad_request(error)))),
            }
            match self.relay.poll_requests(cx, &mut side) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Goodbye::Closed)),
                Poll::Ready(Ok(count)) => {
                    self.disarm();
                    self.cells().client_received.add(count as u64);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Goodbye::Failed(error.kind()))),
                Poll::Pending => return self.rest(),
            }
        }
    }

    /// Nothing to do: gives memory back and watches the clock.
    fn rest(&mut self) -> Poll<Result<(), Goodbye>> {
        self.relay.release(&self.worker.buffers);
        if self.arm(self.settings.client_idle_timeout) {
            return Poll::Ready(Err(Goodbye::Told(replies::idle_timeout())));
        }
        Poll::Pending
    }

    /// Sets the deadline unless it is set already; true when it has passed. [`Client::disarm`] starts anew.
    pub(super) fn arm(&mut self, timeout: Timeout) -> bool {
        if self.deadline.is_over() {
            return true;
        }
        if !self.deadline.is_armed() {
            self.deadline.arm(timeout);
        }
        false
    }

    pub(super) fn disarm(&mut self) {
        self.deadline.arm(None);
    }

    /// Whether an order ends the session now.
    pub(super) fn ordered(&self, idle: bool) -> Option<Goodbye> {
        match self.record.client.control.order() {
            Order::None => None,
            Order::CloseWhenIdle if idle && !self.relay.has_requests() => {
                Some(Goodbye::Told(replies::shutting_down()))
            }
            Order::CloseWhenIdle => None,
            Order::CloseNow => Some(Goodbye::Told(replies::killed())),
            Order::CloseForShutdown => Some(Goodbye::Told(replies::shutting_down())),
        }
    }

    /// This thread's counts.
    pub(super) fn cells(&self) -> &PoolCells {
        self.pool.stats.of(self.worker.id)
    }

    /// Notices changed settings.
    pub(super) fn refresh(&mut self) {
        if self.pool.epoch() != self.epoch {
            self.epoch = self.pool.epoch();
            self.settings = self.pool.settings();
        }
    }

    /// Enters what the console shows of an idle client.
    pub(super) fn note_idle(&mut self) {
        self.note_name();
        self.record.client.enter(ClientState::Idle, 0);
        let named = u32::try_from(self.session.named_statements()).unwrap_or(u32::MAX);
        self.record.client.prepared.store(named, Ordering::Relaxed);
    }

    /// Enters the application_name, if the client has SET anything.
    pub(super) fn note_name(&mut self) {
        if !Arc::ptr_eq(&self.named_by, &self.session.params) {
            self.named_by = Arc::clone(&self.session.params);
            let name = self.named_by.get("application_name").unwrap_or_default();
            *self.record.client.application_name.lock() = String::from_utf8_lossy(name).into();
        }
    }

    fn log_arrival(&self) {
        if self.worker.log.connections.load(Ordering::Relaxed) {
            let client = &self.record.client;
            tracing::info!(
                client = client.id,
                database = %client.database,
                user = %client.user,
                peer = %client.peer.map_or_else(|| "unix".to_owned(), |peer| peer.to_string()),
                application_name = %client.application_name.lock(),
                "client connected"
            );
        }
    }

    fn log_departure(&self, goodbye: &Goodbye) {
        if self.worker.log.disconnections.load(Ordering::Relaxed) {
            let client = &self.record.client;
            tracing::info!(
                client = client.id,
                database = %client.database,
                user = %client.user,
                age_seconds = client.since.elapsed().as_secs(),
                reason = %goodbye,
                "client disconnected"
            );
        }
    }

    /// Says goodbye, if there is something to say and somebody to hear it.
    async fn part(mut self, goodbye: Goodbye) {
        match goodbye {
            Goodbye::Terminated | Goodbye::Closed | Goodbye::Failed(_) => return,
            Goodbye::Told(fields) => {
                self.pool.errors.from_pgusher(&fields.code);
                if self.relay.can_speak() {
                    self.say_error(&fields);
                }
            }
            Goodbye::ByServer => {}
        }
        self.deadline.arm(Some(super::disconnect::LINGER));
        let flushed = std::future::poll_fn(|cx| self.poll_last_words(cx)).await;
        if flushed {
            linger(self.stream).await;
        }
    }

    pub(super) fn say_error(&mut self, fields: &ErrorFields) {
        let mut bytes = Vec::new();
        fields.put_error(&mut bytes);
        self.relay.say(&bytes);
    }

    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            if self.deadline.is_over() {
                return Poll::Ready(false);
            }
            let mut side = self.worker.side(&mut self.stream);
            match self.relay.poll_flush(cx, &mut side) {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(true),
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_output<F: Future>(_: impl Fn(Rc<Worker>, Box<Admitted>) -> F) -> usize {
        std::mem::size_of::<F>()
    }

    /// Thousands of clients are idle: what each task carries counts. Measured 944 when this was written.
    #[test]
    fn a_client_stays_small() {
        assert!(
            size_of_output(serve) <= 944,
            "a client's task has grown to {} bytes",
            size_of_output(serve)
        );
    }
}
