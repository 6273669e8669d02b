//! Where messages begin in bytes that nobody keeps.

use crate::wire::frame::HEADER;

/// How far into a message the bytes so far have come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Frames {
    header: Vec<u8>,
    /// Bytes of the message that have yet to come.
    left: usize,
}

impl Frames {
    /// Takes note of the next bytes; `see` gets the type of each message whose header is whole.
    pub(super) fn walk(&mut self, mut bytes: &[u8], mut see: impl FnMut(u8)) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let count = self.left.min(bytes.len());
                self.left -= count;
                bytes = bytes.get(count..).unwrap_or_default();
                continue;
            }
            let count = (HEADER - self.header.len()).min(bytes.len());
            let (part, rest) = bytes.split_at(count);
            self.header.extend_from_slice(part);
            bytes = rest;
            if let &[tag, a, b, c, d] = self.header.as_slice() {
                see(tag);
                self.left = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(4);
                self.header.clear();
            }
        }
    }

    /// True between two messages.
    pub(super) fn at_boundary(&self) -> bool {
        self.left == 0 && self.header.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_found_at_every_cut() {
        let bytes = b"W\0\0\0\x07abcZ\0\0\0\x05IC\0\0\0\x04";
        for cut in 0..bytes.len() {
            let (mut frames, mut seen) = (Frames::default(), Vec::new());
            frames.walk(&bytes[..cut], |tag| seen.push(tag));
            assert_eq!(frames.at_boundary(), [0, 8, 14].contains(&cut), "cut at {cut}");
            frames.walk(&bytes[cut..], |tag| seen.push(tag));
            assert_eq!((seen.as_slice(), frames.at_boundary()), (&b"WZC"[..], true));
        }
    }
}
