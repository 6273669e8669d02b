//! The line to somebody at the console: messages in, messages out, and waiting that can be interrupted.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::cancel::Issued;
use crate::control::Dequeue;
use crate::net::{Buffer, Stream, take_message};
use crate::sqlstate;
use crate::wire::{ErrorFields, FrameError, Severity};

/// Longest message the console listens to.
const MAX_MESSAGE: usize = 64 * 1024;
/// How often a command that waits looks whether its time has come.
const LOOK: Duration = Duration::from_millis(20);

/// Why a command has no ordinary end.
#[derive(Debug)]
pub(super) enum Failure {
    /// It is refused; the console stays.
    Refused(Box<ErrorFields>),
    /// The protocol is broken; the connection ends with this word.
    Fatal(Box<ErrorFields>),
    /// Nobody is listening any more.
    Gone,
}

impl Failure {
    pub(super) fn fatal(message: impl Into<String>) -> Self {
        let fields = ErrorFields::new(Severity::Fatal, sqlstate::PROTOCOL_VIOLATION, message);
        Failure::Fatal(Box::new(fields))
    }
}

impl From<io::Error> for Failure {
    fn from(_: io::Error) -> Self {
        Failure::Gone
    }
}

impl From<ErrorFields> for Failure {
    fn from(fields: ErrorFields) -> Self {
        Failure::Refused(Box::new(fields))
    }
}

impl From<FrameError> for Failure {
    fn from(error: FrameError) -> Self {
        Failure::fatal(error.to_string())
    }
}

/// The line.
pub(super) struct Line {
    pub(super) stream: Stream,
    buffer: Buffer,
    /// What is to be sent.
    pub(super) out: Vec<u8>,
    /// How the client interrupts a command that waits.
    pub(super) key: Issued,
}

impl Line {
    pub(super) fn new(stream: Stream, buffer: Buffer, key: Issued) -> Self {
        Line { stream, buffer, out: Vec::new(), key }
    }

    /// The next message.
    pub(super) async fn next(&mut self) -> Result<Vec<u8>, Failure> {
        loop {
            if let Some(message) = take_message(&mut self.buffer, MAX_MESSAGE)? {
                return Ok(message);
            }
            if self.stream.recv(&mut self.buffer).await? == 0 {
                return Err(Failure::Gone);
            }
        }
    }

    /// Sends what is to be sent.
    pub(super) async fn flush(&mut self) -> Result<(), Failure> {
        self.stream.send_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    /// Says something that is no error.
    pub(super) fn notice(&mut self, fields: &ErrorFields) {
        fields.put_notice(&mut self.out);
    }

    /// Waits until `is_over` says how it ended.
    ///
    /// # Errors
    /// The client cancelled the command or went away, or `is_over` said so.
    pub(super) async fn wait(
        &mut self,
        mut is_over: impl FnMut() -> Option<Result<(), ErrorFields>>,
    ) -> Result<(), Failure> {
        let interrupt = Arc::new(Interrupt::default());
        self.key.target.aim_at_queue(Arc::clone(&interrupt) as Arc<dyn Dequeue>);
        let mut look = tokio::time::interval(LOOK);
        let ended = loop {
            if let Some(ended) = is_over() {
                break ended.map_err(Failure::from);
            }
            tokio::select! {
                _ = look.tick() => {}
                () = interrupt.0.notified() => break Err(cancelled().into()),
                _ = std::future::poll_fn(|cx| self.stream.poll_peer_closed(cx)) => break Err(Failure::Gone),
            }
        };
        self.key.target.aim_at_nothing();
        ended
    }
}

fn cancelled() -> ErrorFields {
    let message = "canceling statement due to user request";
    ErrorFields::new(Severity::Error, sqlstate::QUERY_CANCELED, message)
}

/// What a cancel request strikes while a command waits.
#[derive(Default)]
struct Interrupt(Notify);

impl Dequeue for Interrupt {
    fn dequeue(&self) {
        self.0.notify_one();
    }
}
