//! Sockets, and what a thread lends to the tasks that use them.

mod buffer;
mod deadline;
mod dial;
mod engine;
mod listen;
mod nudge;
mod outgoing;
mod sends;
#[cfg(test)]
mod sends_tests;
mod stream;
mod tls_facts;
mod watchlist;

pub use buffer::{Buffer, BufferPool};
pub use deadline::{Deadline, Deadlines, TICK};
pub use dial::connect;
pub use listen::{Listener, Peer, bind_all};
pub use nudge::Nudges;
pub use sends::Sends;
pub use stream::{Stream, Suspended};
pub use tls_facts::{ClientCertificate, TlsFacts};
pub use watchlist::Watchlist;
