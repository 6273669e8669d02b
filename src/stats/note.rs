//! The beginning of the last statement of a server, written for every statement and read when somebody asks.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

/// Eight bytes each.
const WORDS: usize = 14;

/// A short text with one writer at a time, who never waits: a reader that is disturbed tries again.
#[derive(Debug, Default)]
pub struct StatementNote {
    /// Odd while it is being written.
    version: AtomicU32,
    length: AtomicU32,
    words: [AtomicU64; WORDS],
}

impl StatementNote {
    /// So many bytes of a statement are kept.
    pub const LONGEST: usize = WORDS * 8;

    /// Keeps the beginning of a statement. Only whoever drives the server may.
    pub fn write(&self, sql: &[u8]) {
        let sql = sql.get(..Self::LONGEST).unwrap_or(sql);
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::Release);
        self.length.store(u32::try_from(sql.len()).unwrap_or(0), Ordering::Relaxed);
        for (word, bytes) in self.words.iter().zip(sql.chunks(8)) {
            let mut value = [0; 8];
            for (to, from) in value.iter_mut().zip(bytes) {
                *to = *from;
            }
            word.store(u64::from_ne_bytes(value), Ordering::Relaxed);
        }
        self.version.store(version.wrapping_add(2), Ordering::Release);
    }

    /// What was written last; empty when there is nothing, or when it changes faster than it can be read.
    pub fn read(&self) -> Vec<u8> {
        const TRIES: usize = 16;
        let whole = (0..TRIES).find_map(|_| self.try_read());
        whole.unwrap_or_default()
    }

    fn try_read(&self) -> Option<Vec<u8>> {
        let before = self.version.load(Ordering::Acquire);
        let length = self.length.load(Ordering::Relaxed) as usize;
        let words = self.words.iter().map(|word| word.load(Ordering::Relaxed).to_ne_bytes());
        let mut bytes: Vec<u8> = words.flatten().collect();
        bytes.truncate(length);
        fence(Ordering::Acquire);
        let undisturbed =
            before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before;
        undisturbed.then_some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    use super::*;

    #[test]
    fn the_beginning_of_the_last_is_kept() {
        let note = StatementNote::default();
        assert_eq!(note.read(), b"");
        for text in ["select 1", "", "x".repeat(300).as_str(), "exactly 16 bytes"] {
            note.write(text.as_bytes());
            let kept = text.len().min(StatementNote::LONGEST);
            assert_eq!(note.read(), &text.as_bytes()[..kept]);
        }
    }

    #[test]
    fn a_reader_never_sees_two_statements_in_one() {
        let note = Arc::new(StatementNote::default());
        let over = Arc::new(AtomicBool::new(false));
        let writer = std::thread::spawn({
            let (note, over) = (Arc::clone(&note), Arc::clone(&over));
            move || {
                for round in 0..200_000 {
                    let byte = b'a' + u8::try_from(round % 26).unwrap();
                    note.write(&vec![byte; 1 + round % StatementNote::LONGEST]);
                }
                over.store(true, Ordering::Relaxed);
            }
        });
        while !over.load(Ordering::Relaxed) {
            let text = note.read();
            assert!(text.iter().all(|byte| Some(byte) == text.first()), "{text:?}");
        }
        writer.join().unwrap();
    }
}
