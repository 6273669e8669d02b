//! The pure parts of the comparison with other poolers: a bench without a harness cannot run its own tests.

#[allow(dead_code, reason = "the bench uses what the tests do not")]
#[path = "../benches/shared/gate.rs"]
mod gate;

#[allow(dead_code, reason = "the bench uses what the tests do not")]
#[path = "../benches/compare/pure/mod.rs"]
mod pure;
