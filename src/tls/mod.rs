//! TLS without connections: what a handshake is begun with, and what it has settled.
//!
//! The [`Keyring`] holds what certificates, keys and settings make: an [`Acceptor`] for clients and a [`Connector`] for
//! servers, each replaced as a whole when files change. Either gives an `Ssl` for one handshake, which
//! [`crate::net`] carries out, and says afterwards what it has settled: [`TlsFacts`], [`ServerFacts`].

mod acceptor;
mod connector;
mod context;
mod error;
mod facts;
mod ffi;
mod host_name;
mod keyring;
mod material;

pub use acceptor::Acceptor;
pub use connector::Connector;
pub use error::{TlsError, explain};
pub use facts::{ClientCertificate, ServerFacts, TlsFacts, label, speaks_postgresql};
pub use keyring::{Keyring, Keys, Notice};

/// The protocol's name in ALPN, as PostgreSQL 17 knows it, with its length in front.
const ALPN: &[u8] = b"\x0apostgresql";
