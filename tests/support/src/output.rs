//! What a process says, line by line, while it runs.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The lines of one process, from both of its outputs.
#[derive(Debug, Default)]
pub(crate) struct Output {
    text: Arc<Text>,
    readers: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Text {
    lines: Mutex<String>,
    grown: Condvar,
}

impl Output {
    /// Reads one output to its end, in a thread of its own.
    pub(crate) fn collect(&mut self, source: impl Read + Send + 'static) {
        let text = Arc::clone(&self.text);
        self.readers.push(std::thread::spawn(move || {
            let mut source = BufReader::new(source);
            let mut line = Vec::new();
            while source.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                text.lock().push_str(&String::from_utf8_lossy(&line));
                text.grown.notify_all();
                line.clear();
            }
        }));
    }

    /// All lines so far.
    pub(crate) fn text(&self) -> String {
        self.text.lock().clone()
    }

    /// Waits until the outputs have ended, so that [`Output::text`] is the whole of it.
    pub(crate) fn finish(&mut self) {
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }

    /// Waits for a text to be said; false when `timeout` passed first.
    pub(crate) fn wait(&self, part: &str, timeout: Duration) -> bool {
        let deadline = Instant::now() + timeout;
        let mut lines = self.text.lock();
        while !lines.contains(part) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            lines =
                self.text.grown.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Text {
    fn lock(&self) -> MutexGuard<'_, String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::Output;
    use std::io::Write;
    use std::time::Duration;

    #[test]
    fn waits_for_lines_of_both_outputs() {
        let mut output = Output::default();
        let (first, mut say) = std::io::pipe().unwrap();
        output.collect(first);
        output.collect(&b"from the second\n"[..]);
        assert!(output.wait("second", Duration::from_secs(10)));
        assert!(!output.wait("hello", Duration::from_millis(10)));
        say.write_all(b"hello\n").unwrap();
        assert!(output.wait("hello", Duration::from_secs(10)));
        drop(say);
        output.finish();
        assert_eq!(output.text(), "from the second\nhello\n");
    }
}
