//! The exchange of one database: who listens to which channel. One listening server feeds it; clients are told from it.
//!
//! Without I/O: the one that drives the listening server asks [`Exchange::plan`] what to send, and hands over what comes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::inbox::Inbox;
pub use super::inbox::Post;
use crate::sql::Ident;
use crate::wire::ErrorFields;

/// Channels of one client; one that wants more gets an error.
const MAX_CHANNELS: usize = 10_000;

/// The channels of one database.
#[derive(Debug, Default)]
pub struct Exchange {
    state: Mutex<State>,
    /// Somebody wants a channel, or does not want one any more.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    channels: BTreeMap<Ident, Channel>,
    next: u64,
    /// Why there is no listening server.
    failure: Option<ErrorFields>,
    fences: Fences,
}

/// Clients that wait until what was sent to a channel before has been handed out.
#[derive(Debug, Default)]
struct Fences {
    /// There is a listening server, so that something can be waited for.
    is_up: bool,
    /// How many were asked for.
    last: u64,
    /// Those not reached yet: who waits, and since when.
    waiting: BTreeMap<u64, (Arc<Inbox>, Instant)>,
}

impl Fences {
    /// Those up to this number are reached.
    fn reach(&mut self, number: u64) {
        let behind = self.waiting.split_off(&(number + 1));
        let reached = std::mem::replace(&mut self.waiting, behind);
        reached.values().for_each(|(inbox, _)| inbox.wake());
    }
}

/// One channel.
#[derive(Debug, Default)]
struct Channel {
    listeners: BTreeMap<u64, Place>,
    stage: Stage,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Stage {
    /// The listening server does not know of it.
    #[default]
    Wanted,
    /// The listening server was asked.
    Asked,
    /// The listening server listens.
    Ready,
    /// The listening server refused.
    Refused(ErrorFields),
}

/// A client at a channel.
#[derive(Debug)]
struct Place {
    inbox: Arc<Inbox>,
    /// Its LISTEN is committed. What comes before that is kept for it.
    committed: bool,
    early: Vec<u8>,
}

/// Whether a channel can be listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// What is sent to it from now on arrives.
    Ready,
    /// The listening server is being asked; the client's task is woken.
    Waiting,
    /// It cannot be had.
    Refused(ErrorFields),
    /// The client has as many channels as it may have.
    TooMany(usize),
}

/// A client's place at the exchange. Dropping it leaves every channel.
#[derive(Debug)]
pub struct Listener {
    exchange: Arc<Exchange>,
    id: u64,
    inbox: Arc<Inbox>,
    /// Channels it is at.
    at: BTreeSet<Ident>,
}

impl Listener {
    /// Asks for a channel. Everything that arrives from the first [`Readiness::Ready`] on is for the client, if its
    /// LISTEN is committed.
    pub fn readiness(&mut self, channel: &[u8], waker: &Waker) -> Readiness {
        self.watch(waker);
        if self.at.len() >= MAX_CHANNELS && !self.at.contains(channel) {
            return Readiness::TooMany(MAX_CHANNELS);
        }
        self.at.insert(channel.into());
        let mut state = self.exchange.state.lock();
        let failure = state.failure.clone();
        let entry = state.channels.entry(channel.into()).or_default();
        let inbox = || Arc::clone(&self.inbox);
        let place = || Place { inbox: inbox(), committed: false, early: Vec::new() };
        entry.listeners.entry(self.id).or_insert_with(place);
        match &entry.stage {
            Stage::Ready => Readiness::Ready,
            Stage::Refused(fields) => {
                let fields = fields.clone();
                entry.stage = Stage::Wanted;
                Readiness::Refused(fields)
            }
            Stage::Wanted | Stage::Asked => match failure {
                Some(fields) => Readiness::Refused(fields),
                None => {
                    self.exchange.changed.notify_one();
                    Readiness::Waiting
                }
            },
        }
    }

    /// From now on the client listens to these channels and to no others.
    pub fn settle(&mut self, channels: &BTreeSet<Ident>) {
        let mut state = self.exchange.state.lock();
        let mut early = Vec::new();
        for channel in std::mem::replace(&mut self.at, channels.clone()) {
            let Some(entry) = state.channels.get_mut(&channel) else { continue };
            if !channels.contains(&channel) {
                entry.listeners.remove(&self.id);
                self.exchange.changed.notify_one();
            } else if let Some(place) = entry.listeners.get_mut(&self.id) {
                place.committed = true;
                early.append(&mut place.early);
            }
        }
        drop(state);
        if !early.is_empty() {
            self.inbox.put(&early);
        }
    }

    /// Whom to wake.
    pub fn watch(&self, waker: &Waker) {
        let mut known = self.inbox.waker.lock();
        if !known.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *known = Some(waker.clone());
        }
    }

    /// Asks to be woken once everything is here that was sent to the client's channels before; a number to ask by.
    pub fn fence(&self) -> u64 {
        let mut state = self.exchange.state.lock();
        let fences = &mut state.fences;
        fences.last += 1;
        if fences.is_up {
            fences.waiting.insert(fences.last, (Arc::clone(&self.inbox), Instant::now()));
            self.exchange.changed.notify_one();
        }
        fences.last
    }

    /// True when it is, or when it is not to be waited for any longer.
    pub fn is_past(&self, fence: u64) -> bool {
        !self.exchange.state.lock().fences.waiting.contains_key(&fence)
    }

    /// True when something is there.
    pub fn has_post(&self) -> bool {
        *self.inbox.state.lock() != Post::default()
    }

    /// Takes what is there.
    pub fn take(&self) -> Post {
        std::mem::take(&mut *self.inbox.state.lock())
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.settle(&BTreeSet::new());
    }
}

