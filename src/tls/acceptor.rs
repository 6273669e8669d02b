//! TLS with clients.

use std::time::SystemTime;

use openssl::ssl::select_next_proto;
use openssl::ssl::{
    AlpnError, Ssl, SslContext, SslContextBuilder, SslOptions, SslRef, SslVerifyMode,
};

use super::ALPN;
use super::context::Common;
use super::error::{TlsError, reason};
use super::facts::{self, ClientCertificate, TlsFacts};
use super::ffi;
use super::material::{Identity, Source, not_after};
use crate::config::{ClientSslMode, ClientTlsSettings};

/// Begins TLS with clients: settings, certificate and key as they were when it was made.
#[derive(Debug)]
pub struct Acceptor {
    context: SslContext,
    end_point: Option<Box<[u8]>>,
    not_after: Option<SystemTime>,
}

impl Acceptor {
    /// Reads the files. `None` when there is no TLS with clients.
    ///
    /// # Errors
    /// The first thing that is wrong, with the file or the setting it is in.
    pub fn load(settings: &ClientTlsSettings) -> Result<Option<Self>, TlsError> {
        let (Some(certificate), Some(key)) = (&settings.cert_file, &settings.key_file) else {
            return Ok(None);
        };
        let identity = Identity::load(
            Source { key: "client_tls_cert_file", path: certificate },
            Source { key: "client_tls_key_file", path: key },
        )?;
        let common = Common {
            protocols: settings.protocols,
            ciphers: ("client_tls_ciphers", &settings.ciphers),
            tls13_ciphers: ("client_tls13_ciphers", &settings.tls13_ciphers),
        };
        let mut context = common.builder()?;
        context.set_options(SslOptions::CIPHER_SERVER_PREFERENCE);
        if settings.ecdhcurve != "auto" {
            let wrong = |stack| {
                let reason = format!("\"{}\": {}", settings.ecdhcurve, reason(&stack));
                TlsError::setting("client_tls_ecdhcurve", reason)
            };
            context.set_groups_list(&settings.ecdhcurve).map_err(wrong)?;
        }
        let end_point = identity.certificate().and_then(|own| facts::end_point(own));
        let not_after = identity.certificate().and_then(not_after);
        identity.install(&mut context)?;
        context.set_alpn_select_callback(|_, offered| {
            select_next_proto(ALPN, offered).ok_or(AlpnError::ALERT_FATAL)
        });
        ask_for_certificate(&mut context, settings)?;
        let made = Acceptor { context: context.build(), end_point, not_after };
        Ok((settings.sslmode != ClientSslMode::Disable).then_some(made))
    }

    /// A handshake to be.
    ///
    /// # Errors
    /// The library has no memory.
    pub fn begin(&self) -> Result<Ssl, TlsError> {
        let mut ssl = Ssl::new(&self.context)?;
        ffi::shed_handshake(&ssl);
        ssl.set_accept_state();
        Ok(ssl)
    }

    /// What a handshake has settled.
    pub fn facts(&self, ssl: &SslRef) -> TlsFacts {
        let label = facts::label(ssl);
        TlsFacts {
            version: label.version.to_owned(),
            cipher: label.cipher.to_owned(),
            client: ssl.peer_certificate().map(|shown| ClientCertificate::read(&shown)),
            end_point: self.end_point.clone(),
        }
    }

    /// When the certificate expires.
    pub fn not_after(&self) -> Option<SystemTime> {
        self.not_after
    }
}

/// With authorities, a certificate that a client shows has to be good; some modes insist on one.
fn ask_for_certificate(
    context: &mut SslContextBuilder,
    settings: &ClientTlsSettings,
) -> Result<(), TlsError> {
    let Some(path) = &settings.ca_file else {
        context.set_verify(SslVerifyMode::NONE);
        return Ok(());
    };
    for authority in (Source { key: "client_tls_ca_file", path }).certificates()? {
        context.add_client_ca(&authority)?;
        context.cert_store_mut().add_cert(authority)?;
    }
    let mut mode = SslVerifyMode::PEER;
    if settings.sslmode.requires_certificate() {
        mode |= SslVerifyMode::FAIL_IF_NO_PEER_CERT;
    }
    context.set_verify(mode);
    Ok(())
}
