//! Waiting until a socket takes more.

use std::io;
use std::task::{Context, Poll, ready};

use socket2::Socket;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::stream::register_for;

/// A socket's word that it has room again.
///
/// Few sockets are ever full, and the kernel says of each that is not so as soon as it is asked, which would have the
/// runtime wake for nothing whenever a client comes in or comes back. So it is asked at the first refusal, through a
/// descriptor of its own.
#[derive(Debug, Default)]
pub(super) struct Room(Option<Box<AsyncFd<Socket>>>);

impl Room {
    /// Ready when `socket`, which has just refused bytes, may take some: it is to be tried again.
    ///
    /// # Errors
    /// There is no descriptor, or the runtime's.
    pub(super) fn poll_free(
        &mut self,
        cx: &mut Context<'_>,
        socket: &Socket,
    ) -> Poll<io::Result<()>> {
        let asked = match &mut self.0 {
            Some(asked) => asked,
            none => none.insert(Box::new(register_for(Interest::WRITABLE, socket.try_clone()?)?)),
        };
        // Readiness may be older than the refusal: only after clearing it does a second refusal count.
        ready!(asked.poll_write_ready(cx))?.clear_ready();
        Poll::Ready(Ok(()))
    }
}
