//! The unnamed statement of a client.

/// Texts that are kept for the sake of a pipeline may come to this many bytes.
const MAX_EARLIER: usize = 256 * 1024;

/// Memory for a text is given back when it has more room than this and the text fills little of it.
const ROOMY: usize = 8 * 1024;

/// The unnamed statement as the client knows it, so that another server can be given it.
///
/// A Parse that is pipelined behind other requests may be skipped if one of those fails: then the statement before it
/// is still there, and is remembered until the server has answered.
#[derive(Debug)]
pub struct Unnamed {
    latest: Text,
    /// What the next one is called; unique over all clients.
    next: u64,
    /// Those that still stand if the latest is skipped; none for most clients, hence boxed.
    earlier: Option<Box<Earlier>>,
}

#[derive(Debug, Default)]
struct Text {
    version: u64,
    content: Vec<u8>,
}

/// Oldest first.
#[derive(Debug, Default)]
struct Earlier {
    texts: Vec<Text>,
    bytes: usize,
}

impl Unnamed {
    /// No unnamed statement yet.
    pub fn new(client_id: u64) -> Self {
        // 2^32 unnamed statements of one client before its numbers could meet those of the client after it.
        Unnamed { latest: Text::default(), next: (client_id << 32) | 1, earlier: None }
    }

    /// Changes with each Parse; 0 while there is no unnamed statement.
    pub fn version(&self) -> u64 {
        self.latest.version
    }

    /// What follows the name in its Parse message.
    pub fn content(&self) -> &[u8] {
        &self.latest.content
    }

    /// A new one, which is sure to replace the one before; returns its version.
    pub fn replace(&mut self, content: &[u8]) -> u64 {
        self.earlier = None;
        if self.latest.content.capacity() > ROOMY.max(4 * content.len()) {
            self.latest.content = Vec::new();
        }
        self.put(content)
    }

    /// A new one, which may be skipped; returns its version.
    pub fn stack(&mut self, content: &[u8]) -> u64 {
        if self.latest.version != 0 {
            let earlier = self.earlier.get_or_insert_default();
            let text = std::mem::take(&mut self.latest);
            earlier.bytes += size_of::<Text>() + text.content.len();
            earlier.texts.push(text);
        }
        self.put(content)
    }

    fn put(&mut self, content: &[u8]) -> u64 {
        self.next += 1;
        self.latest.version = self.next;
        self.latest.content.clear();
        self.latest.content.extend_from_slice(content);
        self.next
    }

    /// True when more is remembered than is reasonable: no more may be stacked.
    pub fn is_heavy(&self) -> bool {
        self.earlier.as_ref().is_some_and(|earlier| earlier.bytes > MAX_EARLIER)
    }

    /// True when an answer may settle what is remembered.
    pub fn is_stacked(&self) -> bool {
        self.earlier.is_some()
    }

    /// The server has made this one: those before it are gone for good.
    pub fn made(&mut self, version: u64) {
        self.keep_earlier(|earlier| earlier >= version);
    }

    /// This one was never made: the one before it is still there.
    pub fn skipped(&mut self, version: u64) {
        if self.latest.version != version {
            return self.keep_earlier(|earlier| earlier != version);
        }
        let before = self.earlier.as_mut().and_then(|earlier| earlier.texts.pop());
        self.latest = before.unwrap_or_default();
        self.keep_earlier(|_| true);
    }

    /// The Parse of this one has failed, after it had dropped the one before.
    pub fn failed(&mut self, version: u64) {
        self.keep_earlier(|earlier| earlier > version);
        if self.latest.version <= version {
            self.forget();
        }
    }

    /// There is no unnamed statement any more.
    pub fn forget(&mut self) {
        self.latest.version = 0;
        self.earlier = None;
    }

    fn keep_earlier(&mut self, keep: impl Fn(u64) -> bool) {
        let Some(earlier) = self.earlier.as_mut() else { return };
        earlier.texts.retain(|text| keep(text.version));
        earlier.bytes =
            earlier.texts.iter().map(|text| size_of::<Text>() + text.content.len()).sum();
        self.earlier.take_if(|earlier| earlier.texts.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stacked() -> (Unnamed, [u64; 3]) {
        let mut unnamed = Unnamed::new(7);
        let versions = [unnamed.replace(b"old"), unnamed.stack(b"first"), unnamed.stack(b"second")];
        (unnamed, versions)
    }

    #[test]
    fn what_was_there_before_a_skipped_batch_stays() {
        let (mut unnamed, [old, first, second]) = stacked();
        unnamed.skipped(first);
        unnamed.skipped(second);
        assert_eq!((unnamed.version(), unnamed.content()), (old, &b"old"[..]));
        assert!(!unnamed.is_stacked());
    }

    #[test]
    fn an_error_between_two_leaves_the_first() {
        let (mut unnamed, [_, first, second]) = stacked();
        unnamed.made(first);
        unnamed.skipped(second);
        assert_eq!((unnamed.version(), unnamed.content()), (first, &b"first"[..]));
    }

    #[test]
    fn what_was_made_is_all_that_is_remembered() {
        let (mut unnamed, [_, first, second]) = stacked();
        unnamed.made(first);
        unnamed.made(second);
        assert_eq!((unnamed.version(), unnamed.is_stacked()), (second, false));
    }

    #[test]
    fn a_failed_one_takes_those_before_it_along() {
        let (mut unnamed, [_, first, second]) = stacked();
        unnamed.failed(first);
        assert_eq!((unnamed.version(), unnamed.is_stacked()), (second, false));
        unnamed.skipped(second);
        assert_eq!(unnamed.version(), 0);
        let (mut unnamed, [_, _, second]) = stacked();
        unnamed.failed(second);
        assert_eq!((unnamed.version(), unnamed.is_stacked()), (0, false));
    }

    #[test]
    fn a_long_pipeline_is_heavy() {
        let mut unnamed = Unnamed::new(1);
        let text = [b'x'; 1024];
        let stacked = (0..1000).take_while(|_| {
            unnamed.stack(&text);
            !unnamed.is_heavy()
        });
        let stacked = stacked.count();
        assert!((100..300).contains(&stacked), "{stacked}");
    }

    #[test]
    fn memory_of_a_large_one_is_given_back() {
        let mut unnamed = Unnamed::new(1);
        unnamed.replace(&[b'x'; 1 << 20]);
        unnamed.replace(b"small");
        assert!(unnamed.latest.content.capacity() <= ROOMY);
    }
}
