//! The virtual session: what a client believes its connection holds, apart from any server.
//!
//! Pure: nothing here does I/O. [`params`] are the run-time parameters that follow a client from server to server,
//! [`changes`] what its open transaction has done to them, [`replay`] how a server is given them, [`statement`] the
//! prepared statements that clients share; [`pins`] what ties a client to its server; [`channels`] what a client listens to,
//! and [`exchange`] who listens to what.

pub mod changes;
pub mod channels;
pub mod exchange;
mod inbox;
pub mod options;
pub mod params;
pub mod pins;
mod portals;
pub mod replay;
pub mod statement;
mod unnamed;
mod virtual_session;

pub use portals::Portals;
pub use unnamed::Unnamed;
pub use virtual_session::{MAX_NAME, MAX_UNNAMED, Told, VirtualSession};
