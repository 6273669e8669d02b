//! Putting bytes together as the protocol lays them out.

/// The body of a message under construction.
#[derive(Debug, Default)]
pub(crate) struct Body(Vec<u8>);

impl Body {
    pub(crate) fn byte(mut self, byte: u8) -> Self {
        self.0.push(byte);
        self
    }

    pub(crate) fn int16(mut self, number: i16) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(crate) fn int32(mut self, number: i32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(crate) fn uint32(mut self, number: u32) -> Self {
        self.0.extend(number.to_be_bytes());
        self
    }

    pub(crate) fn cstr(mut self, text: &str) -> Self {
        self.0.extend(text.as_bytes());
        self.byte(0)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// A count of two bytes, then each item as `put` lays it out.
    pub(crate) fn list<T>(self, items: &[T], put: impl FnMut(Self, &T) -> Self) -> Self {
        let count = i16::try_from(items.len()).expect("a list of at most 32767 items");
        items.iter().fold(self.int16(count), put)
    }

    /// A length of four bytes, then the value; -1 for NULL.
    pub(crate) fn value(self, value: Option<&[u8]>) -> Self {
        match value {
            Some(bytes) => self.int32(length(bytes.len())).bytes(bytes),
            None => self.int32(-1),
        }
    }

    /// The whole message: tag, length, body.
    pub(crate) fn tagged(self, tag: u8) -> Vec<u8> {
        let mut message = vec![tag];
        message.extend(self.untagged());
        message
    }

    /// The whole message of the start of a connection, which has no tag.
    pub(crate) fn untagged(self) -> Vec<u8> {
        let mut message = length(self.0.len() + 4).to_be_bytes().to_vec();
        message.extend(self.0);
        message
    }
}

fn length(count: usize) -> i32 {
    i32::try_from(count).expect("a message below 2 GiB")
}
