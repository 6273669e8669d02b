//! One message of the protocol, and reading its body.

use crate::error_fields::ErrorFields;
use bytes::{Buf, Bytes, BytesMut};
use std::fmt;

/// A tagged message, as it came.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The tag byte.
    pub tag: u8,
    /// What follows the length.
    pub body: Bytes,
}

impl Message {
    /// Takes the first whole message out of a buffer.
    pub(crate) fn take(buffer: &mut BytesMut) -> Option<Self> {
        let header = buffer.get(..5)?;
        let tag = header[0];
        let length = Bytes::copy_from_slice(&header[1..]).get_u32() as usize;
        assert!(length >= 4, "a message {:?} of length {length}", char::from(tag));
        if buffer.len() < length + 1 {
            return None;
        }
        let mut message = buffer.split_to(length + 1).freeze();
        message.advance(5);
        Some(Message { tag, body: message })
    }

    /// The bytes it came in.
    pub fn encode(&self) -> Vec<u8> {
        crate::frontend::message(self.tag, &self.body)
    }

    /// The texts of the body up to its zero bytes: a query's SQL, a Parse's statement and SQL, a command tag.
    pub fn texts(&self) -> Vec<String> {
        let mut parts: Vec<_> = self
            .body
            .split(|byte| *byte == 0)
            .map(|part| String::from_utf8_lossy(part).into_owned())
            .collect();
        parts.pop();
        parts
    }

    /// The fields of an ErrorResponse or a NoticeResponse.
    pub fn error(&self) -> ErrorFields {
        assert!(matches!(self.tag, b'E' | b'N'), "not an error: {self:?}");
        ErrorFields::parse(&self.body)
    }

    /// The values of a DataRow; text that is not UTF-8 is shown with replacement signs.
    pub fn row(&self) -> Vec<Option<String>> {
        assert_eq!(self.tag, b'D', "not a row: {self:?}");
        let mut reader = Reader::new(&self.body);
        let count = reader.int16();
        (0..count)
            .map(|_| reader.value().map(|value| String::from_utf8_lossy(&value).into_owned()))
            .collect()
    }

    /// The names of a RowDescription.
    pub fn columns(&self) -> Vec<String> {
        assert_eq!(self.tag, b'T', "not a row description: {self:?}");
        let mut reader = Reader::new(&self.body);
        let count = reader.int16();
        let mut column = || {
            let name = reader.cstr();
            reader.bytes(18);
            name
        };
        (0..count).map(|_| column()).collect()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\"{}\"", char::from(self.tag), self.body.escape_ascii())
    }
}

/// Reads a body from its front; panics where it is too short.
#[derive(Debug)]
pub(crate) struct Reader(Bytes);

impl Reader {
    pub(crate) fn new(body: &[u8]) -> Self {
        Reader(Bytes::copy_from_slice(body))
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.0.get_u8()
    }

    pub(crate) fn int16(&mut self) -> i16 {
        self.0.get_i16()
    }

    pub(crate) fn int32(&mut self) -> i32 {
        self.0.get_i32()
    }

    pub(crate) fn uint32(&mut self) -> u32 {
        self.0.get_u32()
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Bytes {
        self.0.split_to(count)
    }

    pub(crate) fn rest(self) -> Bytes {
        self.0
    }

    pub(crate) fn value(&mut self) -> Option<Bytes> {
        let length = usize::try_from(self.int32()).ok()?;
        Some(self.bytes(length))
    }

    pub(crate) fn cstr(&mut self) -> String {
        let end =
            self.0.iter().position(|byte| *byte == 0).expect("a text that ends with a zero byte");
        let text = self.bytes(end);
        self.byte();
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::Message;
    use crate::{backend, frontend};
    use bytes::BytesMut;

    #[test]
    fn takes_whole_messages_only() {
        let wire = [frontend::query("select 1"), frontend::sync()].concat();
        let mut buffer = BytesMut::new();
        let mut seen = Vec::new();
        for byte in &wire {
            buffer.extend([*byte]);
            seen.extend(Message::take(&mut buffer));
        }
        assert_eq!(seen.iter().flat_map(Message::encode).collect::<Vec<_>>(), wire);
        assert_eq!(format!("{seen:?}"), r#"[Q"select 1\x00", S""]"#);
        assert_eq!(seen[0].texts(), ["select 1"]);
    }

    #[test]
    fn reads_rows() {
        let wire =
            [backend::row_description(&["a", "b"]), backend::data_row(&[Some("x"), None])].concat();
        let mut buffer = BytesMut::from(&wire[..]);
        assert_eq!(Message::take(&mut buffer).unwrap().columns(), ["a", "b"]);
        assert_eq!(Message::take(&mut buffer).unwrap().row(), [Some("x".to_owned()), None]);
    }
}
