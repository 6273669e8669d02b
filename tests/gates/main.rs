//! What a transaction costs, held to what is recorded: allocations, system calls, instructions.
//!
//! One client asks, one server answers, one after the other: what is counted does not depend on the machine's speed.
//! `PGUSHER_RECORD=1 cargo test --test gates` writes today's numbers into `tests/gates/recorded.txt`.

#![allow(clippy::unwrap_used, reason = "tests")]

mod allocations;
mod calls;
mod instructions;
mod recorded;
mod server;
mod stage;
mod system_calls;
