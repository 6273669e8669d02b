//! One small question to a server, outside of any client's session: a query with one text parameter.

use super::Server;
use crate::net::Buffer;
use crate::wire::tag::backend as tag;
use crate::wire::{ErrorFields, frame};

/// Rows asked for: one, and one more to see that it is not the only one.
const ROWS: u32 = 2;
/// No message of an honest answer is longer.
const MAX_MESSAGE: usize = 256 * 1024;
/// No honest answer has more messages, notices included.
const MAX_MESSAGES: usize = 100;

/// Columns of a row in text; `None` is NULL.
pub type Row = Vec<Option<Vec<u8>>>;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum LookupError {
    /// The server refuses the query, and is at rest again.
    #[error("{0}")]
    Refused(ErrorFields),
    /// The connection cannot be used any more.
    #[error("{0}")]
    Lost(String),
}

/// Runs `sql` with `$1` = `parameter`; gives at most two rows.
///
/// The value travels apart from the query, so nothing in it can become SQL.
///
/// # Errors
/// See [`LookupError`]. There is no limit of time here: the caller sets one, and closes the server when it passes.
pub async fn lookup(
    server: &mut Server,
    sql: &str,
    parameter: &str,
) -> Result<Vec<Row>, LookupError> {
    let sent = server.stream.send_all(&question(sql, parameter)).await;
    sent.map_err(|error| LookupError::Lost(format!("connection failed: {error}")))?;
    let (mut rows, mut refusal) = (Vec::new(), None);
    let mut replies = Replies { server, buffer: Buffer::new() };
    for _ in 0..MAX_MESSAGES {
        let message = replies.next().await?;
        match message.first().copied().unwrap_or_default() {
            tag::DATA_ROW => rows.push(read_row(&message).ok_or_else(|| lost("a malformed row"))?),
            tag::ERROR_RESPONSE => refusal = Some(ErrorFields::read(&message)),
            tag::READY_FOR_QUERY => {
                if !replies.buffer.is_empty() || message.get(frame::HEADER) != Some(&b'I') {
                    return Err(lost("the server is not at rest after the answer"));
                }
                return refusal.map_or(Ok(rows), |fields| Err(LookupError::Refused(fields)));
            }
            tag::COPY_IN_RESPONSE | tag::COPY_OUT_RESPONSE | tag::COPY_BOTH_RESPONSE => {
                return Err(lost("the query is a COPY"));
            }
            _ => {}
        }
    }
    Err(lost("too many messages"))
}

fn question(sql: &str, parameter: &str) -> Vec<u8> {
    let mut out = Vec::new();
    frame::put(&mut out, b'P', |body| {
        frame::put_cstr(body, b"");
        frame::put_cstr(body, sql.as_bytes());
        body.extend_from_slice(&0_u16.to_be_bytes());
    });
    frame::put(&mut out, b'B', |body| {
        frame::put_cstr(body, b"");
        frame::put_cstr(body, b"");
        body.extend_from_slice(&0_u16.to_be_bytes());
        body.extend_from_slice(&1_u16.to_be_bytes());
        let length = u32::try_from(parameter.len()).unwrap_or(u32::MAX);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(parameter.as_bytes());
        body.extend_from_slice(&0_u16.to_be_bytes());
    });
    frame::put(&mut out, b'E', |body| {
        frame::put_cstr(body, b"");
        body.extend_from_slice(&ROWS.to_be_bytes());
    });
    frame::put(&mut out, b'S', |_| {});
    out
}

fn read_row(message: &[u8]) -> Option<Row> {
    let (count, mut rest) = message.get(frame::HEADER..)?.split_first_chunk::<2>()?;
    let mut row = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (length, after) = rest.split_first_chunk::<4>()?;
        rest = after;
        match u32::from_be_bytes(*length) {
            u32::MAX => row.push(None),
            length => {
                let (value, after) = rest.split_at_checked(length as usize)?;
                row.push(Some(value.to_vec()));
                rest = after;
            }
        }
    }
    rest.is_empty().then_some(row)
}

fn lost(what: &str) -> LookupError {
    LookupError::Lost(format!("protocol violation by server: {what}"))
}

struct Replies<'a> {
    server: &'a mut Server,
    buffer: Buffer,
}

impl Replies<'_> {
    async fn next(&mut self) -> Result<Vec<u8>, LookupError> {
        loop {
            let header = frame::header(self.buffer.filled())
                .map_err(|error| LookupError::Lost(error.to_string()))?;
            let needed = header.map_or(frame::HEADER, |header| header.size);
            if needed > MAX_MESSAGE {
                return Err(lost("a message is too long"));
            }
            if let Some(message) = self.buffer.filled().get(..needed).filter(|_| header.is_some()) {
                let message = message.to_vec();
                self.buffer.consume(needed);
                return Ok(message);
            }
            self.buffer.reserve(needed);
            match self.server.stream.recv(&mut self.buffer).await {
                Ok(0) => return Err(LookupError::Lost("the server closed the connection".into())),
                Ok(_) => {}
                Err(error) => return Err(LookupError::Lost(format!("connection failed: {error}"))),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_or_refused() {
        let row = |body: &[u8]| {
            let mut message = Vec::new();
            frame::put(&mut message, b'D', |out| out.extend_from_slice(body));
            read_row(&message)
        };
        assert_eq!(
            row(b"\0\x02\0\0\0\x01a\xff\xff\xff\xff"),
            Some(vec![Some(b"a".to_vec()), None])
        );
        for broken in
            [&b""[..], b"\0", b"\0\x01", b"\0\x01\0\0\0\x02a", b"\0\0x", b"\0\x01\x7f\xff\xff\xff"]
        {
            assert_eq!(row(broken), None, "{broken:?}");
        }
    }

    #[test]
    fn the_parameter_stays_apart_from_the_query() {
        let bytes = question("select $1", "x'; drop table y --");
        let parse = frame::header(&bytes).unwrap().unwrap().size;
        let text = String::from_utf8_lossy(&bytes[..parse]).into_owned();
        assert!(!text.contains("drop"), "{text}");
    }
}
