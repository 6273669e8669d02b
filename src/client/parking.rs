//! Where clients wait that have been idle for a while: without a task, without buffers, in one compact list.
//!
//! A task, its registration with the runtime and its deadline cost far more memory than what they look after. So a
//! client that asks for nothing is [parked](Lot::park): its task ends, its socket goes onto the lot's [`Watchlist`], and
//! what makes it a client stays behind as [`Parked`]. Bytes, the end of the connection, an order, a notification or a
//! timeout give it a task again ([`serve`](super::tasks::serve)).
//!
//! Clients are parked when they arrive with [many others](Newcomers), and when they have rested for as long as their
//! [patience](Who::patience) lasts. A busy client never gets here, so nothing of this costs its transactions anything.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use slab::Slab;

use super::limits::{Counted, Guest, Present};
use super::tasks::move_or_serve;
use super::worker::Worker;
use crate::cancel::Issued;
use crate::control::{Bell, Order};
use crate::net::{Suspended, TICK, Watchlist};
use crate::session::VirtualSession;
use crate::stats::{ClientRecord, Entered};

/// How long a client that is busy now and then may rest before it is parked. Being parked and fetched costs some six
/// system calls, more than a transaction: nothing if it happens once a second, too much if it happens ten times.
const PATIENCE: Duration = Duration::from_secs(1);

/// A client without a task.
#[derive(Debug)]
pub(super) struct Parked {
    pub(super) socket: Suspended,
    pub(super) who: Who,
}

/// What a client is, and nothing that it only needs while it asks for something.
#[derive(Debug)]
pub(super) struct Who {
    pub(super) session: VirtualSession,
    pub(super) pool: Guest,
    pub(super) record: Entered,
    pub(super) key: Issued,
    pub(super) counted: [Counted; 3],
    pub(super) present: Present,
    /// Since when it has asked for nothing, by the clock of the worker's deadlines.
    pub(super) resting_since: Duration,
    /// When its last task ended, by the same clock; `None` for one that has just come.
    pub(super) had_task: Option<Duration>,
}

impl Who {
    /// How long it may rest with the task that it is given `now`. One request alone does not make a client busy: it
    /// is parked again right behind the reply, so that thousands that ask once in a while do not all have tasks.
    /// Who is back before a second has passed keeps its task for that long.
    pub(super) fn patience(&self, now: Duration) -> Duration {
        let is_back_soon = self.had_task.is_some_and(|ended| now.saturating_sub(ended) < PATIENCE);
        if is_back_soon { PATIENCE } else { Duration::ZERO }
    }

    /// When `client_idle_timeout` is over.
    fn due(&self) -> Option<Duration> {
        let settings = self.pool.settings_of(&self.record.client.user);
        let timeout = settings.client_idle_timeout?;
        Some(idle_at(self.resting_since, timeout))
    }
}

/// When a rest has lasted for `timeout`. One tick more, since the clock may have been one tick behind when it began: a
/// timeout is never early.
pub(super) fn idle_at(resting_since: Duration, timeout: Duration) -> Duration {
    resting_since.saturating_add(timeout).saturating_add(TICK)
}

/// The parked clients of one worker.
#[derive(Debug)]
pub(super) struct Lot {
    places: RefCell<Slab<Parked>>,
    sockets: Watchlist,
    bell: Arc<Bell>,
    /// No client is due before.
    next_due: Cell<Duration>,
}

impl Lot {
    /// An empty lot on the current runtime.
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Lot {
            places: RefCell::default(),
            sockets: Watchlist::new()?,
            bell: Arc::default(),
            next_due: Cell::new(Duration::MAX),
        })
    }

    /// Lets a client wait here; it comes back at once if its socket cannot be watched.
    ///
    /// # Race window
    /// Bytes that are there already are told of by the watchlist; an order given before the bell was hung up is looked
    /// for after that, and so are notifications.
    pub(super) fn park(&self, client: Parked) -> Result<(), Box<Parked>> {
        let mut places = self.places.borrow_mut();
        let Ok(place) = u32::try_from(places.vacant_key()) else { return Err(Box::new(client)) };
        if self.sockets.add(&client.socket, place).is_err() {
            return Err(Box::new(client));
        }
        let control = &client.who.record.client.control;
        control.park(&self.bell, place);
        if control.order() != Order::None || has_post(&client.who) {
            self.bell.ring(place);
        }
        if let Some(due) = client.who.due() {
            self.next_due.set(self.next_due.get().min(due));
        }
        places.insert(client);
        Ok(())
    }

    /// Takes a client from its place, if there is one.
    fn fetch(&self, place: u32) -> Option<Parked> {
        let client = self.places.borrow_mut().try_remove(place as usize)?;
        self.sockets.remove(&client.socket);
        Some(client)
    }

    /// Wakes the clients that have rested for too long. To be called at every tick.
    pub(super) fn tick(&self, now: Duration) {
        if now < self.next_due.get() {
            return;
        }
        let mut next = Duration::MAX;
        for (place, client) in self.places.borrow().iter() {
            match client.who.due() {
                Some(due) if due <= now => self.bell.ring(u32::try_from(place).unwrap_or(u32::MAX)),
                Some(due) => next = next.min(due),
                None => {}
            }
        }
        self.next_due.set(next);
    }

    /// Gathers the places of clients that are wanted or want something, at least one.
    fn poll_calls(&self, cx: &mut Context<'_>, places: &mut Vec<u32>) -> Poll<std::io::Result<()>> {
        self.bell.answer(cx, places);
        match self.sockets.poll_news(cx, places) {
            Poll::Pending if !places.is_empty() => Poll::Ready(Ok(())),
            polled => polled,
        }
    }
}

/// True when a notification is there for a client. From now on it is called to one.
fn has_post(client: &Who) -> bool {
    let Some(listening) = &client.session.listening else { return false };
    let caller = Caller(Arc::clone(&client.record.client));
    listening.listener.watch(&Waker::from(Arc::new(caller)));
    listening.listener.has_post()
}

/// Calls a client that may be parked.
struct Caller(Arc<ClientRecord>);

impl Wake for Caller {
    fn wake(self: Arc<Self>) {
        self.0.control.wake();
    }
}

/// Gives parked clients a task again when there is something for them.
pub(super) async fn attend(worker: Rc<Worker>) {
    let mut places = Vec::new();
    // An error is the runtime's end.
    while std::future::poll_fn(|cx| worker.lot.poll_calls(cx, &mut places)).await.is_ok() {
        for place in places.drain(..) {
            if let Some(client) = worker.lot.fetch(place) {
                move_or_serve(&worker, client);
            }
        }
        // Those who were busy already go first.
        tokio::task::yield_now().await;
    }
}
