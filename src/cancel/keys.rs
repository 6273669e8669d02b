//! The keys of clients, and what they open.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use ahash::AHashMap;
use dashmap::DashMap;
use dashmap::mapref::entry::Entry;
use parking_lot::Mutex;
use subtle::ConstantTimeEq;
use tokio::sync::Notify;

use super::peers::{TTL, mark};
use super::reserve::Reserve;
use crate::control::Dequeue;
use crate::server::{Backend, CancelGuard, strike};

/// Length of a key for protocol 3.0.
pub const SHORT_KEY: usize = 4;
/// Length of a key for protocol 3.2.
pub const LONG_KEY: usize = 32;

/// Wrong keys one address may try per second; further requests of it are not looked at.
const GUESSES_PER_SECOND: u32 = 10;
/// Addresses whose guesses are counted.
const GUESSERS: usize = 10_000;

/// What a client's cancel request would strike now.
enum Aim {
    /// The client asks for nothing.
    Nothing,
    /// It has waited for a server, and is about to get it.
    Soon,
    /// It waits for a server.
    Queue(Arc<dyn Dequeue>),
    /// This server works for it.
    Server(Arc<Backend>),
}

/// One client's key, and what it opens.
pub struct Target {
    /// The process id the client was told.
    pub pid: u32,
    /// The secret it was told.
    pub key: Box<[u8]>,
    /// The client's number.
    client: u64,
    /// Bits of the last byte that peers may have changed.
    ttl: u8,
    aim: Mutex<Aim>,
    /// It is not [`Aim::Soon`] any more.
    decided: Notify,
}

impl Target {
    fn is_opened_by(&self, key: &[u8]) -> bool {
        let mut key = key.to_vec();
        if let Some(last) = key.last_mut() {
            *last |= self.ttl;
        }
        bool::from(self.key.ct_eq(&key))
    }

    /// The client waits.
    pub fn aim_at_queue(&self, queue: Arc<dyn Dequeue>) {
        self.aim_at(Aim::Queue(queue));
    }

    /// The wait is over, and a server about to work for the client: a request waits for that.
    pub fn aim_soon(&self) {
        self.aim_at(Aim::Soon);
    }

    /// A server works for the client.
    pub fn aim_at_server(&self, backend: &Arc<Backend>) {
        self.aim_at(Aim::Server(Arc::clone(backend)));
    }

    /// The client asks for nothing. Requests under way are finished before the server is handed on.
    pub fn aim_at_nothing(&self) {
        self.aim_at(Aim::Nothing);
    }

    fn aim_at(&self, aim: Aim) {
        if let Aim::Soon = std::mem::replace(&mut *self.aim.lock(), aim) {
            self.decided.notify_waiters();
        }
    }

    /// What a request would strike, as soon as that is decided.
    async fn announce(&self) -> Result<CancelGuard, Outcome> {
        loop {
            let decided = self.decided.notified();
            match &*self.aim.lock() {
                Aim::Nothing => return Err(Outcome::Stale),
                Aim::Queue(queue) => {
                    queue.dequeue();
                    return Err(Outcome::Dequeued);
                }
                // Announced under the lock: the client cannot let go of the server in between.
                Aim::Server(backend) => return Ok(backend.begin_cancel()),
                Aim::Soon => {}
            }
            decided.await;
        }
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Target").field("pid", &self.pid).finish_non_exhaustive()
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The server was asked.
    Forwarded,
    /// The waiting client was taken out of the queue.
    Dequeued,
    /// The client asked for nothing (any more).
    Stale,
    /// Nobody has this key.
    Unknown,
    /// The server could not be asked.
    Failed,
    /// It was a peer's, which was told.
    Peer,
}

impl Outcome {
    /// All outcomes, in the order of their numbers.
    pub const ALL: [Outcome; 6] = [
        Outcome::Forwarded,
        Outcome::Dequeued,
        Outcome::Stale,
        Outcome::Unknown,
        Outcome::Failed,
        Outcome::Peer,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Forwarded => "forwarded",
            Outcome::Dequeued => "dequeued",
            Outcome::Stale => "stale",
            Outcome::Unknown => "unknown",
            Outcome::Failed => "failed",
            Outcome::Peer => "peer",
        }
    }
}

/// The keys of all clients.
#[derive(Debug, Default)]
pub struct CancelKeys {
    targets: DashMap<u32, Arc<Target>, ahash::RandomState>,
    guesses: Mutex<AHashMap<IpAddr, (Instant, u32)>>,
    outcomes: [AtomicU64; Outcome::ALL.len()],
    random: Reserve,
}

