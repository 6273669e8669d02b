//! TLS on both sides, with real clients, real servers and real certificates.

#![allow(clippy::unwrap_used, reason = "tests")]

mod certificates;
mod channel_binding;
mod clients;
mod direct;
mod hostile;
mod reload;
mod servers;
mod set;
mod stage;
mod storm;
mod traffic;
mod trials;
mod tunnel;
