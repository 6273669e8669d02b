//! pgusher, a PostgreSQL connection pooler.

pub mod auth;
pub mod config;
pub mod secret;
pub mod sqlstate;
pub mod types;
