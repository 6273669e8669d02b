//! What pgusher's tests, benches and demo stand on.
//!
//! Nothing here knows pgusher's own code: the kit drives its binary from outside, as an operator and a client would.
//!
//! - [`Cluster`]: a private, real PostgreSQL in a folder of its own;
//! - [`Pgusher`]: the binary under test, with its configuration, its log and its ports;
//! - [`wait_for`], [`free_port`], [`processes`]: waiting for conditions, finding ports, looking at processes.
//!
//! Everything panics with a readable text instead of returning errors: a test that cannot set its stage has failed.

mod cluster;
mod cluster_builder;
mod http;
mod output;
mod pg_tools;
mod pgusher;
mod pgusher_builder;
mod ports;
pub mod processes;
mod template;
mod wait;
mod watchdog;

pub use cluster::{Cluster, StopMode};
pub use cluster_builder::ClusterBuilder;
pub use pgusher::Pgusher;
pub use pgusher_builder::{Exited, PgusherBuilder};
pub use ports::free_port;
pub use rustix::process::Signal;
pub use wait::{wait_for, wait_for_blocking};
