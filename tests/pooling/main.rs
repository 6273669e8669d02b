//! Pools as operators and clients see them: listening, limits, the queue, servers that fail, reload and drain.

#![allow(clippy::unwrap_used, reason = "tests")]

mod auth;
mod classes;
mod crew;
mod drain;
mod failures;
mod limits;
mod listening;
mod load;
mod modes;
mod parking;
mod queue;
mod reload;
mod servers;
mod stage;
mod timeouts;
