//! The console of the running binary: looking, giving orders, and PgBouncer's scripts.

mod drop_in;
mod orders;
mod protocol;
mod rights;
mod set;
mod stage;
mod statistics;
mod suspend;
mod tables;
