//! How a batch of sends reaches the kernel.

use std::io;
use std::ops::Range;
use std::os::fd::{BorrowedFd, RawFd};

use io_uring::{IoUring, opcode, squeue, types};
use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::config::SendEngine;

/// Submitted together at most, one for each bit of a `u64`. More would let the first of them wait for long.
pub(super) const MOST_SENDS: usize = 64;

/// A send that was planned: these bytes of the batch, to this socket.
#[derive(Clone, Debug)]
pub(super) struct Planned {
    /// A socket that its owner keeps open until the batch is sent.
    pub(super) fd: RawFd,
    /// Where its bytes stand in the batch.
    pub(super) bytes: Range<usize>,
}

/// What became of a send: how many bytes the kernel took, or why it took none.
pub(super) type Taken = Result<usize, Errno>;

/// The way of a thread's batches into the kernel.
pub(super) enum Engine {
    /// One system call for all sends of a batch.
    Ring(Box<IoUring>),
    /// One for each.
    Plain,
}

impl Engine {
    /// The engine asked for; for `auto`, io_uring where the kernel allows it.
    ///
    /// # Errors
    /// io_uring was asked for and the kernel, or a container's filter, refuses it.
    pub(super) fn new(asked: SendEngine) -> io::Result<Self> {
        if asked == SendEngine::Plain {
            return Ok(Engine::Plain);
        }
        match IoUring::new(MOST_SENDS as u32) {
            Ok(ring) => Ok(Engine::Ring(Box::new(ring))),
            Err(_) if asked == SendEngine::Auto => Ok(Engine::Plain),
            Err(error) => Err(error),
        }
    }

    pub(super) fn kind(&self) -> SendEngine {
        match self {
            Engine::Ring(_) => SendEngine::IoUring,
            Engine::Plain => SendEngine::Plain,
        }
    }

    /// Sends a batch without waiting for any socket; `report` hears what became of each send, in no order.
    pub(super) fn send(
        &mut self,
        batch: &[Planned],
        bytes: &[u8],
        mut report: impl FnMut(usize, Taken),
    ) {
        debug_assert!(batch.len() <= MOST_SENDS, "a batch is never larger than the ring");
        match self {
            // For a lone send the ring costs more than it saves.
            Engine::Ring(ring) if batch.len() > 1 => {
                if let Err(error) = submit(ring, batch, bytes, &mut report) {
                    tracing::error!(%error, "io_uring failed: sends go out one by one from now on");
                    *self = Engine::Plain;
                }
            }
            _ => {
                for (index, planned) in batch.iter().enumerate() {
                    report(index, send_now(planned, bytes));
                }
            }
        }
    }
}

fn bytes_of<'a>(planned: &Planned, bytes: &'a [u8]) -> &'a [u8] {
    bytes.get(planned.bytes.clone()).unwrap_or_default()
}

#[allow(unsafe_code, reason = "a batch names sockets by number; see below")]
fn send_now(planned: &Planned, bytes: &[u8]) -> Taken {
    // SAFETY: whoever plans a send owns its socket and has the batch sent before closing it (`Outgoing::settle`).
    let socket = unsafe { BorrowedFd::borrow_raw(planned.fd) };
    let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
    rustix::io::retry_on_intr(|| rustix::net::send(socket, bytes_of(planned, bytes), flags))
}

/// Sends up to [`MOST_SENDS`] through the ring. All of them are over when it returns: a send that may not wait is
/// completed while it is submitted. After an error nobody knows which were sent, so each is reported as failed.
fn submit(
    ring: &mut IoUring,
    batch: &[Planned],
    bytes: &[u8],
    report: &mut impl FnMut(usize, Taken),
) -> io::Result<()> {
    for (index, planned) in batch.iter().enumerate() {
        let bytes = bytes_of(planned, bytes);
        // A batch is far smaller than 4 GiB.
        let entry = opcode::Send::new(types::Fd(planned.fd), bytes.as_ptr(), bytes.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
            .build()
            .user_data(index as u64);
        push(ring, &entry);
    }
    let mut left = batch.len();
    let mut heard = 0_u64;
    while left > 0 {
        if let Err(error) = ring.submit_and_wait(left)
            && !is_passing(&error)
        {
            let unheard = (0..batch.len()).filter(|index| heard & (1 << index) == 0);
            unheard.for_each(|index| report(index, Err(Errno::IO)));
            return Err(error);
        }
        for done in ring.completion() {
            left -= 1;
            heard |= 1 << done.user_data();
            report(done.user_data() as usize, taken(done.result()));
        }
    }
    Ok(())
}

/// True when the call may be repeated: nothing was lost.
fn is_passing(error: &io::Error) -> bool {
    let passing = [Errno::INTR, Errno::AGAIN, Errno::BUSY].map(Errno::raw_os_error);
    error.raw_os_error().is_some_and(|code| passing.contains(&code))
}

#[allow(unsafe_code, reason = "the kernel reads memory and a socket by number; see below")]
fn push(ring: &mut IoUring, entry: &squeue::Entry) {
    // SAFETY: `submit` does not return before the kernel has completed the entry, and its caller borrows the bytes for
    // as long; the socket stays open as in `send_now`.
    let pushed = unsafe { ring.submission().push(entry) };
    debug_assert!(pushed.is_ok(), "a part is never longer than the ring");
}

fn taken(result: i32) -> Taken {
    usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsRawFd;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn sends_arrive(engine: &mut Engine) {
        let bytes = b"onetwothree";
        let pairs: Vec<_> = (0..3).map(|_| UnixStream::pair().expect("pair")).collect();
        let ranges = [0..3, 3..6, 6..11];
        let batch: Vec<Planned> = pairs
            .iter()
            .zip(&ranges)
            .map(|((ours, _), bytes)| Planned { fd: ours.as_raw_fd(), bytes: bytes.clone() })
            .collect();
        let mut seen = [None; 3];
        engine.send(&batch, bytes, |index, taken| seen[index] = taken.ok());
        assert_eq!(seen, [Some(3), Some(3), Some(5)]);
        for ((_, mut theirs), range) in pairs.into_iter().zip(ranges) {
            let mut got = vec![0; range.len()];
            theirs.read_exact(&mut got).expect("read");
            assert_eq!(got, bytes[range]);
        }
    }

    #[test]
    fn every_engine_delivers() {
        sends_arrive(&mut Engine::Plain);
        match Engine::new(SendEngine::IoUring) {
            Ok(mut ring) => sends_arrive(&mut ring),
            Err(error) => println!("io_uring is not tested here: {error}"),
        }
    }

    #[test]
    fn a_full_socket_and_a_closed_one_are_told_apart() {
        for asked in [SendEngine::Plain, SendEngine::Auto] {
            let mut engine = Engine::new(asked).expect("engine");
            let (full, _theirs) = UnixStream::pair().expect("pair");
            full.set_nonblocking(true).expect("nonblocking");
            while std::io::Write::write(&mut &full, &[0; 65536]).is_ok() {}
            let (closed, theirs) = UnixStream::pair().expect("pair");
            drop(theirs);
            let plan = |socket: &UnixStream| Planned { fd: socket.as_raw_fd(), bytes: 0..1 };
            let mut seen = [None; 2];
            engine.send(&[plan(&full), plan(&closed)], b"x", |at, taken| seen[at] = Some(taken));
            assert_eq!(seen, [Some(Err(Errno::AGAIN)), Some(Err(Errno::PIPE))]);
        }
    }
}
