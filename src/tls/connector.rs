//! TLS with servers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslRef, SslVerifyMode};

use super::ALPN;
use super::context::Common;
use super::error::{TlsError, reason};
use super::facts::{self, ServerFacts};
use super::ffi;
use super::host_name;
use super::material::{Identity, Source, not_after};
use crate::config::{Roots, ServerTlsSettings, SslMode, SslNegotiation};

/// Begins TLS with servers: settings, certificates and key as they were when it was made.
#[derive(Debug)]
pub struct Connector {
    /// The settings it was made of.
    pub settings: Arc<ServerTlsSettings>,
    context: SslContext,
    not_after: Option<SystemTime>,
}

impl Connector {
    /// Reads the files.
    ///
    /// # Errors
    /// The first thing that is wrong, with the file or the setting it is in.
    pub fn load(settings: &Arc<ServerTlsSettings>) -> Result<Self, TlsError> {
        let common = Common {
            protocols: settings.protocols,
            ciphers: ("server_tls_ciphers", &settings.ciphers),
            tls13_ciphers: ("server_tls13_ciphers", &settings.tls13_ciphers),
        };
        let mut context = common.builder()?;
        let mut expires = None;
        if let (Some(certificate), Some(key)) = (&settings.cert_file, &settings.key_file) {
            let identity = Identity::load(
                Source { key: "server_tls_cert_file", path: certificate },
                Source { key: "server_tls_key_file", path: key },
            )?;
            expires = identity.certificate().and_then(not_after);
            identity.install(&mut context)?;
        }
        trust(&mut context, &settings.ca_file)?;
        context.set_alpn_protos(ALPN)?;
        Ok(Connector {
            settings: Arc::clone(settings),
            context: context.build(),
            not_after: expires,
        })
    }

    /// A handshake to be, with the server that `host` stands for.
    ///
    /// # Errors
    /// The library has no memory, or the name is none that TLS can carry.
    pub fn begin(&self, host: &str) -> Result<Ssl, TlsError> {
        let mut ssl = Ssl::new(&self.context)?;
        if host.parse::<IpAddr>().is_err() {
            ssl.set_hostname(host)?;
        }
        ffi::shed_handshake(&ssl);
        ssl.set_connect_state();
        Ok(ssl)
    }

    /// Looks at what a handshake has settled: the chain of certificates is good already, as far as it matters.
    ///
    /// # Errors
    /// Why this is not the server that was asked for.
    pub fn check(&self, ssl: &SslRef, host: &str) -> Result<ServerFacts, String> {
        let certificate = ssl.peer_certificate().ok_or("the server has shown no certificate")?;
        if self.settings.sslmode == SslMode::VerifyFull && !host_name::names(&certificate, host) {
            return Err(format!(
                "server certificate for \"{}\" does not match host name \"{host}\"",
                facts::common_name(certificate.subject_name()).unwrap_or_default()
            ));
        }
        if self.settings.sslnegotiation == SslNegotiation::Direct && !facts::speaks_postgresql(ssl)
        {
            return Err(
                "direct TLS was established without ALPN: the server does not know it".into()
            );
        }
        Ok(ServerFacts { label: facts::label(ssl), end_point: facts::end_point(&certificate) })
    }

    /// When pgusher's own certificate expires.
    pub fn not_after(&self) -> Option<SystemTime> {
        self.not_after
    }
}

/// As in libpq, certificates are verified wherever there is something to verify them with, whatever the mode.
fn trust(context: &mut SslContextBuilder, roots: &Roots) -> Result<(), TlsError> {
    const KEY: &str = "server_tls_ca_file";
    match roots {
        Roots::None => {
            context.set_verify(SslVerifyMode::NONE);
            return Ok(());
        }
        Roots::File(path) => {
            for authority in (Source { key: KEY, path }).certificates()? {
                context.cert_store_mut().add_cert(authority)?;
            }
        }
        Roots::System => {
            let found = openssl_probe::probe();
            let Some(file) = found.cert_file.as_deref() else {
                let why =
                    "the operating system has no file of authorities (package ca-certificates)";
                return Err(TlsError::setting(KEY, why));
            };
            context
                .load_verify_locations(Some(file), None)
                .map_err(|stack| TlsError::file(KEY, file, reason(&stack)))?;
        }
    }
    context.set_verify(SslVerifyMode::PEER);
    Ok(())
}
