//! One small question to a server, outside of any client's session: a query with one text parameter.

use super::Server;
use super::clean::{Row, owned};
use crate::net::{Buffer, take_message};
use crate::types::TransactionStatus;
use crate::wire::tag::backend as tag;
use crate::wire::{ErrorFields, FrameError, backend, frontend};

/// Rows asked for: one, and one more to see that it is not the only one.
const ROWS: u32 = 2;
/// No message of an honest answer is longer.
const MAX_MESSAGE: usize = 256 * 1024;
/// No honest answer has more messages, notices included.
const MAX_MESSAGES: usize = 100;

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

impl From<FrameError> for LookupError {
    fn from(error: FrameError) -> Self {
        lost(&error.to_string())
    }
}

/// Runs `sql` with `$1` = `parameter`; gives at most two rows.
///
/// # Errors
/// See [`LookupError`]. There is no limit of time here: the caller sets one, and closes the server when it passes.
pub async fn lookup(
    server: &mut Server,
    sql: &str,
    parameter: &str,
) -> Result<Vec<Row>, LookupError> {
    let mut question = Vec::new();
    frontend::put_question(&mut question, sql, parameter, ROWS);
    let sent = server.stream.send_all(&question).await;
    sent.map_err(|error| LookupError::Lost(format!("connection failed: {error}")))?;
    let (mut rows, mut refusal) = (Vec::new(), None);
    let mut buffer = Buffer::new();
    for _ in 0..MAX_MESSAGES {
        let message = next(server, &mut buffer).await?;
        match message.first().copied().unwrap_or_default() {
            tag::DATA_ROW => rows.push(owned(backend::read_data_row(&message)?)),
            tag::ERROR_RESPONSE => refusal = Some(ErrorFields::read(&message)),
            tag::READY_FOR_QUERY => {
                if !buffer.is_empty()
                    || backend::ready_status(&message) != Some(TransactionStatus::Idle)
                {
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

fn lost(what: &str) -> LookupError {
    LookupError::Lost(format!("protocol violation by server: {what}"))
}

async fn next(server: &mut Server, buffer: &mut Buffer) -> Result<Vec<u8>, LookupError> {
    loop {
        if let Some(message) = take_message(buffer, MAX_MESSAGE)? {
            return Ok(message);
        }
        match server.stream.recv(buffer).await {
            Ok(0) => return Err(LookupError::Lost("the server closed the connection".into())),
            Ok(_) => {}
            Err(error) => return Err(LookupError::Lost(format!("connection failed: {error}"))),
        }
    }
}
