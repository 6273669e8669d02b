//! Random bytes, fetched many at a time: each time is a system call, and every login needs a few.

use parking_lot::Mutex;

/// How many are fetched at a time.
const STOCK: usize = 512;

/// Random bytes nobody has seen.
#[derive(Debug)]
pub(super) struct Reserve(Mutex<Stock>);

struct Stock {
    bytes: [u8; STOCK],
    /// The first so many have not been given to anybody.
    left: usize,
}

/// What will be keys is nobody's business.
impl std::fmt::Debug for Stock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stock").field("left", &self.left).finish_non_exhaustive()
    }
}

impl Default for Reserve {
    fn default() -> Self {
        Reserve(Mutex::new(Stock { bytes: [0; STOCK], left: 0 }))
    }
}

impl Reserve {
    /// Fills `bytes`, at most [`STOCK`] of them, with random ones that nobody else gets, and keeps no copy.
    ///
    /// # Errors
    /// The system has no randomness.
    pub(super) fn fill(&self, bytes: &mut [u8]) -> Result<(), getrandom::Error> {
        let mut stock = self.0.lock();
        if stock.left < bytes.len() {
            getrandom::fill(&mut stock.bytes)?;
            stock.left = STOCK;
        }
        let from = stock.left.saturating_sub(bytes.len());
        let until = stock.left;
        if let Some(given) = stock.bytes.get_mut(from..until) {
            bytes.copy_from_slice(given);
            given.fill(0);
        }
        stock.left = from;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn nobody_gets_what_another_has_got_and_no_copy_is_kept() {
        let reserve = Reserve::default();
        let mut given = HashSet::new();
        for _ in 0..STOCK {
            let mut key = [0; 24];
            reserve.fill(&mut key).expect("random bytes");
            assert!(given.insert(key), "given twice");
            let stock = reserve.0.lock();
            assert!(stock.bytes[stock.left..].iter().all(|byte| *byte == 0));
        }
    }
}
