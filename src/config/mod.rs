//! Configuration: from files to one checked, immutable [`Config`].

mod resolved;

pub use resolved::*;
