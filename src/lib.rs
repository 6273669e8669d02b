//! pgusher, a PostgreSQL connection pooler.

pub mod app;
pub mod auth;
pub mod cancel;
pub mod cli;
pub mod client;
pub mod config;
pub mod control;
pub mod net;
pub mod pool;
pub mod relay;
pub mod secret;
pub mod server;
pub mod session;
pub mod sqlstate;
pub mod stats;
pub mod telemetry;
pub mod types;
pub mod wire;
