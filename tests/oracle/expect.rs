//! What a client must be told, message by message.

use pgusher_testkit::Message;

/// One message that must come.
#[derive(Clone, Debug)]
pub(crate) enum Want {
    /// Any message of this type.
    Tag(u8),
    /// A row with this one value.
    Row(String),
    /// A row with one value of this length that starts so.
    LongRow(String, usize),
    /// Data of a COPY, one line.
    Line(String),
    /// The result of a function call.
    Value(String),
    /// An error with this code whose message holds this text.
    Error(&'static str, String),
}

impl Want {
    /// True when the message is the one that must come.
    pub(crate) fn is(&self, message: &Message) -> bool {
        match self {
            Want::Tag(tag) => message.tag == *tag,
            Want::Row(value) => one_value(message).is_some_and(|found| found == value.as_bytes()),
            Want::LongRow(start, length) => one_value(message)
                .is_some_and(|found| found.len() == *length && found.starts_with(start.as_bytes())),
            Want::Line(line) => message.tag == b'd' && message.body == format!("{line}\n"),
            Want::Value(value) => {
                message.tag == b'V' && message.body.get(4..) == Some(value.as_bytes())
            }
            Want::Error(code, part) => {
                message.tag == b'E'
                    && message.error().code() == *code
                    && message.error().message().contains(part)
            }
        }
    }
}

/// The value of a row with one column.
fn one_value(message: &Message) -> Option<&[u8]> {
    if message.tag != b'D' || message.body.get(..2) != Some(&[0, 1]) {
        return None;
    }
    message.body.get(6..)
}

/// The answers up to where the client may ask on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Segment {
    /// They must come in this order.
    pub(crate) wants: Vec<Want>,
    /// ReadyForQuery comes behind them; otherwise the server waits for more.
    pub(crate) ready: bool,
    /// After an error a Sync is needed, if it was not sent already.
    pub(crate) needs_sync: bool,
}

/// Bytes to send at once, and what must come back.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phase {
    /// What is sent.
    pub(crate) bytes: Vec<u8>,
    /// What must come.
    pub(crate) segments: Vec<Segment>,
}

impl Phase {
    /// Adds requests that end with ReadyForQuery.
    pub(crate) fn ready(&mut self, requests: &[Vec<u8>], wants: Vec<Want>) {
        self.bytes.extend(requests.concat());
        self.segments.push(Segment { wants, ready: true, needs_sync: false });
    }

    /// Adds requests after which the server waits for more.
    pub(crate) fn open(&mut self, requests: &[Vec<u8>], wants: Vec<Want>, needs_sync: bool) {
        self.bytes.extend(requests.concat());
        self.segments.push(Segment { wants, ready: false, needs_sync });
    }
}
