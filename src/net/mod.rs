//! Sockets, and what a thread lends to the tasks that use them.

mod buffer;
mod channel;
mod deadline;
mod dial;
mod engine;
mod line;
mod listen;
mod messages;
mod names;
mod nudge;
mod option;
mod outgoing;
mod resolver;
mod room;
mod secure;
#[cfg(test)]
mod secure_tests;
mod sends;
#[cfg(test)]
mod sends_tests;
mod stream;
#[cfg(test)]
mod stream_tests;
mod suspended;
mod ticker;
mod tuning;
mod watchlist;
mod zones;

pub use buffer::{Buffer, BufferPool};
pub use deadline::{Deadline, Deadlines, TICK};
pub use dial::Dialler;
pub use line::Line;
pub use listen::{Arrival, Doors, Listener, Peer};
pub use messages::take_message;
pub use names::{HostNames, KnownName};
pub use nudge::Nudges;
pub use sends::Sends;
pub use stream::Stream;
pub use suspended::Suspended;
pub use ticker::Ticker;
pub use tuning::Tuning;
pub use watchlist::Watchlist;
pub use zones::KnownZone;

pub use crate::tls::{ClientCertificate, TlsFacts};
