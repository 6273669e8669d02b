//! A client's life after its login: idle, wants a server, holds one, idle again.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use super::checkout::Waited;
use super::disconnect::Goodbye;
use super::limits::{Counted, Guest, Present};
use super::log;
use super::newcomers::{NEWCOMERS_PATIENCE, Newcomer};
use super::parking::{Parked, Who, idle_at};
use super::replies;
use super::worker::Worker;
use crate::cancel::Issued;
use crate::config::{ClassMarks, PoolSettings};
use crate::control::Order;
use crate::net::{Deadline, Stream};
use crate::pool::{Pool, Standing, Waiting};
use crate::relay::{Relay, Wish};
use crate::session::VirtualSession;
use crate::session::params::ParamSet;
use crate::stats::{ClientRecord, ClientState, Entered, PoolCells};
use crate::wire::ErrorFields;

/// One client, served by one task.
pub(super) struct Client {
    pub(super) stream: Stream,
    pub(super) relay: Relay,
    pub(super) session: VirtualSession,
    /// The parameters that the record's application_name was taken from.
    named_by: Arc<ParamSet>,
    pub(super) pool: Guest,
    pub(super) settings: Arc<PoolSettings>,
    epoch: u32,
    /// What its class entitles it to, where that is anything: hence boxed.
    standing: Option<Box<Standing>>,
    pub(super) record: Entered,
    pub(super) key: Issued,
    /// Made at the first wait.
    pub(super) waiting: Option<Arc<Waiting>>,
    pub(super) deadline: Deadline,
    /// Since when it has asked for nothing; `None` while it asks for something.
    resting_since: Option<Duration>,
    /// When it was given this task.
    woken_at: Duration,
    /// How long it may rest with this task.
    patience: Duration,
    /// While it has asked for nothing yet.
    newcomer: Option<Newcomer>,
    pub(super) worker: Rc<Worker>,
    counted: [Counted; 3],
    present: Present,
}

/// How a rest ends.
enum Rest {
    /// The client wants a server.
    Wanting,
    /// It has lasted so long that the client is better parked.
    Long,
    /// The client is to be another worker's.
    Called,
}

/// What a task ends with while its client stays.
pub(super) enum Stay {
    /// Without a task, until the client wants something.
    Parked,
    /// With another worker.
    Moved,
}

impl Client {
    /// A client that is given a task.
    pub(super) fn new(worker: &Rc<Worker>, stream: Stream, who: Who) -> Self {
        let now = worker.deadlines.elapsed();
        let patience = who.patience(now);
        let Who { session, pool, record, key, counted, present, resting_since, .. } = who;
        let mut relay = Relay::default();
        relay.refuses_simple(worker.manners.refuses_simple);
        relay.ends_on_wrong_names(worker.manners.like_pgbouncer);
        let settings = pool.settings_of(&record.client.user);
        let standing = standing(&pool, &settings, &record.client, &session.params);
        Client {
            stream,
            relay,
            named_by: Arc::clone(&session.params),
            session,
            standing,
            settings,
            epoch: pool.epoch(),
            pool,
            record,
            key,
            waiting: None,
            deadline: worker.deadlines.register(),
            resting_since: Some(resting_since),
            patience,
            newcomer: None,
            woken_at: now,
            worker: Rc::clone(worker),
            counted,
            present,
        }
    }

    /// The client has just come, and these bytes with it.
    pub(super) fn introduce(&mut self, newcomer: Option<Newcomer>, bytes: &[u8]) {
        self.newcomer = newcomer;
        self.patience = NEWCOMERS_PATIENCE;
        self.relay.preload(bytes);
    }

    /// What is left of the client without its task.
    pub(super) fn suspend(self) -> Parked {
        let Client { stream, session, pool, record, key, counted, present, worker, .. } = self;
        let now = worker.deadlines.elapsed();
        let resting_since = self.resting_since.unwrap_or(now);
        let (socket, had_task) = (stream.suspend(), Some(now));
        let who = Who { session, pool, record, key, counted, present, resting_since, had_task };
        Parked { socket, who }
    }

    /// `Ok`: the client needs no task here any more.
    pub(super) async fn converse(&mut self) -> Result<Stay, Goodbye> {
        std::future::poll_fn(|cx| {
            self.record.client.control.watch(cx);
            self.deadline.watch(cx);
            Poll::Ready(())
        })
        .await;
        loop {
            match std::future::poll_fn(|cx| self.poll_idle(cx)).await? {
                Rest::Wanting => {}
                Rest::Long => return Ok(Stay::Parked),
                Rest::Called => return Ok(Stay::Moved),
            }
            let lease = match self.checkout().await {
                Waited::Served(lease) => lease,
                Waited::Refused => continue,
                Waited::Left(goodbye) => return Err(goodbye),
            };
            self.enter_session(&lease)?;
            self.hold(lease).await?;
        }
    }

