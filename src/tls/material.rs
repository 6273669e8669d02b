//! Certificates and keys, from files.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use openssl::asn1::{Asn1Time, Asn1TimeRef};
use openssl::pkey::{PKey, Private};
use openssl::ssl::SslContextBuilder;
use openssl::x509::X509;

use super::error::{TlsError, reason};

/// More than any file of certificates has: the system's own are below 300 kB.
const LONGEST_FILE: u64 = 4 * 1024 * 1024;

/// A file and the setting that names it.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) key: &'static str,
    pub(super) path: &'a Path,
}

impl Source<'_> {
    fn wrong(&self, reason: impl Into<String>) -> TlsError {
        TlsError::file(self.key, self.path, reason)
    }

    fn read(&self) -> Result<Vec<u8>, TlsError> {
        let read = || {
            let about = std::fs::metadata(self.path)?;
            if about.len() > LONGEST_FILE {
                return Err(std::io::Error::other("the file is too large"));
            }
            std::fs::read(self.path)
        };
        read().map_err(|error| self.wrong(error.to_string()))
    }

    /// All certificates of the file; there is at least one.
    pub(super) fn certificates(&self) -> Result<Vec<X509>, TlsError> {
        let pem = self.read()?;
        let found = X509::stack_from_pem(&pem)
            .map_err(|stack| self.wrong(format!("no certificate: {}", reason(&stack))))?;
        if found.is_empty() { Err(self.wrong("no certificate in the file")) } else { Ok(found) }
    }

    fn private_key(&self) -> Result<PKey<Private>, TlsError> {
        let pem = self.read()?;
        let mut asked = false;
        // Without this the library would ask for the passphrase on the terminal.
        let key = PKey::private_key_from_pem_callback(&pem, |_| {
            asked = true;
            Ok(0)
        });
        key.map_err(|_| {
            self.wrong(if asked {
                "the private key is encrypted; write it without a passphrase"
            } else {
                "no private key in the file"
            })
        })
    }
}

/// A certificate with those of its issuers, and its key.
pub(super) struct Identity {
    chain: Vec<X509>,
    key: PKey<Private>,
}

impl Identity {
    pub(super) fn load(certificate: Source<'_>, key: Source<'_>) -> Result<Self, TlsError> {
        let chain = certificate.certificates()?;
        let private = key.private_key()?;
        let first = chain.first().ok_or_else(|| certificate.wrong("no certificate in the file"))?;
        let public = first.public_key().map_err(|stack| certificate.wrong(reason(&stack)))?;
        if !public.public_eq(&private) {
            return Err(key.wrong(format!(
                "the key does not belong to the certificate {}",
                certificate.path.display()
            )));
        }
        Ok(Identity { chain, key: private })
    }

    /// The certificate itself.
    pub(super) fn certificate(&self) -> Option<&X509> {
        self.chain.first()
    }

    pub(super) fn install(self, context: &mut SslContextBuilder) -> Result<(), TlsError> {
        let mut chain = self.chain.into_iter();
        if let Some(certificate) = chain.next() {
            context.set_certificate(&certificate)?;
        }
        for issuer in chain {
            context.add_extra_chain_cert(issuer)?;
        }
        context.set_private_key(&self.key)?;
        Ok(())
    }
}

/// A certificate's last moment.
pub(super) fn not_after(certificate: &X509) -> Option<SystemTime> {
    moment(certificate.not_after())
}

fn moment(time: &Asn1TimeRef) -> Option<SystemTime> {
    let since = Asn1Time::from_unix(0).ok()?.diff(time).ok()?;
    let seconds = i64::from(since.days) * 86_400 + i64::from(since.secs);
    Some(UNIX_EPOCH + Duration::from_secs(u64::try_from(seconds).ok()?))
}
