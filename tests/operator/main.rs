//! What an operator of PgBouncer expects of what is started instead: parameters, words, signals, tools.

#![allow(clippy::unwrap_used, reason = "tests")]

mod fairness;
mod hosts;
mod limits;
mod logins;
mod peering;
mod replication;
mod servers;
mod signals;
mod stage;
mod systemd;
mod tools;
mod words;
