//! Frames and messages of the frontend/backend protocol, without I/O.
//!
//! Relayed traffic stays raw frames: [`frame`] finds message boundaries, [`frontend`] and [`backend`] look into the
//! few messages that must be understood. Messages that pgusher makes itself are encoded by pgwire, and only here.

pub mod backend;
mod column;
pub mod frame;
pub mod frontend;
pub mod notice;
mod read;
pub mod startup;
pub mod tag;

pub use column::{Column, ColumnKind};
pub use frame::{FrameError, Header};
pub use notice::{ErrorFields, Severity};
