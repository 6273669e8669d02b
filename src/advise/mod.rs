//! "What pool size?", answered with evidence. Pure; no clock, no I/O.
//!
//! A [`Window`] is what every client of a pool asked for during some seconds, one by one. From it, [`Exposure`] learns
//! how the servers slow each other down, [`Law`] puts that into one formula (the universal scalability law), and
//! a [`Script`] of the same requests is run again, in virtual time, through pools of other sizes. [`Advice`] is what
//! follows, or what is lacking; the [`Adviser`] keeps the windows and compares what it has said with what came of it.

mod advice;
mod adviser;
mod exposure;
mod forecast;
mod law;
mod past;
mod replay;
mod script;
mod sweep;
mod verdict;
mod window;

pub use advice::{Advice, ApplicationShare, Measured};
pub use adviser::{Adviser, PoolName};
pub use exposure::Exposure;
pub use forecast::{Forecast, Replayed, Waits};
pub use law::{Fit, Law};
pub use past::PastAdvice;
pub use replay::Change;
pub use script::{Arrivals, Script};
pub use verdict::{Lack, Verdict};
pub use window::Window;

#[cfg(test)]
mod generator;
#[cfg(test)]
mod validation;
