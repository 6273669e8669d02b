//! What an operator of PgBouncer expects of what is started instead: parameters, words, signals, tools.

#![allow(clippy::unwrap_used, reason = "tests")]

mod cancels;
mod conversations;
mod credentials;
mod ends;
mod fairness;
mod hosts;
mod limits;
mod logins;
mod modes;
mod names;
mod peering;
mod reboot;
mod refusals;
mod replication;
mod secure;
mod servers;
mod signals;
mod stage;
mod systemd;
mod tools;
mod words;
mod zones;
