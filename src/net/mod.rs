//! Sockets, and what a thread lends to the tasks that use them.

mod buffer;
mod channel;
mod deadline;
mod dial;
mod listen;
mod stream;

pub use buffer::{Buffer, BufferPool};
pub use deadline::{Deadline, Deadlines, TICK};
pub use dial::connect;
pub use listen::{Listener, Peer, bind_all};
pub use stream::{Stream, Suspended};

pub use crate::tls::{ClientCertificate, TlsFacts};
