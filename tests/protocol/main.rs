//! What clients and servers say to each other through pgusher, message by message.
//!
//! Where it can be, the same bytes go straight to PostgreSQL and through pgusher, and the replies must be the same.

mod asynchronous;
mod big;
mod cancel;
mod copy;
mod extended;
mod hostile;
mod kit;
mod prepared;
mod random;
mod simple;
mod startup;
