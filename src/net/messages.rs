//! Whole messages out of a buffer, where nothing depends on how fast that is.

use super::Buffer;
use crate::wire::frame::{self, FrameError};

/// Takes the first message off the buffer; `None` when it is not all there, and then there is room for the rest.
///
/// # Errors
/// No message, or one longer than `limit` bytes, which is told by its header.
pub fn take_message(buffer: &mut Buffer, limit: usize) -> Result<Option<Vec<u8>>, FrameError> {
    let Some(header) = frame::header(buffer.filled())? else {
        buffer.reserve(frame::HEADER);
        return Ok(None);
    };
    if header.size > limit {
        return Err(FrameError::TooLong { tag: header.tag, limit });
    }
    let Some(message) = buffer.filled().get(..header.size) else {
        buffer.reserve(header.size);
        return Ok(None);
    };
    let message = message.to_vec();
    buffer.consume(header.size);
    Ok(Some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buffer(bytes: &[u8]) -> Buffer {
        let mut buffer = Buffer::new();
        buffer.replace(0..0, bytes);
        buffer
    }

    #[test]
    fn messages_come_whole() {
        let mut buffer = buffer(b"Z\0\0\0\x05IN\0\0\0\x08ab");
        assert_eq!(take_message(&mut buffer, 100), Ok(Some(b"Z\0\0\0\x05I".to_vec())));
        assert_eq!(take_message(&mut buffer, 100), Ok(None));
        buffer.replace(7..7, b"cd");
        assert_eq!(take_message(&mut buffer, 100), Ok(Some(b"N\0\0\0\x08abcd".to_vec())));
        assert_eq!(take_message(&mut buffer, 100), Ok(None));
    }

    #[test]
    fn a_long_one_is_refused_by_its_header() {
        let too_long = FrameError::TooLong { tag: b'D', limit: 100 };
        assert_eq!(take_message(&mut buffer(b"D\0\0\0\x64"), 100), Err(too_long));
        assert_eq!(take_message(&mut buffer(b"D\0\0\0\x63"), 100), Ok(None));
    }
}
