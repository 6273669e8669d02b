//! Sends, or receives and sends, of one turn in one system call.

use std::alloc::Layout;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use io_uring::types::{BufRingEntry, Fd, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use crate::site::{Ends, PATIENCE, Watch};

/// Sends submitted together at most, as in pgusher.
const MOST_SENDS: usize = 64;
/// Pieces of memory for receives, and the size of each.
const PIECES: u16 = 1024;
const PIECE: usize = 4096;

/// Relays by epoll and `recv`; the sends of a turn go out together.
pub(crate) fn relay_sends(ends: &Ends, stop: &AtomicBool) -> io::Result<()> {
    let watch = Watch::new(&ends.0)?;
    let mut ring = IoUring::new(MOST_SENDS as u32)?;
    let mut pieces = vec![[0; PIECE]; MOST_SENDS];
    while !stop.load(Ordering::Relaxed) {
        for batch in watch.wait()?.chunks(MOST_SENDS) {
            for (&at, piece) in batch.iter().zip(&mut pieces) {
                let count = (&ends.0[at]).read(piece)?;
                let to = Fd(ends.0[Ends::partner(at)].as_raw_fd());
                push(&mut ring, &opcode::Send::new(to, piece.as_ptr(), count as u32).build());
            }
            ring.submit_and_wait(batch.len())?;
            ring.completion().for_each(drop);
        }
    }
    Ok(())
}

/// What a completion is about: a receive of the socket with that number, or the send of a piece of memory.
#[derive(Clone, Copy)]
enum About {
    Receive(usize),
    Send(u16),
}

impl About {
    const SEND: u64 = 1 << 32;

    fn data(self) -> u64 {
        match self {
            About::Receive(at) => at as u64,
            About::Send(piece) => About::SEND | u64::from(piece),
        }
    }

    fn of(data: u64) -> Self {
        match data & About::SEND {
            0 => About::Receive(data as usize),
            _ => About::Send((data & u64::from(u16::MAX)) as u16),
        }
    }
}

/// Relays by the ring alone: one standing receive for each socket, into memory that the kernel chooses.
pub(crate) fn relay_all(ends: &Ends, stop: &AtomicBool) -> io::Result<()> {
    let mut ring: IoUring =
        IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(4096)?;
    let mut shelf = Shelf::new(&ring)?;
    (0..ends.0.len()).for_each(|at| push(&mut ring, &receive(ends, at)));
    let patience = Timespec::from(PATIENCE);
    while !stop.load(Ordering::Relaxed) {
        let waited = ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&patience));
        if let Err(error) = waited
            && error.raw_os_error() != Some(libc::ETIME)
        {
            return Err(error);
        }
        let done: Vec<cqueue::Entry> = ring.completion().collect();
        for entry in done {
            match (About::of(entry.user_data()), entry.result()) {
                (About::Send(piece), _) => shelf.put(piece),
                (About::Receive(at), count) => {
                    if let (Some(piece), 1..) = (cqueue::buffer_select(entry.flags()), count) {
                        let to = Fd(ends.0[Ends::partner(at)].as_raw_fd());
                        let send = opcode::Send::new(to, shelf.piece(piece), count as u32).build();
                        push(&mut ring, &send.user_data(About::Send(piece).data()));
                    }
                    if !cqueue::more(entry.flags()) {
                        push(&mut ring, &receive(ends, at));
                    }
                }
            }
        }
    }
    Ok(())
}

fn receive(ends: &Ends, at: usize) -> squeue::Entry {
    let receive = opcode::RecvMulti::new(Fd(ends.0[at].as_raw_fd()), 0).build();
    receive.user_data(About::Receive(at).data())
}

#[allow(unsafe_code, reason = "the kernel reads memory and sockets by number; see below")]
fn push(ring: &mut IoUring, entry: &squeue::Entry) {
    // SAFETY: sockets stay open until the relay has ended; memory of sends alone is waited for, that of the shelf is
    // never given back, since the kernel may be at it for some time after the ring was closed.
    let pushed = unsafe { ring.submission().push(entry) };
    pushed.expect("the ring has room for every socket");
}

/// Memory that the kernel may receive into, until the process ends.
struct Shelf {
    entries: NonNull<BufRingEntry>,
    pieces: *const u8,
    tail: u16,
}

impl Shelf {
    #[allow(unsafe_code, reason = "the kernel reads what stands on the shelf")]
    fn new(ring: &IoUring) -> io::Result<Self> {
        // SAFETY: of more than no size.
        let entries = unsafe { std::alloc::alloc_zeroed(layout()) };
        let entries = NonNull::new(entries).ok_or(io::ErrorKind::OutOfMemory)?.cast();
        // SAFETY: there are so many entries.
        unsafe {
            let address = entries.as_ptr() as u64;
            ring.submitter().register_buf_ring_with_flags(address, PIECES, 0, 0)?;
        }
        let pieces = vec![0; usize::from(PIECES) * PIECE].leak().as_mut_ptr().cast_const();
        let mut shelf = Shelf { entries, pieces, tail: 0 };
        (0..PIECES).for_each(|piece| shelf.put(piece));
        Ok(shelf)
    }

    fn piece(&self, piece: u16) -> *const u8 {
        self.pieces.wrapping_add(usize::from(piece) * PIECE)
    }

    #[allow(unsafe_code, reason = "the kernel reads what stands on the shelf")]
    fn put(&mut self, piece: u16) {
        let at = usize::from(self.tail % PIECES);
        // SAFETY: there are so many entries, and the kernel does not look at this one before the tail is behind it.
        let entry = unsafe { self.entries.add(at).as_mut() };
        entry.set_addr(self.piece(piece) as u64);
        entry.set_len(PIECE as u32);
        entry.set_bid(piece);
        self.tail = self.tail.wrapping_add(1);
        // SAFETY: the first entry, which is there, has the tail in it; the kernel only reads it.
        let tail = unsafe { &*BufRingEntry::tail(self.entries.as_ptr()).cast::<AtomicU16>() };
        tail.store(self.tail, Ordering::Release);
    }
}

fn layout() -> Layout {
    let size = usize::from(PIECES) * size_of::<BufRingEntry>();
    Layout::from_size_align(size, 4096).expect("a power of two")
}