impl CancelKeys {
    /// A new client's key, of `length` bytes, which names this process to its peers unless `peer_id` is 0. It is valid
    /// until the guard is dropped.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn issue(
        self: &Arc<Self>,
        length: usize,
        peer_id: u16,
        client: u64,
    ) -> Result<Issued, getrandom::Error> {
        let mut key = vec![0; length];
        self.random.fill(&mut key)?;
        let mut number = [0; size_of::<u32>()];
        self.random.fill(&mut number)?;
        let mut number = u32::from_ne_bytes(number);
        if let Some(last) = key.last_mut().filter(|_| peer_id != 0) {
            *last |= TTL;
        }
        loop {
            // Positive, as real process ids are: some clients print it signed.
            let mut pid = number >> 1;
            number = number.wrapping_add(2);
            if peer_id != 0 {
                pid = mark(pid, peer_id);
            }
            if let Entry::Vacant(free) = self.targets.entry(pid.max(1)) {
                let target = Target {
                    pid: *free.key(),
                    key: key.into(),
                    client,
                    ttl: if peer_id == 0 { 0 } else { TTL },
                    aim: Mutex::new(Aim::Nothing),
                    decided: Notify::new(),
                };
                let target = Arc::clone(&free.insert(Arc::new(target)));
                return Ok(Issued { target, keys: Arc::clone(self) });
            }
        }
    }

    /// The number of the client that a request is about; `None` if nobody has this key.
    pub fn owner(&self, pid: u32, key: &[u8]) -> Option<u64> {
        let target = self.targets.get(&pid)?;
        target.is_opened_by(key).then_some(target.client)
    }

    /// Carries a request out. `from` is whose wrong guesses are counted.
    pub async fn cancel(
        &self,
        pid: u32,
        key: &[u8],
        from: Option<IpAddr>,
        limit: Duration,
    ) -> Outcome {
        let outcome = self.strike(pid, key, from, limit).await;
        self.note(outcome);
        outcome
    }

    /// Counts a request that has ended this way.
    pub fn note(&self, outcome: Outcome) {
        if let Some(count) = self.outcomes.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn strike(&self, pid: u32, key: &[u8], from: Option<IpAddr>, limit: Duration) -> Outcome {
        if self.is_guessing(from) {
            return Outcome::Unknown;
        }
        let target = self.targets.get(&pid).map(|entry| Arc::clone(entry.value()));
        let Some(target) = target.filter(|target| target.is_opened_by(key)) else {
            self.count_guess(from);
            return Outcome::Unknown;
        };
        let guard = match tokio::time::timeout(limit, target.announce()).await {
            Ok(Ok(guard)) => guard,
            Ok(Err(outcome)) => return outcome,
            Err(_) => return Outcome::Failed,
        };
        if strike(guard, limit).await { Outcome::Forwarded } else { Outcome::Failed }
    }

    fn is_guessing(&self, from: Option<IpAddr>) -> bool {
        let guesses = self.guesses.lock();
        from.and_then(|address| guesses.get(&address)).is_some_and(|(since, count)| {
            *count >= GUESSES_PER_SECOND && since.elapsed() < Duration::from_secs(1)
        })
    }

    fn count_guess(&self, from: Option<IpAddr>) {
        let Some(address) = from else { return };
        let mut guesses = self.guesses.lock();
        if guesses.len() >= GUESSERS {
            guesses.clear();
        }
        let (since, count) = guesses.entry(address).or_insert((Instant::now(), 0));
        if since.elapsed() >= Duration::from_secs(1) {
            (*since, *count) = (Instant::now(), 0);
        }
        *count += 1;
    }

    /// How many requests ended this way.
    pub fn count(&self, outcome: Outcome) -> u64 {
        self.outcomes.get(outcome as usize).map_or(0, |count| count.load(Ordering::Relaxed))
    }

    /// Keys in use.
    pub fn len(&self) -> usize {
        self.targets.len()
    }

    /// True when no key is in use.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }
}

/// A key in use. Dropping it makes it invalid.
#[derive(Debug)]
pub struct Issued {
    /// The key.
    pub target: Arc<Target>,
    keys: Arc<CancelKeys>,
}

impl Drop for Issued {
    fn drop(&mut self) {
        self.target.aim_at_nothing();
        self.keys.targets.remove(&self.target.pid);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[derive(Default)]
    struct Queue(AtomicBool);

    impl Dequeue for Queue {
        fn dequeue(&self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    const LIMIT: Duration = Duration::from_secs(1);

    #[tokio::test]
    async fn only_the_right_key_dequeues() {
        let keys = Arc::new(CancelKeys::default());
        let issued = keys.issue(LONG_KEY, 0, 7).expect("randomness");
        let queue = Arc::new(Queue::default());
        let (pid, key) = (issued.target.pid, issued.target.key.clone());
        assert_eq!(keys.cancel(pid, &key, None, LIMIT).await, Outcome::Stale);
        issued.target.aim_at_queue(Arc::clone(&queue) as Arc<dyn Dequeue>);
        assert_eq!(keys.cancel(pid, &key[1..], None, LIMIT).await, Outcome::Unknown);
        assert_eq!((keys.owner(pid, &key), keys.owner(pid, &key[1..])), (Some(7), None));
        assert!(!queue.0.load(Ordering::Relaxed));
        assert_eq!(keys.cancel(pid, &key, None, LIMIT).await, Outcome::Dequeued);
        assert!(queue.0.load(Ordering::Relaxed));
        drop(issued);
        assert_eq!(keys.cancel(pid, &key, None, LIMIT).await, Outcome::Unknown);
        assert!(keys.is_empty());
    }

    #[tokio::test]
    async fn an_address_that_guesses_is_not_listened_to() {
        let keys = Arc::new(CancelKeys::default());
        let issued = keys.issue(SHORT_KEY, 0, 7).expect("randomness");
        issued.target.aim_at_queue(Arc::new(Queue::default()));
        let from = Some(IpAddr::from([127, 0, 0, 1]));
        for _ in 0..GUESSES_PER_SECOND {
            assert_eq!(
                keys.cancel(issued.target.pid, b"wrong", from, LIMIT).await,
                Outcome::Unknown
            );
        }
        let key = issued.target.key.clone();
        assert_eq!(keys.cancel(issued.target.pid, &key, from, LIMIT).await, Outcome::Unknown);
        assert_eq!(keys.cancel(issued.target.pid, &key, None, LIMIT).await, Outcome::Dequeued);
    }
}
