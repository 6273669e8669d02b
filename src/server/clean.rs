//! Bringing a server to rest after a client that left in the middle, and hearing what an idle one has to say.

use std::task::{Context, Poll, Waker};

use thiserror::Error;

use super::Server;
use super::conn::UNNAMED_UNKNOWN;
use super::progress::{Entry, Origin, Progress, Request};
use crate::net::{Buffer, BufferPool};
use crate::types::TransactionStatus;
use crate::wire::tag::backend as tag;
use crate::wire::{ErrorFields, FrameError, backend, frame, frontend};

/// Why a server could not be brought to rest; it must be closed.
#[derive(Debug, Error)]
pub enum CleanError {
    /// Its conversation cannot be accounted for.
    #[error("the conversation cannot be accounted for")]
    Lost,
    /// The connection failed.
    #[error("connection failed: {0}")]
    Io(#[from] std::io::Error),
    /// It closed the connection.
    #[error("the server closed the connection")]
    Closed,
    /// It ended the connection with an error.
    #[error("{0}")]
    Fatal(ErrorFields),
    /// It sent something that is no message.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// It is not in the state it was asked to be in.
    #[error("the server is still in a transaction")]
    StillInTransaction,
    /// It refused the reset query.
    #[error("the server refused to be cleaned: {0}")]
    Refused(ErrorFields),
}

/// Ends what the last client left open: an unfinished COPY, an unsynced batch, a transaction. Then runs
/// `reset_query`, if any, and believes `DISCARD ALL` when the server confirms it.
///
/// # Errors
/// See [`CleanError`]. There is no limit of time here: the caller sets one.
pub async fn clean(server: &mut Server, reset_query: &str) -> Result<(), CleanError> {
    if server.progress.is_lost() {
        return Err(CleanError::Lost);
    }
    let mut drain = Drain::default();
    drain.end_requests(server).await?;
    if server.progress.wants_probe() {
        drain.run(server, "").await?;
    }
    // The last client's parameters were being set when its query was cancelled: it is not known which of them hold.
    drain.refusal()?;
    if server.progress.status() != TransactionStatus::Idle {
        drain.run(server, "ROLLBACK").await?;
    }
    if server.progress.status() != TransactionStatus::Idle {
        return Err(CleanError::StillInTransaction);
    }
    if !reset_query.is_empty() {
        drain.run(server, reset_query).await?;
    }
    if server.progress.is_settled() && drain.buffer.is_empty() {
        Ok(())
    } else {
        Err(CleanError::Lost)
    }
}

/// Asks an idle server for a sign of life: an empty query.
///
/// # Errors
/// It gave none.
pub async fn probe(server: &mut Server) -> Result<(), CleanError> {
    run_sql(server, "").await
}

/// Runs a query on a server at rest and drops its results.
///
/// # Errors
/// [`CleanError::Refused`] with the server's error, after which the server is at rest again; otherwise it is lost.
pub async fn run_sql(server: &mut Server, sql: &str) -> Result<(), CleanError> {
    let mut drain = Drain::default();
    let result = drain.run(server, sql).await;
    if drain.buffer.is_empty() { result } else { Err(CleanError::Lost) }
}

/// Runs a query on a server at rest and returns its rows.
///
/// # Errors
/// As [`run_sql`].
pub async fn ask(server: &mut Server, sql: &str) -> Result<Vec<Row>, CleanError> {
    let mut drain = Drain { rows: Some(Vec::new()), ..Drain::default() };
    drain.run(server, sql).await?;
    if drain.buffer.is_empty() { Ok(drain.rows.unwrap_or_default()) } else { Err(CleanError::Lost) }
}

/// The values of a row as text, `None` for NULL.
pub type Row = Vec<Option<Vec<u8>>>;

pub(super) fn owned(values: Vec<Option<&[u8]>>) -> Row {
    values.into_iter().map(|value| value.map(<[u8]>::to_vec)).collect()
}

/// Reads what a server sent while nobody held it, without waiting: notices, changed parameters, its farewell.
///
/// # Errors
/// The server is gone, or said something it may not say unasked.
pub fn drain_news(server: &mut Server) -> Result<(), CleanError> {
    let mut drain = Drain::default();
    let mut cx = Context::from_waker(Waker::noop());
    loop {
        match server.stream.poll_recv(&mut cx, &mut drain.buffer, &BufferPool::default()) {
            Poll::Pending if drain.buffer.is_empty() => return Ok(()),
            // Half a message: its rest would be taken for the answer to the next client's request.
            Poll::Pending => return Err(CleanError::Lost),
            Poll::Ready(received) => drain.received(server, received?)?,
        }
    }
}

/// Reads a server's replies on nobody's behalf.
#[derive(Default)]
struct Drain {
    buffer: Buffer,
    /// Bytes of a message that is too large to be looked at.
    skipping: usize,
    refused: Option<ErrorFields>,
    /// The rows of the answer, if they are wanted.
    rows: Option<Vec<Row>>,
}

/// A message longer than this is skipped; none of those that matter is.
const LOOK: usize = 8 * 1024;

impl Drain {
    async fn end_requests(&mut self, server: &mut Server) -> Result<(), CleanError> {
        server.stream.send_all(&last_words(&mut server.progress)).await?;
        while !server.progress.is_quiet() {
            self.receive(server).await?;
            // A COPY that was still queued behind something else may ask for its data only now.
            if server.progress.is_copying_in() {
                server.stream.send_all(&last_words(&mut server.progress)).await?;
            }
        }
        Ok(())
    }

