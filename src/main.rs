//! The `pgusher` binary.
fn main() {}
