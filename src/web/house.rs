//! What the page asks of the process it belongs to.

use std::net::SocketAddr;
use std::pin::Pin;

use crate::glance::{Glance, Load, Row};

/// An answer that may take its time.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// The process, as the page knows it.
pub trait House: Send + Sync + 'static {
    /// Everything that is looked at.
    fn glance(&self) -> Glance;
    /// The load of every pool.
    fn loads(&self) -> Vec<Load>;
    /// The settings as SHOW CONFIG lists them, each with its `origin`.
    fn settings(&self) -> Vec<Row>;
    /// The last lines of the log that came after so many, and how many there have been.
    fn log(&self, after: u64) -> (Vec<String>, u64);
    /// Opens the console for somebody who comes from an address. The error is what a client would read.
    fn enter<'a>(
        &'a self,
        from: SocketAddr,
        user: &'a str,
        password: &'a str,
    ) -> Answer<'a, Result<Box<dyn Desk>, String>>;
}

/// A console that somebody has logged in to. Dropping it closes it.
pub trait Desk: Send + Sync {
    /// True when it may give orders.
    fn is_admin(&self) -> bool;
    /// True until the console has closed.
    fn is_open(&self) -> bool;
    /// Gives an order, and takes back one that still waits. `Ok(false)`: it is not done yet. The error is what the
    /// console says.
    fn order<'a>(&'a self, text: &'a str) -> Answer<'a, Result<bool, String>>;
}
