//! The functions of the library that its Rust crate leaves out.
#![allow(unsafe_code, reason = "C functions are called")]

use std::ffi::CString;

use foreign_types::ForeignTypeRef;
use openssl::ssl::{SslContextBuilder, SslRef};

/// Sets the cipher suites of TLS 1.3; false when the library does not understand the list.
pub(super) fn set_tls13_ciphers(context: &SslContextBuilder, list: &str) -> bool {
    let Ok(list) = CString::new(list) else { return false };
    // SAFETY: the context is alive for as long as it is borrowed, the list is a C string that outlives the call, and
    // the function keeps neither.
    unsafe { openssl_sys::SSL_CTX_set_ciphersuites(context.as_ptr(), list.as_ptr()) == 1 }
}

/// Sets the algorithms by which a peer may prove that its certificate is its own, by TLS's numbers; false when the
/// library does not take them.
pub(super) fn set_verify_algorithms(context: &SslContextBuilder, algorithms: &[u16]) -> bool {
    // SAFETY: the context is alive for as long as it is borrowed, pointer and length are those of one slice, and the
    // function copies it.
    let taken = unsafe {
        openssl_sys::SSL_CTX_set_verify_algorithm_prefs(
            context.as_ptr(),
            algorithms.as_ptr(),
            algorithms.len(),
        )
    };
    taken == 1
}

/// Has a connection drop what only its handshake needs once that is over: about a quarter of its memory.
pub(super) fn shed_handshake(ssl: &SslRef) {
    // SAFETY: the connection is alive for as long as it is borrowed, and the function only sets a flag in it.
    unsafe { openssl_sys::SSL_set_shed_handshake_config(ssl.as_ptr(), 1) }
}
