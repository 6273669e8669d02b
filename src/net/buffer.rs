//! Byte buffers that are borrowed while bytes are pending.

use std::cell::RefCell;
use std::ops::Range;

/// What a buffer starts with: several small transactions, or a piece of a large one.
pub(super) const SMALL: usize = 16 * 1024;
/// What suffices for most messages of a login.
const TINY: usize = 1024;
/// What suffices for most requests. Thousands may wait in a queue with theirs.
pub(super) const MODEST: usize = 4 * 1024;
/// What it grows to when reads keep filling it. Larger ones cost more cache than they save in system calls.
pub(super) const LARGE: usize = 64 * 1024;
/// What there is where much is known to come fast: fewer wake-ups, and still in the processor's own cache.
pub(super) const HUGE: usize = 256 * 1024;
/// Buffers of each size that a thread keeps for the next borrower.
const KEPT: usize = 64;
/// The same of the largest size.
const KEPT_HUGE: usize = 4;

/// Bytes in flight between two sockets: filled at the end, consumed at the front, edited in between.
///
/// An empty buffer owns no memory once it is [released](Buffer::release).
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// How much it borrows first: more while receives keep filling what it has.
    first: u32,
    /// How much it borrows first when they do not.
    least: u32,
}

impl Default for Buffer {
    fn default() -> Self {
        Buffer::new()
    }
}

impl Buffer {
    /// A buffer without memory.
    pub const fn new() -> Self {
        Buffer::starting_with(SMALL)
    }

    /// A buffer without memory, for what is mostly short.
    pub const fn for_requests() -> Self {
        Buffer::starting_with(MODEST)
    }

    const fn starting_with(size: usize) -> Self {
        Buffer { bytes: Vec::new(), start: 0, end: 0, first: size as u32, least: size as u32 }
    }

    /// The bytes that are there.
    pub fn filled(&self) -> &[u8] {
        self.bytes.get(self.start..self.end).unwrap_or_default()
    }

    /// How many bytes are there.
    pub fn len(&self) -> usize {
        self.end - self.start
    }

