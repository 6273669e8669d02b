//! One place where users are looked up: its connections, its answers, and those who wait for one.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot};

use super::auth_query::Outcome;
use crate::auth::StoredSecret;
use crate::server::Server;
use crate::stats::ServerRecord;
use crate::types::Name;

/// Connections to one place. One is enough but for a storm.
pub(super) const CONNECTIONS: usize = 2;
/// A connection that nobody needs for longer is closed.
const IDLE: Duration = Duration::from_secs(60);
/// Answers kept for one place.
const ANSWERS: usize = 10_000;

/// Everything about one place.
pub(super) struct Desk {
    pub(super) permits: Semaphore,
    #[allow(clippy::vec_box, reason = "servers are boxed when they are made, and large to move")]
    pub(super) idle: Mutex<Vec<Box<Server>>>,
    /// Of all connections, those that ask included. Who holds the server keeps its record.
    records: Mutex<Vec<Weak<ServerRecord>>>,
    answers: Mutex<HashMap<Name, Known>>,
    /// Users being looked up, each with the logins that came too late for the round under way.
    queues: Mutex<HashMap<Name, Vec<oneshot::Sender<Outcome>>>>,
}

/// An answer that may be used again.
struct Known {
    asked: Instant,
    until: Instant,
    secret: Option<StoredSecret>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("idle", &self.idle.lock().len()).finish_non_exhaustive()
    }
}

impl Desk {
    pub(super) fn new() -> Self {
        Desk {
            permits: Semaphore::new(CONNECTIONS),
            idle: Mutex::default(),
            records: Mutex::default(),
            answers: Mutex::default(),
            queues: Mutex::default(),
        }
    }

    pub(super) fn cached(&self, name: &Name, ttl: Duration) -> Option<Option<StoredSecret>> {
        let answers = self.answers.lock();
        let known = answers.get(name)?;
        (known.asked.elapsed() < ttl).then(|| known.secret.clone())
    }

    pub(super) fn tidy(&self) {
        self.idle.lock().retain(|server| server.last_used.elapsed() < IDLE);
        let now = Instant::now();
        self.answers.lock().retain(|_, known| known.until > now);
    }

    pub(super) fn enter(&self, record: &Arc<ServerRecord>) {
        let mut records = self.records.lock();
        records.retain(|known| known.strong_count() > 0);
        records.push(Arc::downgrade(record));
    }

    pub(super) fn servers(&self) -> Vec<Arc<ServerRecord>> {
        self.records.lock().iter().filter_map(Weak::upgrade).collect()
    }

    pub(super) fn is_used(&self) -> bool {
        !self.idle.lock().is_empty() || !self.answers.lock().is_empty()
    }

    pub(super) fn keep(
        &self,
        name: &Name,
        asked: Instant,
        ttl: Duration,
        secret: Option<StoredSecret>,
    ) {
        let mut answers = self.answers.lock();
        // Names that nobody has cannot push out the others.
        if answers.len() < ANSWERS || answers.contains_key(name) {
            answers.insert(Name::clone(name), Known { asked, until: asked + ttl, secret });
        }
    }

    /// Waits for the next round; true when somebody has to begin it.
    pub(super) fn enqueue(&self, name: &Name, sender: oneshot::Sender<Outcome>) -> bool {
        let mut queues = self.queues.lock();
        let begins = !queues.contains_key(name);
        queues.entry(Name::clone(name)).or_default().push(sender);
        begins
    }

    /// Those whom the round that begins now answers; `None` when nobody is left, and then the queue is gone.
    pub(super) fn next_round(&self, name: &Name) -> Option<Vec<oneshot::Sender<Outcome>>> {
        let mut queues = self.queues.lock();
        let waiting = std::mem::take(queues.get_mut(name)?);
        if waiting.is_empty() {
            queues.remove(name);
            return None;
        }
        Some(waiting)
    }
}