    /// Waits until the client wants a server, or has waited for long.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Result<Rest, Goodbye>> {
        loop {
            if let Some(goodbye) = self.ordered(true) {
                return Poll::Ready(Err(goodbye));
            }
            let mut side = self.worker.side(&mut self.stream);
            // Replies first: a client that does not read gets no server.
            match self.relay.poll_flush(cx, &mut side) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Goodbye::Failed(error.kind()))),
                Poll::Pending => return self.rest(cx),
            }
            if self.stands_still() {
                return Poll::Pending;
            }
            if !self.hear(cx) {
                return Poll::Ready(Err(Goodbye::Told(replies::slow_listener())));
            }
            if !self.relay.is_flushed() {
                continue;
            }
            let defaults = || self.pool.defaults();
            match self.relay.next_wish(&mut self.session, &defaults) {
                Ok(Wish::Server) => return Poll::Ready(Ok(Rest::Wanting)),
                Ok(Wish::Leave) => return Poll::Ready(Err(Goodbye::Terminated)),
                Ok(Wish::Nothing) if !self.relay.is_flushed() => continue,
                Ok(Wish::Nothing) => {}
                Err(error) => return Poll::Ready(Err(Goodbye::Told(replies::bad_request(error)))),
            }
            let mut side = self.worker.side(&mut self.stream);
            match self.relay.poll_requests(cx, &mut side) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(Goodbye::Closed)),
                Poll::Ready(Ok(count)) => {
                    self.disarm();
                    self.cells().client_received.add(count as u64);
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Goodbye::Failed(error.kind()))),
                Poll::Pending => return self.rest(cx),
            }
        }
    }

    /// While everything is suspended, a client of which no byte is under way does nothing. Resuming wakes it.
    pub(super) fn stands_still(&mut self) -> bool {
        let control = &self.record.client.control;
        if !control.is_suspended() || !self.relay.is_still() || !self.stream.is_sent() {
            return false;
        }
        control.stand_still();
        true
    }

    /// Takes notifications that have come, once all has been said that came before; false when there were more than are
    /// kept.
    fn hear(&mut self, cx: &Context<'_>) -> bool {
        let Some(listening) = &self.session.listening else { return true };
        listening.listener.watch(cx.waker());
        if self.relay.is_flushed() {
            let post = listening.listener.take();
            self.relay.say(&post.messages);
            return !post.overflow;
        }
        true
    }

    /// Nothing to do: gives memory back and watches the clock.
    fn rest(&mut self, cx: &Context<'_>) -> Poll<Result<Rest, Goodbye>> {
        self.relay.release(&self.worker.buffers);
        if self.worker.departures.are_wanted() && self.can_be_parted() {
            return self.part_with_worker(cx);
        }
        if self.deadline.is_armed() && !self.deadline.is_over() {
            return Poll::Pending;
        }
        let now = self.worker.deadlines.elapsed();
        let since = *self.resting_since.get_or_insert(now);
        let due = self.settings.client_idle_timeout.map(|timeout| idle_at(since, timeout));
        if due.is_some_and(|at| now >= at) {
            return Poll::Ready(Err(Goodbye::Told(replies::idle_timeout())));
        }
        let can_park = self.can_be_parted() && self.stream.is_sent();
        let park_at = can_park.then(|| since.max(self.woken_at) + self.patience);
        if park_at.is_some_and(|at| now >= at) {
            if self.stream.can_suspend() {
                return Poll::Ready(Ok(Rest::Long));
            }
            // Its last reply goes out with those of the others; it is looked at again behind them.
            self.stream.wake_when_submitted(cx);
            return Poll::Pending;
        }
        let next = due.into_iter().chain(park_at).min();
        self.deadline.arm(next.map(|at| at - now));
        Poll::Pending
    }

    /// Nothing that belongs to the client is in the task alone.
    fn can_be_parted(&self) -> bool {
        self.relay.is_blank()
    }

    /// Goes to another worker as soon as the last reply has gone out.
    fn part_with_worker(&mut self, cx: &Context<'_>) -> Poll<Result<Rest, Goodbye>> {
        if self.stream.can_suspend() {
            return Poll::Ready(Ok(Rest::Called));
        }
        self.stream.wake_when_submitted(cx);
        Poll::Pending
    }

    /// The rest is over, and so is every timeout.
    pub(super) fn disarm(&mut self) {
        self.resting_since = None;
        self.newcomer = None;
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
            Order::CloseRemoved => Some(Goodbye::Told(replies::removed())),
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
            self.settings = self.pool.settings_of(&self.record.client.user);
            self.find_standing();
        }
    }

    /// What its class entitles it to.
    pub(super) fn standing(&self) -> Standing {
        self.standing.as_deref().copied().unwrap_or_default()
    }

    fn find_standing(&mut self) {
        let (settings, client) = (&self.settings, &self.record.client);
        self.standing = standing(&self.pool, settings, client, &self.session.params);
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
            let name = self.record.intern(&String::from_utf8_lossy(name));
            self.record.client.set_application(self.pool.applications.number(&name));
            *self.record.client.application_name.lock() = name;
            self.find_standing();
        }
    }

    pub(super) fn log_departure(&self, goodbye: &Goodbye) {
        if self.worker.log.disconnections.load(Ordering::Relaxed) {
            log::departure(&self.record.client, goodbye, self.worker.manners);
        }
    }

    pub(super) fn say_error(&mut self, fields: ErrorFields) {
        let manners = self.worker.manners;
        if self.worker.log.errors.load(Ordering::Relaxed) {
            log::error(&self.record.client, &fields, manners);
        }
        let mut bytes = Vec::new();
        manners.told(fields).put_error(&mut bytes);
        self.relay.say(&bytes);
    }
}

/// What a client is entitled to in its pool, by what it is and what it has set.
fn standing(
    pool: &Pool,
    settings: &PoolSettings,
    client: &ClientRecord,
    params: &ParamSet,
) -> Option<Box<Standing>> {
    let name = Arc::clone(&client.application_name.lock());
    let tag = params.get("pgusher.class").unwrap_or_default();
    let marks = ClassMarks {
        database: &client.database,
        user: &client.user,
        application_name: &name,
        tag: &String::from_utf8_lossy(tag),
    };
    let standing = pool.standing(settings, marks);
    (standing != Standing::default()).then(|| Box::new(standing))
}
