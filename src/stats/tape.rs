//! What one pool's clients ask for and how long they keep their servers, written down one by one for a while.
//!
//! There is one tape in the process and one pool at a time on it. Each thread writes to a share of its own, plain cells
//! that are there before the first is needed; a pool that is not recorded costs its transactions one look at a number.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Instant;

use crate::types::WorkerId;

/// So many requests are written down of one recording, all threads' together,
const LENGTH: usize = 4_096;
/// and so many at least of each: threads are not equally busy.
const SHARE: usize = 1_024;

/// One request that wanted a server, and got it. Times are in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// When it gave its server back, from the beginning of the recording.
    pub ended: u32,
    /// How long it waited for it.
    pub wait: u32,
    /// How long it had it.
    pub hold: u32,
    /// How much of that its client was silent inside its transaction.
    pub idle: u32,
    /// Whose request it was; clients that come back have the same number.
    pub client: u32,
    /// The [application](super::Applications) of the client.
    pub application: u8,
    /// It had not ended when the recording did.
    pub is_open: bool,
}

/// One thread's share: three words for each request.
#[derive(Debug)]
struct Share {
    /// Which recording the words are of.
    recording: AtomicU32,
    /// How many requests are written.
    written: AtomicU32,
    words: Box<[[AtomicU64; 3]]>,
}

/// The tape.
#[derive(Debug)]
pub struct Tape {
    workers: usize,
    /// Made for the first recording: a process that never records needs no memory for it.
    shares: OnceLock<Box<[Share]>>,
    epoch: Instant,
    /// When the recording began, in microseconds from the epoch.
    begun: AtomicU64,
    /// The number of the last recording.
    last: AtomicU32,
}

/// A recording that has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recording {
    /// What was written down, in no order.
    pub requests: Vec<Request>,
    /// The moment from which requests may be missing, because a share was full.
    pub full_at: Option<u32>,
}

impl Tape {
    /// A tape for so many threads.
    pub fn new(workers: usize) -> Self {
        Tape {
            workers: workers.max(1),
            shares: OnceLock::new(),
            epoch: Instant::now(),
            begun: AtomicU64::new(0),
            last: AtomicU32::new(0),
        }
    }

    /// Begins a recording; gives its number, which is never 0.
    pub fn begin(&self, now: Instant) -> u32 {
        let length = (LENGTH / self.workers).max(SHARE);
        self.shares.get_or_init(|| (0..self.workers).map(|_| Share::new(length)).collect());
        self.begun.store(micros(self.epoch, now), Ordering::Relaxed);
        let number = self.last.load(Ordering::Relaxed).wrapping_add(1).max(1);
        self.last.store(number, Ordering::Relaxed);
        number
    }

    /// Writes down a request of a recording that ended now, if there is room. Only `worker`'s thread may call this for it.
    pub fn write(&self, recording: u32, worker: WorkerId, ended: Instant, request: Request) {
        let share = self.shares.get().and_then(|shares| shares.get(usize::from(worker.0)));
        let Some(share) = share else { return };
        let ended = micros(self.epoch, ended).saturating_sub(self.begun.load(Ordering::Relaxed));
        share.write(recording, Request { ended: narrow(ended), ..request });
    }

    /// True when a thread has no room left for more of this recording.
    pub fn is_full(&self, recording: u32) -> bool {
        let mut shares = self.shares.get().into_iter().flatten();
        shares.any(|share| share.written(recording) == share.words.len())
    }

    /// What was written down. To be called when no thread writes to this recording any more, or the last few requests
    /// may be missing.
    pub fn read(&self, recording: u32) -> Recording {
        let mut read = Recording::default();
        for share in self.shares.get().into_iter().flatten() {
            let requests = share.read(recording);
            if requests.len() == share.words.len() {
                let last = requests.last().map(|request| request.ended);
                read.full_at = read.full_at.into_iter().chain(last).min();
            }
            read.requests.extend(requests);
        }
        read
    }
}

impl Share {
    fn new(length: usize) -> Self {
        Share {
            recording: AtomicU32::new(0),
            written: AtomicU32::new(0),
            words: (0..length).map(|_| Default::default()).collect(),
        }
    }

    fn write(&self, recording: u32, request: Request) {
        if self.recording.load(Ordering::Relaxed) != recording {
            self.written.store(0, Ordering::Relaxed);
            self.recording.store(recording, Ordering::Release);
        }
        let at = self.written.load(Ordering::Relaxed);
        let Some(words) = self.words.get(at as usize) else { return };
        let packed = [
            pair(request.ended, request.wait),
            pair(request.hold, request.idle),
            pair(request.client, request.application.into()),
        ];
        words.iter().zip(packed).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
        self.written.store(at + 1, Ordering::Release);
    }

    fn written(&self, recording: u32) -> usize {
        let is_it = self.recording.load(Ordering::Acquire) == recording;
        if is_it { self.written.load(Ordering::Acquire) as usize } else { 0 }
    }

    fn read(&self, recording: u32) -> Vec<Request> {
        let words = self.words.iter().take(self.written(recording));
        let requests = words.map(|words| {
            let [times, holds, whose] = [0, 1, 2].map(|at| words[at].load(Ordering::Relaxed));
            Request {
                ended: high(times),
                wait: low(times),
                hold: high(holds),
                idle: low(holds),
                client: high(whose),
                application: u8::try_from(low(whose)).unwrap_or_default(),
                is_open: false,
            }
        });
        requests.collect()
    }
}

fn pair(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn high(word: u64) -> u32 {
    narrow(word >> 32)
}

fn low(word: u64) -> u32 {
    narrow(word & u64::from(u32::MAX))
}

/// More than an hour is an hour here.
fn narrow(micros: u64) -> u32 {
    u32::try_from(micros).unwrap_or(u32::MAX)
}

fn micros(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn request(client: u32) -> Request {
        Request { wait: 1, hold: 2, idle: u32::MAX, client, application: 31, ..Request::default() }
    }

    #[test]
    fn what_is_written_is_read_and_recordings_do_not_mix() {
        let tape = Tape::new(2);
        let start = Instant::now();
        tape.write(1, WorkerId(0), start, request(1));
        let first = tape.begin(start);
        tape.write(first, WorkerId(0), start + Duration::from_micros(5), request(u32::MAX));
        tape.write(first, WorkerId(1), start + Duration::from_micros(7), request(8));
        let of = |ended, client| Request { ended, ..request(client) };
        let read = tape.read(first);
        assert_eq!(read.requests, [of(5, u32::MAX), of(7, 8)]);
        assert_eq!(read.full_at, None);
        let second = tape.begin(start + Duration::from_secs(1));
        assert_eq!(tape.read(second), Recording::default());
        tape.write(second, WorkerId(1), start + Duration::from_micros(1_000_003), request(9));
        assert_eq!(tape.read(second).requests, [of(3, 9)]);
    }

    #[test]
    fn a_full_share_says_from_when_on_it_is_not_whole() {
        let tape = Tape::new(1);
        let start = Instant::now();
        let number = tape.begin(start);
        for at in 0..LENGTH as u64 + 10 {
            assert_eq!(tape.is_full(number), at >= LENGTH as u64);
            tape.write(number, WorkerId(0), start + Duration::from_micros(at), request(1));
        }
        let read = tape.read(number);
        assert_eq!((read.requests.len(), read.full_at), (LENGTH, Some(LENGTH as u32 - 1)));
    }
}
