//! How a client's connection ends.

use std::fmt;
use std::task::{Context, Poll};
use std::time::Duration;

use super::manners::Manners;
use super::serve::Client;
use crate::net::{Buffer, Stream};
use crate::stats::Departure;
use crate::wire::ErrorFields;

/// How long a client that was told goodbye may take to hear it.
const LINGER: Duration = Duration::from_secs(1);

/// Why a client left.
#[derive(Clone, Debug)]
pub enum Goodbye {
    /// It said goodbye.
    Terminated,
    /// It closed the connection without a word.
    Closed,
    /// Its connection failed.
    Failed(std::io::ErrorKind),
    /// It was told why.
    Told(ErrorFields),
    /// The server told it, with a FATAL error.
    ByServer,
}

impl Goodbye {
    /// PgBouncer's words for the log, where they are wanted.
    pub(super) fn words(&self, manners: Manners) -> Option<&str> {
        match self {
            Goodbye::Told(fields) => manners.log_words(fields),
            Goodbye::Terminated => manners.log_in_brief.then_some("client close request"),
            Goodbye::Closed | Goodbye::Failed(_) => {
                manners.log_in_brief.then_some("client unexpected eof")
            }
            Goodbye::ByServer => manners.log_in_brief.then_some("server conn crashed?"),
        }
    }

    /// As the metrics count it.
    pub(super) fn departure(&self) -> Departure {
        match self {
            Goodbye::Terminated => Departure::Terminated,
            Goodbye::Closed => Departure::Closed,
            Goodbye::Failed(_) => Departure::Failed,
            Goodbye::Told(_) => Departure::Told,
            Goodbye::ByServer => Departure::ByServer,
        }
    }
}

impl fmt::Display for Goodbye {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Goodbye::Terminated => f.write_str("client close request"),
            Goodbye::Closed => f.write_str("client closed the connection"),
            Goodbye::Failed(kind) => write!(f, "client connection failed: {kind}"),
            Goodbye::Told(fields) => write!(f, "{} {}", fields.code, fields.message),
            Goodbye::ByServer => f.write_str("the server ended the session"),
        }
    }
}

impl Client {
    /// Ends what was under way. True when there are [last words](Client::speak_last), and somebody to hear them.
    pub(super) fn conclude(&mut self, goodbye: Goodbye) -> bool {
        match goodbye {
            Goodbye::Terminated | Goodbye::Closed | Goodbye::Failed(_) => {
                self.relay.discard(&self.worker.buffers);
                return false;
            }
            Goodbye::Told(fields) => {
                self.pool.errors.from_pgusher(&fields.code);
                if self.relay.can_speak() {
                    self.say_error(fields);
                }
            }
            Goodbye::ByServer => {}
        }
        true
    }

    /// Sends what is left to say, and leaves the client the time to hear it.
    pub(super) async fn speak_last(mut self) {
        self.deadline.arm(Some(LINGER));
        let flushed = std::future::poll_fn(|cx| self.poll_last_words(cx)).await;
        if flushed {
            linger(self.stream).await;
        }
    }

    fn poll_last_words(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.deadline.is_over() {
            return Poll::Ready(false);
        }
        let mut side = self.worker.side(&mut self.stream);
        self.relay.poll_flush(cx, &mut side).map(|flushed| flushed.is_ok())
    }
}

/// Closes a connection so that the peer reads our last words: closing with unread bytes in the socket would discard
/// them. Bounded in time.
pub(super) async fn linger(mut stream: Stream) {
    stream.end_sending();
    let drain = async {
        let mut buffer = Buffer::new();
        while let Ok(count) = stream.recv(&mut buffer).await {
            if count == 0 {
                break;
            }
            buffer.consume(count);
        }
    };
    // The peer has had its time either way.
    let _ = tokio::time::timeout(LINGER, drain).await;
}
