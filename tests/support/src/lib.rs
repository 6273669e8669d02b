//! What pgusher's tests, benches and demo stand on.
//!
//! Nothing here knows pgusher's own code: the kit drives its binary from outside, as an operator and a client would.
//!
//! - [`Cluster`]: a private, real PostgreSQL in a folder of its own;
//! - [`Pgusher`]: the binary under test, with its configuration, its log and its ports;
//! - [`RawClient`]: a client that speaks the protocol byte by byte, with [`frontend`] to make its messages;
//! - [`FakeServer`]: a PostgreSQL that does what a script says, with [`backend`] to make its messages;
//! - [`FaultProxy`]: a network that stalls, cuts, resets, loses and throttles on command;
//! - [`NameServer`]: a name server whose answers change on command;
//! - [`Authority`], [`self_signed`]: certificates and their keys;
//! - [`Daemon`]: any other program, gone when the test is;
//! - [`http`]: a client for pages;
//! - [`wait_for`], [`free_port`], [`processes`]: waiting for conditions, finding ports, looking at processes.
//!
//! Everything panics with a readable text instead of returning errors: a test that cannot set its stage has failed.

pub mod backend;
mod certificates;
mod cluster;
mod cluster_builder;
mod daemon;
mod echo;
mod encode;
mod error_fields;
mod fake_conn;
mod fake_server;
mod fault;
mod fault_proxy;
mod fault_pump;
pub mod frontend;
pub mod http;
mod login;
mod message;
mod name_server;
mod output;
mod pg_tools;
mod pgusher;
mod pgusher_builder;
mod ports;
pub mod processes;
mod query_result;
mod raw_client;
mod template;
mod wait;
mod watchdog;
mod wire;

pub use certificates::{Authority, Pair, self_signed};
pub use cluster::{Cluster, StopMode};
pub use cluster_builder::ClusterBuilder;
pub use daemon::Daemon;
pub use error_fields::ErrorFields;
pub use fake_conn::{FakeConn, Startup};
pub use fake_server::{CancelRequest, FakeServer};
pub use fault::{Direction, Fault};
pub use fault_proxy::FaultProxy;
pub use message::Message;
pub use name_server::NameServer;
pub use pgusher::Pgusher;
pub use pgusher_builder::{Exited, PgusherBuilder, TRUSTING};
pub use ports::free_port;
pub use query_result::QueryResult;
pub use raw_client::{Negotiated, RawClient};
pub use rustix::process::Signal;
pub use wait::{wait_for, wait_for_blocking};
pub use wire::NoMessage;
