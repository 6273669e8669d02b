//! Cancel requests from clients: whose they are ([`CancelKeys`]), what they may strike, and to which peer they belong
//! ([`Peers`]).

mod keys;
mod peers;
mod reserve;

pub use keys::{CancelKeys, Issued, LONG_KEY, Outcome, SHORT_KEY, Target};
pub use peers::{PeerFacts, Peers};
