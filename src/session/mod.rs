//! The virtual session: what a client believes its connection holds, apart from any server.
//!
//! Pure: nothing here does I/O. [`params`] are the run-time parameters that follow a client from server to server,
//! [`statement`] the prepared statements that clients share.

pub mod options;
pub mod params;
pub mod statement;
mod virtual_session;

pub use virtual_session::{MAX_NAME, MAX_UNNAMED, Unnamed, VirtualSession};
