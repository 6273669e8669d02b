//! Gives memory back that a storm has left behind.
//!
//! The allocator keeps what was freed, scattered over the heap, until somebody asks it to look through all of it. After
//! a thousand clients had tasks and buffers for a moment that is half as much again as they need for good.

use std::time::Duration;

/// How often it is looked at. To count what is free, the allocator locks its heaps one after the other, and whoever wants
/// memory of one meanwhile waits for about a millisecond if it is large: not more often than somebody would notice.
const LOOK: Duration = Duration::from_secs(5);

/// Less is not worth a look through the heap.
const WORTHWHILE: usize = 256 * 1024;

/// Looks after the heap for as long as the process lives.
pub(super) async fn keep() {
    let mut rest = Rest::default();
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        // Locks the heap's parts one after the other, for as long as each is looked through.
        let looked = tokio::task::spawn_blocking(move || {
            if rest.has_grown(heap::free_bytes()) {
                heap::trim();
            }
            rest
        });
        rest = looked.await.unwrap_or_default();
    }
}

/// How much of the heap lies idle.
#[derive(Debug, Default)]
struct Rest {
    /// At the last look.
    last: usize,
    /// The least since memory was given back. The allocator counts what it has given back as free.
    least: usize,
}

impl Rest {
    /// Whether much more has been lying idle from one look to the next than was in use at some time since memory was
    /// given back.
    fn has_grown(&mut self, free: usize) -> bool {
        let idle = free.min(std::mem::replace(&mut self.last, free));
        self.least = self.least.min(free);
        let has_grown = idle >= self.least + WORTHWHILE;
        if has_grown {
            self.least = free;
        }
        has_grown
    }
}

#[cfg(target_env = "gnu")]
#[allow(unsafe_code, reason = "the C library's own functions; see below")]
mod heap {
    /// Bytes that are free.
    pub(super) fn free_bytes() -> usize {
        // SAFETY: it takes nothing, and gives a struct of numbers.
        unsafe { libc::mallinfo2() }.fordblks
    }

    /// Gives free pages back to the system.
    pub(super) fn trim() {
        // SAFETY: it takes a number, and touches only what is free, under the allocator's locks.
        unsafe { libc::malloc_trim(0) };
    }
}

/// Other C libraries see to it themselves.
#[cfg(not(target_env = "gnu"))]
mod heap {
    pub(super) fn free_bytes() -> usize {
        0
    }

    pub(super) fn trim() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_idle_for_a_while_is_given_back_once() {
        let mut rest = Rest::default();
        let (some, much) = (WORTHWHILE / 2, 4 * WORTHWHILE);
        assert!(!rest.has_grown(some));
        assert!(!rest.has_grown(much), "it may be in use again at once");
        assert!(rest.has_grown(much));
        assert!(!rest.has_grown(much) && !rest.has_grown(much), "it was given back");
        assert!(!rest.has_grown(some), "in use again");
        assert!(!rest.has_grown(much));
        assert!(rest.has_grown(much));
    }

    #[cfg(target_env = "gnu")]
    #[test]
    fn the_heap_tells_what_is_free() {
        let mut pieces: Vec<Vec<u8>> = (0..1_000).map(|_| vec![1; 4_000]).collect();
        let before = heap::free_bytes();
        // Holes: what is free at the end of the heap is given back at once.
        for piece in pieces.iter_mut().step_by(2) {
            *piece = Vec::new();
        }
        assert!(heap::free_bytes() >= before + 1_000_000);
        heap::trim();
    }
}
