//! What ties a client to its server, and what it hears of others: pins, policies, audits, LISTEN.

#![allow(clippy::unwrap_used, reason = "tests")]

mod audit;
mod listen;
mod listen_faults;
mod pins;
mod policies;
mod stage;
