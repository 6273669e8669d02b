//! What contexts of both sides have in common.

use openssl::ssl::{
    SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode, SslVersion,
};

use super::error::{TlsError, reason};
use super::ffi;
use crate::config::{Protocols, TlsVersion};

/// By what a peer may prove that its certificate is its own (RFC 8446, section 4.2.3): ECDSA, RSA-PSS, RSA and Ed25519.
/// As the library has it, without SHA-1, and with Ed25519, which OpenSSL's clients and servers have as well.
const VERIFY_ALGORITHMS: [u16; 10] =
    [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0603, 0x0806, 0x0601, 0x0807];

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
        if !ffi::set_verify_algorithms(&context, &VERIFY_ALGORITHMS) {
            return Err(TlsError::Library("signature algorithms are not known".to_owned()));
        }
        let (key, list) = self.ciphers;
        if list != "default" {
            context.set_cipher_list(list).map_err(|stack| {
                TlsError::setting(key, format!("\"{list}\": {}", reason(&stack)))
            })?;
        }
        let (key, list) = self.tls13_ciphers;
        if list != "default" && !ffi::set_tls13_ciphers(&context, list) {
            return Err(TlsError::setting(
                key,
                format!("failed to set the TLSv1.3 cipher suites \"{list}\""),
            ));
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
