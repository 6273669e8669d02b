//! Message boundaries: one type byte, then a length that counts itself.

use thiserror::Error;

/// Type byte and length word.
pub const HEADER: usize = 5;

/// PostgreSQL's own limit on one message (`PQ_LARGE_MESSAGE_LIMIT`, one byte less than 1 GiB).
pub const MAX_MESSAGE: usize = 0x3fff_ffff;

/// The first five bytes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The type byte.
    pub tag: u8,
    /// The whole message's size, type byte included.
    pub size: usize,
}

/// Bytes that cannot be a message.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FrameError {
    /// The length word is impossible.
    #[error("invalid message length {length} in message type 0x{tag:02x}")]
    Length {
        /// The type byte.
        tag: u8,
        /// The length word as read.
        length: u32,
    },
    /// A message is longer than it may be where it stands.
    #[error("message of type 0x{tag:02x} is longer than {limit} bytes")]
    TooLong {
        /// The type byte.
        tag: u8,
        /// The most it may have, in bytes.
        limit: usize,
    },
    /// A message is shorter than its fields, or a text has no end.
    #[error("malformed message of type 0x{tag:02x}")]
    Malformed {
        /// The type byte.
        tag: u8,
    },
}

/// Reads the header at the start of `bytes`; `None` when fewer than five bytes are there.
///
/// # Errors
/// A length below 4 or beyond [`MAX_MESSAGE`].
pub fn header(bytes: &[u8]) -> Result<Option<Header>, FrameError> {
    let Some((&[tag, a, b, c, d], _)) = bytes.split_first_chunk::<HEADER>() else {
        return Ok(None);
    };
    let length = u32::from_be_bytes([a, b, c, d]);
    if length < 4 || length as usize > MAX_MESSAGE {
        return Err(FrameError::Length { tag, length });
    }
    Ok(Some(Header { tag, size: length as usize + 1 }))
}

/// Appends a message with `tag` whose body `write` appends.
pub fn put(out: &mut Vec<u8>, tag: u8, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[tag, 0, 0, 0, 0]);
    write(out);
    let length = u32::try_from(out.len() - start - 1).unwrap_or(u32::MAX);
    if let Some(word) = out.get_mut(start + 1..start + HEADER) {
        word.copy_from_slice(&length.to_be_bytes());
    }
}

/// Appends a text and the NUL that ends it.
pub fn put_cstr(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(text);
    out.push(0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_needs_five_bytes() {
        assert_eq!(header(b"Q\0\0\0"), Ok(None));
        assert_eq!(header(b"Q\0\0\0\x05\0"), Ok(Some(Header { tag: b'Q', size: 6 })));
    }

    #[test]
    fn impossible_lengths_are_refused() {
        assert_eq!(header(b"Q\0\0\0\x03"), Err(FrameError::Length { tag: b'Q', length: 3 }));
        assert!(header(b"Q\xff\xff\xff\xff").is_err());
        assert!(header(b"Q\x40\0\0\0").is_err());
        assert!(header(b"Q\x3f\xff\xff\xff").is_ok());
    }

    #[test]
    fn put_writes_what_header_reads() {
        let mut out = b"before".to_vec();
        put(&mut out, b'P', |body| put_cstr(body, b"name"));
        assert_eq!(header(&out[6..]), Ok(Some(Header { tag: b'P', size: 10 })));
    }
}
