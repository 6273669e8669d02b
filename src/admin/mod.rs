//! The console: the database `pgusher` (or `pgbouncer`), where administrators look and give orders.
//!
//! [`serve`] speaks the protocol, `grammar` reads commands, `orders` carries them out on a [`Host`], and each SHOW is
//! a `table` whose columns and values are one list. [`look`] takes the one snapshot that the tables and the metrics
//! are made from.

mod extended;
mod grammar;
mod host;
mod line;
mod look;
mod orders;
mod sampler;
mod session;
mod show;
mod show_clients;
mod show_databases;
mod show_pins;
mod show_pools;
mod show_process;
mod show_stats;
mod table;

pub use host::{Answer, Door, Host, ShutdownMode};
pub use look::look;
pub use sampler::{Averages, sample};
pub use session::{Arrival, serve};
