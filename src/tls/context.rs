//! What contexts of both sides have in common.

use openssl::ssl::{
    SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode, SslVersion,
};

use super::error::{TlsError, reason};
use super::ffi;
use crate::config::{Protocols, TlsVersion};

/// Settings that both sides have, and their names.
pub(super) struct Common<'a> {
    pub(super) protocols: Protocols,
    pub(super) ciphers: (&'static str, &'a str),
    pub(super) tls13_ciphers: (&'static str, &'a str),
}

impl Common<'_> {
    /// A context without certificates.
    pub(super) fn builder(&self) -> Result<SslContextBuilder, TlsError> {
        let mut context = SslContextBuilder::new(SslMethod::tls())?;
        context.set_min_proto_version(Some(version(self.protocols.oldest)))?;
        context.set_max_proto_version(Some(version(self.protocols.newest)))?;
        // A send that was refused is repeated with the same bytes, but not always from the same memory.
        context.set_mode(
            SslMode::ENABLE_PARTIAL_WRITE
                | SslMode::ACCEPT_MOVING_WRITE_BUFFER
                | SslMode::RELEASE_BUFFERS,
        );
        // As PostgreSQL has it: libpq resumes no sessions, so that keeping them or handing out tickets only costs.
        context.set_options(SslOptions::NO_TICKET);
        context.set_session_cache_mode(SslSessionCacheMode::OFF);
        let (key, list) = self.ciphers;
        if list != "default" {
            context.set_cipher_list(list).map_err(|stack| {
                TlsError::setting(key, format!("\"{list}\": {}", reason(&stack)))
            })?;
        }
        let (key, list) = self.tls13_ciphers;
        if list != "default" && !ffi::set_tls13_ciphers(&context, list) {
            return Err(TlsError::setting(key, format!("\"{list}\" is not a list of ciphers")));
        }
        Ok(context)
    }
}

fn version(version: TlsVersion) -> SslVersion {
    match version {
        TlsVersion::V12 => SslVersion::TLS1_2,
        TlsVersion::V13 => SslVersion::TLS1_3,
    }
}
