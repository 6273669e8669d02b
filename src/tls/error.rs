//! What may be wrong with certificates, keys and handshakes, in words an operator can use.

use std::path::{Path, PathBuf};

use openssl::error::ErrorStack;
use openssl::ssl::SslRef;
use openssl::x509::X509VerifyResult;

/// TLS cannot be set up as configured.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// Something is wrong with a file.
    #[error("`{key}`: {}: {reason}", path.display())]
    File {
        /// The setting that names it, as SHOW CONFIG calls it.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Something is wrong with a setting.
    #[error("`{key}`: {reason}")]
    Setting {
        /// The setting, as SHOW CONFIG calls it.
        key: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The library fails for a reason of its own.
    #[error("TLS library: {0}")]
    Library(String),
}

impl TlsError {
    pub(super) fn file(key: &'static str, path: &Path, reason: impl Into<String>) -> Self {
        TlsError::File { key, path: path.to_owned(), reason: reason.into() }
    }

    pub(super) fn setting(key: &'static str, reason: impl Into<String>) -> Self {
        TlsError::Setting { key, reason: reason.into() }
    }
}

impl From<TlsError> for String {
    fn from(error: TlsError) -> Self {
        error.to_string()
    }
}

impl From<ErrorStack> for TlsError {
    fn from(stack: ErrorStack) -> Self {
        TlsError::Library(reason(&stack))
    }
}

/// The first reason of a stack, in small letters.
pub(super) fn reason(stack: &ErrorStack) -> String {
    let first = stack.errors().first().and_then(openssl::error::Error::reason);
    first.map_or_else(
        || "unknown failure".to_owned(),
        |reason| reason.to_ascii_lowercase().replace('_', " "),
    )
}

/// Why a handshake failed.
pub fn explain(error: &openssl::ssl::Error, ssl: &SslRef) -> String {
    let verified = ssl.verify_result();
    let Some(stack) = error.ssl_error() else {
        let gone = "the peer closed the connection during the TLS handshake".to_owned();
        return error.io_error().map_or(gone, ToString::to_string);
    };
    let reason = reason(stack);
    if verified == X509VerifyResult::OK || !reason.contains("verify failed") {
        return reason;
    }
    format!("{reason}: {}", verified.error_string())
}
