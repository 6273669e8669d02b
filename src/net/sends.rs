//! The sends of one turn of a thread's loop, submitted together.
//!
//! A thread that has heard from several sockets answers all of them before it hears again. Each answer sent on its own
//! costs a system call, and wakes a peer that competes for the processor with the answers still to come. So small
//! sends are collected, and go out when every task of the turn has run.

use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;

use parking_lot::Mutex;
use rustix::io::Errno;

use super::engine::{Engine, MOST_SENDS, Planned};
use crate::config::SendEngine;

/// Larger ones go out by themselves: copying them would cost more than it saves.
const LARGEST: usize = 4 * 1024;

/// The collected sends of one thread.
///
/// It is locked because a server's socket may be closed or taken away by another thread, which has its sends flushed
/// first; apart from that the lock is one thread's own.
pub struct Sends {
    batch: Mutex<Batch>,
    /// Sockets that did not take all; their owners have been woken to see to the rest.
    failed: AtomicUsize,
    kind: SendEngine,
}

struct Batch {
    /// Counts up with each submission; never 0.
    turn: u32,
    planned: Vec<Planned>,
    wakers: Vec<Waker>,
    bytes: Vec<u8>,
    rests: Vec<(RawFd, Rest)>,
    engine: Engine,
    /// Those who want to know when the turn is over.
    watchers: Vec<Waker>,
}

/// What a socket did not take.
#[derive(Debug)]
pub(super) struct Rest {
    /// Bytes to be sent before any others.
    pub(super) bytes: Vec<u8>,
    /// Why there is no point in trying.
    pub(super) error: Option<io::Error>,
}

impl Sends {
    /// A thread's sends.
    ///
    /// # Errors
    /// io_uring was asked for by name and is refused.
    pub fn new(asked: SendEngine) -> io::Result<Self> {
        let engine = Engine::new(asked)?;
        let kind = engine.kind();
        let batch = Batch {
            turn: 1,
            planned: Vec::with_capacity(MOST_SENDS),
            wakers: Vec::with_capacity(MOST_SENDS),
            bytes: Vec::new(),
            rests: Vec::new(),
            engine,
            watchers: Vec::new(),
        };
        Ok(Sends { batch: Mutex::new(batch), failed: AtomicUsize::new(0), kind })
    }

    /// The engine in use: io_uring or plain.
    pub fn kind(&self) -> SendEngine {
        self.kind
    }

    /// Submits what was planned. To be called whenever every task of the thread has run, before it waits.
    pub fn end_turn(&self) {
        self.submit(&mut self.batch.lock());
    }

    /// Takes bytes to send at the end of the turn, and says in which; `None`: they are too many, and everything planned
    /// before has gone out.
    pub(super) fn plan(
        &self,
        fd: RawFd,
        planned_in: u32,
        bytes: &[u8],
        waker: &Waker,
    ) -> Option<u32> {
        let mut batch = self.batch.lock();
        let large = bytes.len() > LARGEST;
        // Two sends of one socket never stand in one batch: the second must not overtake the rest of the first.
        if large || planned_in == batch.turn || batch.planned.len() == MOST_SENDS {
            self.submit(&mut batch);
        }
        // What the submission left behind goes first.
        if large || batch.has_rest(fd) {
            return None;
        }
        batch.push(fd, bytes, waker);
        Some(batch.turn)
    }

    /// True while this is the current turn.
    pub(super) fn is_turn(&self, turn: u32) -> bool {
        self.batch.lock().turn == turn
    }

    /// Has a task woken when `turn` is over; at once if it is.
    pub(super) fn wake_after(&self, turn: u32, waker: &Waker) {
        let mut batch = self.batch.lock();
        if batch.turn == turn {
            batch.watchers.push(waker.clone());
        } else {
            waker.wake_by_ref();
        }
    }

    /// Submits now if `planned_in` is the current turn.
    pub(super) fn settle(&self, planned_in: u32) {
        let mut batch = self.batch.lock();
        if batch.turn == planned_in {
            self.submit(&mut batch);
        }
    }

    /// True when a socket may have a [rest](Sends::take_rest). Costs no lock.
    pub(super) fn has_rests(&self) -> bool {
        self.failed.load(Ordering::Acquire) > 0
    }

    /// What `fd` did not take, which is the caller's to send from now on.
    pub(super) fn take_rest(&self, fd: RawFd) -> Option<Rest> {
        let mut batch = self.batch.lock();
        let at = batch.rests.iter().position(|(owner, _)| *owner == fd)?;
        self.failed.fetch_sub(1, Ordering::Release);
        Some(batch.rests.swap_remove(at).1)
    }

    fn submit(&self, batch: &mut Batch) {
        batch.turn = batch.turn.checked_add(1).unwrap_or(1);
        if batch.planned.is_empty() {
            return;
        }
        let Batch { planned, wakers, bytes, rests, engine, watchers, .. } = batch;
        engine.send(planned, bytes, |index, taken| {
            let Some(Planned { fd, bytes: range }) = planned.get(index) else { return };
            let (count, error) = match taken {
                Ok(count) => (count, None),
                Err(Errno::AGAIN) => (0, None),
                Err(error) => (0, Some(error.into())),
            };
            if count < range.len() {
                let bytes = bytes.get(range.start + count..range.end).unwrap_or_default().to_vec();
                rests.push((*fd, Rest { bytes, error }));
                self.failed.fetch_add(1, Ordering::Release);
                wakers.get(index).inspect(|waker| waker.wake_by_ref());
            }
        });
        planned.clear();
        wakers.clear();
        bytes.clear();
        watchers.drain(..).for_each(Waker::wake);
    }
}

impl Batch {
    fn has_rest(&self, fd: RawFd) -> bool {
        self.rests.iter().any(|(owner, _)| *owner == fd)
    }

    fn push(&mut self, fd: RawFd, bytes: &[u8], waker: &Waker) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.planned.push(Planned { fd, bytes: start..self.bytes.len() });
        self.wakers.push(waker.clone());
    }
}

impl fmt::Debug for Sends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sends").field("kind", &self.kind).finish_non_exhaustive()
    }
}