/// What the listening server is to be asked.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Channels to LISTEN to.
    pub listen: Vec<Ident>,
    /// Channels to UNLISTEN.
    pub unlisten: Vec<Ident>,
}

impl Exchange {
    /// A place for a client, for which at most `limit` bytes of notifications are kept.
    pub fn join(self: &Arc<Self>, limit: usize) -> Listener {
        let mut state = self.state.lock();
        state.next += 1;
        let inbox = Inbox { limit, state: Mutex::default(), waker: Mutex::default() };
        let (exchange, inbox) = (Arc::clone(self), Arc::new(inbox));
        Listener { exchange, id: state.next, inbox, at: BTreeSet::new() }
    }

    /// Comes back when there may be something to do.
    pub async fn changed(&self) {
        self.changed.notified().await;
    }

    /// What the listening server is to be asked now. Channels that nobody wants are forgotten.
    pub fn plan(&self) -> Plan {
        let mut state = self.state.lock();
        let mut plan = Plan::default();
        state.channels.retain(|name, channel| {
            if channel.listeners.is_empty() && channel.stage != Stage::Asked {
                if channel.stage == Stage::Ready {
                    plan.unlisten.push(name.clone());
                }
                return false;
            }
            if channel.stage == Stage::Wanted {
                channel.stage = Stage::Asked;
                plan.listen.push(name.clone());
            }
            true
        });
        plan
    }

    /// The listening server listens to these.
    pub fn listens(&self, channels: &[Ident]) {
        self.enter(channels, || Stage::Ready);
    }

    /// The listening server has refused these.
    pub fn refused(&self, channels: &[Ident], fields: &ErrorFields) {
        self.enter(channels, || Stage::Refused(fields.clone()));
    }

    fn enter(&self, channels: &[Ident], stage: impl Fn() -> Stage) {
        let mut state = self.state.lock();
        state.failure = None;
        for name in channels {
            if let Some(channel) = state.channels.get_mut(name) {
                channel.stage = stage();
                channel.listeners.values().for_each(|place| place.inbox.wake());
            }
        }
        drop(state);
        self.changed.notify_one();
    }

    /// There is a listening server.
    pub fn connected(&self) {
        self.state.lock().fences.is_up = true;
    }

    /// The last fence that somebody waits for: it is reached when the listening server has answered anything that is
    /// asked of it from now on, since it says what it has heard before it says that it is ready.
    pub fn fence(&self) -> Option<u64> {
        self.state.lock().fences.waiting.keys().next_back().copied()
    }

    /// Everything up to this fence has been handed out.
    pub fn fenced(&self, number: u64) {
        self.state.lock().fences.reach(number);
    }

    /// Lets those go on who have waited for so long.
    pub fn expire_fences(&self, limit: Duration) {
        let mut state = self.state.lock();
        let late = |(_, since): &&(Arc<Inbox>, Instant)| since.elapsed() >= limit;
        let late = state.fences.waiting.values().take_while(late).count();
        if let Some(last) = late.checked_sub(1).and_then(|at| state.fences.waiting.keys().nth(at)) {
            let last = *last;
            state.fences.reach(last);
        }
    }

    /// The listening server is gone: it has to be asked for everything anew.
    pub fn lost(&self) {
        let mut state = self.state.lock();
        state.fences.is_up = false;
        state.fences.reach(u64::MAX - 1);
        state.channels.values_mut().for_each(|channel| channel.stage = Stage::Wanted);
    }

    /// There is no listening server to be had. Whoever waits for one is told; those who listen wait on.
    pub fn failed(&self, fields: ErrorFields) {
        let mut state = self.state.lock();
        state.failure = Some(fields);
        let places = state.channels.values().flat_map(|channel| channel.listeners.values());
        places.for_each(|place| place.inbox.wake());
    }

    /// There may be a listening server again.
    pub fn try_again(&self) {
        self.state.lock().failure = None;
    }

    /// A notification has come. Returns how many clients it goes to.
    pub fn deliver(&self, channel: &[u8], message: &[u8]) -> usize {
        let mut state = self.state.lock();
        let Some(channel) = state.channels.get_mut(channel) else { return 0 };
        for place in channel.listeners.values_mut() {
            if place.committed {
                place.inbox.put(message);
            } else if place.early.len() + message.len() <= place.inbox.limit {
                place.early.extend_from_slice(message);
            }
        }
        channel.listeners.len()
    }

    /// Tells everybody who listens, each once.
    pub fn tell_all(&self, message: &[u8]) {
        let state = self.state.lock();
        let places = state.channels.values().flat_map(|channel| &channel.listeners);
        let committed = places.filter(|(_, place)| place.committed);
        let inboxes: BTreeMap<u64, &Arc<Inbox>> =
            committed.map(|(id, place)| (*id, &place.inbox)).collect();
        inboxes.values().for_each(|inbox| inbox.put(message));
    }

    /// True when nobody listens.
    pub fn is_unused(&self) -> bool {
        self.state.lock().channels.is_empty()
    }

    /// How many channels there are.
    pub fn channels(&self) -> usize {
        self.state.lock().channels.len()
    }
}

#[cfg(test)]
#[path = "exchange_tests.rs"]
mod tests;
