//! How a client's connection ends.

use std::fmt;
use std::time::Duration;

use crate::net::{Buffer, Stream};
use crate::wire::ErrorFields;

/// How long a client that was told goodbye may take to hear it.
pub(super) const LINGER: Duration = Duration::from_secs(1);

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
    /// A word for the metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Goodbye::Terminated => "terminated",
            Goodbye::Closed => "closed",
            Goodbye::Failed(_) => "failed",
            Goodbye::Told(_) => "told",
            Goodbye::ByServer => "server",
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
