//! The console: the database `pgusher` (or `pgbouncer`), where administrators look and give orders.
//!
//! [`serve`] speaks the protocol, `grammar` reads commands, `orders` carries them out on a [`Host`], and each SHOW is
//! a `table` whose columns and values are one list. [`look`] takes the one snapshot that the tables and the metrics
//! are made from.

mod consoles;
mod extended;
mod glance;
mod grammar;
mod help;
mod host;
mod line;
mod look;
mod orders;
mod own;
mod refusals;
mod sampler;
mod session;
mod show;
mod show_databases;
mod show_fds;
mod show_load;
mod show_network;
mod show_pins;
mod show_pools;
mod show_process;
mod show_sockets;
mod show_stats;
mod show_waiting;
mod table;
mod token;

pub use consoles::Consoles;
pub use glance::{glance, loads, settings};
pub use host::{Answer, Door, Host, ShutdownMode};
pub use look::look;
pub use sampler::{Averages, sample};
pub use session::{Arrival, serve};