    /// True when nothing is there.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Room behind the bytes that are there.
    pub fn space(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.end..).unwrap_or_default()
    }

    /// Declares the first `count` bytes of [`space`](Buffer::space) filled.
    pub fn fill(&mut self, count: usize) {
        self.end = (self.end + count).min(self.bytes.len());
        if count < self.first as usize / 4 {
            self.first = self.least;
        }
    }

    /// Drops `count` bytes at the front.
    pub fn consume(&mut self, count: usize) {
        self.start = (self.start + count).min(self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Makes room to receive into: borrows memory if there is none, and moves the bytes to the front if the rest of
    /// the memory is too short to be worth a system call.
    pub fn prepare(&mut self, pool: &BufferPool) {
        if self.bytes.is_empty() {
            self.bytes = pool.take(self.first as usize);
        }
        if self.start > 0 && self.bytes.len() - self.end < self.bytes.len() / 2 {
            self.compact();
        }
    }

    /// Makes room to receive into off the hot path, with memory of its own: a little, and more when that is full.
    pub(super) fn prepare_alone(&mut self) {
        if self.start > 0 {
            self.compact();
        }
        if self.end == self.bytes.len() && self.end < SMALL {
            self.bytes.resize((2 * self.end).clamp(TINY, SMALL), 0);
        }
    }

    /// Trades the memory for a larger piece; bytes stay.
    pub fn enlarge(&mut self, pool: &BufferPool) {
        self.grow(if self.bytes.len() < SMALL { SMALL } else { LARGE }, pool);
    }

    /// Much is known to come: from now on there is as much room for it as ever is.
    pub fn expect_much(&mut self, pool: &BufferPool) {
        if self.bytes.is_empty() {
            self.first = HUGE as u32;
        } else {
            self.grow(HUGE, pool);
        }
    }

    fn grow(&mut self, size: usize, pool: &BufferPool) {
        if self.bytes.len() >= size {
            return;
        }
        let mut larger = pool.take(size);
        let length = self.len();
        if let Some(front) = larger.get_mut(..length) {
            front.copy_from_slice(self.filled());
            pool.put(std::mem::replace(&mut self.bytes, larger));
            (self.start, self.end) = (0, length);
            self.first = size as u32;
        }
    }

    /// True when no more can be received before something is consumed.
    pub fn is_full(&self) -> bool {
        !self.bytes.is_empty() && self.end == self.bytes.len() && self.start == 0
    }

    /// How many bytes the memory can hold.
    pub fn capacity(&self) -> usize {
        self.bytes.len()
    }

    /// Grows the memory, so that a message of `size` bytes can be seen whole.
    pub fn reserve(&mut self, size: usize) {
        if self.bytes.len() < size {
            self.compact();
            self.bytes.resize(size.max(SMALL), 0);
        }
    }

    /// Gives the memory back when nothing is there.
    pub fn release(&mut self, pool: &BufferPool) {
        if self.is_empty() && !self.bytes.is_empty() {
            pool.put(std::mem::take(&mut self.bytes));
            (self.start, self.end) = (0, 0);
        }
    }

    /// Replaces the bytes at `range` (counted from the front) by `with`. Costs a move of what follows.
    pub fn replace(&mut self, range: Range<usize>, with: &[u8]) {
        let (from, to) = (self.start + range.start, self.start + range.end);
        if to > self.end || from > to {
            debug_assert!(false, "edit outside of the buffer");
            return;
        }
        let tail = self.end - to;
        let new_end = from + with.len() + tail;
        if new_end > self.bytes.len() {
            // Never less than a piece of memory to receive into: bytes that were pushed may be half a message.
            self.bytes.resize(new_end.max(SMALL), 0);
        }
        self.bytes.copy_within(to..self.end, from + with.len());
        if let Some(hole) = self.bytes.get_mut(from..from + with.len()) {
            hole.copy_from_slice(with);
        }
        self.end = new_end;
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// Appends bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        let end = self.len();
        self.replace(end..end, bytes);
    }

    fn compact(&mut self) {
        self.bytes.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
    }
}

/// The spare memory of one thread.
#[derive(Debug, Default)]
pub struct BufferPool {
    modest: RefCell<Shelf>,
    small: RefCell<Shelf>,
    large: RefCell<Shelf>,
    huge: RefCell<Shelf>,
}

/// Spare pieces of one size.
#[derive(Debug, Default)]
struct Shelf {
    pieces: Vec<Vec<u8>>,
    /// The fewest that were here since the last [trim](Shelf::trim): so many nobody needed.
    fewest: usize,
}

impl Shelf {
    fn take(&mut self) -> Option<Vec<u8>> {
        let piece = self.pieces.pop();
        self.fewest = self.fewest.min(self.pieces.len());
        piece
    }

    fn put(&mut self, piece: Vec<u8>) {
        let most = if piece.len() < HUGE { KEPT } else { KEPT_HUGE };
        if self.pieces.len() < most {
            self.pieces.push(piece);
        }
    }

    fn trim(&mut self) {
        self.pieces.truncate(self.pieces.len() - self.fewest);
        self.fewest = self.pieces.len();
    }
}

impl BufferPool {
    fn shelf(&self, size: usize) -> Option<&RefCell<Shelf>> {
        match size {
            MODEST => Some(&self.modest),
            SMALL => Some(&self.small),
            LARGE => Some(&self.large),
            HUGE => Some(&self.huge),
            _ => None,
        }
    }

    fn take(&self, size: usize) -> Vec<u8> {
        let kept = self.shelf(size).and_then(|shelf| shelf.borrow_mut().take());
        kept.unwrap_or_else(|| vec![0; size])
    }

    fn put(&self, bytes: Vec<u8>) {
        if let Some(shelf) = self.shelf(bytes.len()) {
            shelf.borrow_mut().put(bytes);
        }
    }

    /// Gives back what was not needed since the last time.
    pub fn trim(&self) {
        self.modest.borrow_mut().trim();
        self.small.borrow_mut().trim();
        self.large.borrow_mut().trim();
        self.huge.borrow_mut().trim();
    }
}

#[cfg(test)]
#[path = "buffer_tests.rs"]
mod tests;