    async fn run(&mut self, server: &mut Server, sql: &str) -> Result<(), CleanError> {
        let mut bytes = Vec::new();
        frontend::put_query(&mut bytes, sql);
        server.progress.sent(Entry::new(Request::Query, Origin::Injected));
        server.unnamed = 0;
        self.refused = None;
        server.stream.send_all(&bytes).await?;
        while !server.progress.is_quiet() {
            self.receive(server).await?;
        }
        self.refusal()
    }

    /// The error of a query of pgusher's own, if there was one.
    fn refusal(&mut self) -> Result<(), CleanError> {
        self.refused.take().map_or(Ok(()), |fields| Err(CleanError::Refused(fields)))
    }

    async fn receive(&mut self, server: &mut Server) -> Result<(), CleanError> {
        let count = server.stream.recv(&mut self.buffer).await?;
        self.received(server, count)
    }

    fn received(&mut self, server: &mut Server, count: usize) -> Result<(), CleanError> {
        if count == 0 {
            return Err(CleanError::Closed);
        }
        loop {
            let skipped = self.skipping.min(self.buffer.len());
            self.buffer.consume(skipped);
            self.skipping -= skipped;
            let Some(header) = frame::header(self.buffer.filled())? else { return Ok(()) };
            if header.size > LOOK {
                absorb(server, header.tag, self.buffer.filled(), &mut self.refused)?;
                self.skipping = header.size;
                continue;
            }
            let Some(message) = self.buffer.filled().get(..header.size) else { return Ok(()) };
            if let Some(rows) = self.rows.as_mut().filter(|_| header.tag == tag::DATA_ROW) {
                rows.push(owned(backend::read_data_row(message)?));
            }
            absorb(server, header.tag, message, &mut self.refused)?;
            self.buffer.consume(header.size);
        }
    }
}

/// What ends the COPY and the batch that are open on the server.
fn last_words(progress: &mut Progress) -> Vec<u8> {
    let mut bytes = Vec::new();
    if progress.is_copying_in() {
        frontend::put_copy_fail(&mut bytes, "the client went away");
        progress.sent(Entry::new(Request::CopyEnd, Origin::Injected));
    }
    if progress.needs_sync() {
        bytes.extend_from_slice(&frontend::SYNC);
        progress.sent(Entry::new(Request::Sync, Origin::Injected));
    }
    bytes
}

fn absorb(
    server: &mut Server,
    kind: u8,
    message: &[u8],
    refused: &mut Option<ErrorFields>,
) -> Result<(), CleanError> {
    match kind {
        tag::PARAMETER_STATUS => {
            let (name, value) = backend::read_parameter_status(message)?;
            server.note_parameter(&String::from_utf8_lossy(name), value);
        }
        tag::READY_FOR_QUERY => {
            let status = backend::ready_status(message).ok_or(CleanError::Lost)?;
            server.progress.ready(status);
        }
        tag::ERROR_RESPONSE => {
            let fields = ErrorFields::read(message);
            if fields.is_fatal() {
                return Err(CleanError::Fatal(fields));
            }
            let ours = server.progress.head().is_some_and(|head| {
                head.origin == Origin::Injected && head.request == Request::Query
            });
            let Server { progress, prepared, unnamed, .. } = server;
            progress.error(&mut |entry| {
                prepared.undo(&entry);
                *unnamed = UNNAMED_UNKNOWN;
            });
            if ours {
                *refused = Some(fields);
            }
        }
        other => {
            if other == tag::COMMAND_COMPLETE && backend::command_tag(message) == b"DISCARD ALL" {
                server.note_discarded();
            }
            server.progress.reply(other);
        }
    }
    while server.progress.next_local().is_some() {}
    if server.progress.is_lost() { Err(CleanError::Lost) } else { Ok(()) }
}
