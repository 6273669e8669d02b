//! What is configured about TLS, on both sides.

use std::path::PathBuf;

/// `[tls.client]`: connections of clients.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientTlsSettings {
    /// Whether clients may or must use TLS, and show a certificate.
    pub sslmode: ClientSslMode,
    /// pgusher's private key.
    pub key_file: Option<PathBuf>,
    /// pgusher's certificate, the certificates of its issuers behind it.
    pub cert_file: Option<PathBuf>,
    /// Who may issue the certificates of clients.
    pub ca_file: Option<PathBuf>,
    /// Versions of TLS.
    pub protocols: Protocols,
    /// Cipher suites of TLS 1.2, as OpenSSL writes them; `default` is the library's choice.
    pub ciphers: String,
    /// Cipher suites of TLS 1.3; `default` is the library's choice.
    pub tls13_ciphers: String,
    /// Groups for the key exchange, by preference; `auto` is the library's choice.
    pub ecdhcurve: String,
}

/// `[tls.server]`: connections to servers.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerTlsSettings {
    /// libpq's `sslmode`.
    pub sslmode: SslMode,
    /// Who may issue the certificates of servers.
    pub ca_file: Roots,
    /// pgusher's private key, for servers that ask for a certificate.
    pub key_file: Option<PathBuf>,
    /// pgusher's certificate, for servers that ask for one.
    pub cert_file: Option<PathBuf>,
    /// Versions of TLS.
    pub protocols: Protocols,
    /// Cipher suites of TLS 1.2, as OpenSSL writes them; `default` is the library's choice.
    pub ciphers: String,
    /// Cipher suites of TLS 1.3; `default` is the library's choice.
    pub tls13_ciphers: String,
    /// How TLS begins.
    pub sslnegotiation: SslNegotiation,
    /// Whether the login must be bound to the TLS channel.
    pub channel_binding: BindingPolicy,
    /// Answer a request for a cleartext password even where everybody on the way can read it.
    pub allow_cleartext_password: bool,
}

/// Whether clients may or must use TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientSslMode {
    /// No TLS.
    Disable,
    /// The client chooses. The same as `Prefer`; PgBouncer has both words.
    Allow,
    /// The client chooses.
    Prefer,
    /// TLS, or no session. A certificate that the client shows must be good.
    Require,
    /// TLS, and a certificate of one of the authorities.
    VerifyCa,
    /// The same as `VerifyCa`: whether the name in the certificate is the user's is what authentication asks.
    VerifyFull,
}

impl ClientSslMode {
    /// True when there is no session without TLS.
    pub fn requires_tls(self) -> bool {
        matches!(self, ClientSslMode::Require) || self.requires_certificate()
    }

    /// True when the client has to show a certificate.
    pub fn requires_certificate(self) -> bool {
        matches!(self, ClientSslMode::VerifyCa | ClientSslMode::VerifyFull)
    }
}

/// libpq's `sslmode`, from the weakest to the strongest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SslMode {
    /// No TLS.
    Disable,
    /// TLS where the server insists on it.
    Allow,
    /// TLS where the server has it.
    Prefer,
    /// TLS; the server's certificate is looked at only if there is a `ca_file`.
    Require,
    /// TLS, and a certificate of a known authority.
    VerifyCa,
    /// TLS, a certificate of a known authority, and it names the host.
    VerifyFull,
}

/// Which authorities are trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Roots {
    /// None: certificates are not verified.
    None,
    /// Those of the operating system.
    System,
    /// Those in a file.
    File(PathBuf),
}

/// How TLS with a server begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SslNegotiation {
    /// With PostgreSQL's SSLRequest.
    Postgres,
    /// At once, as PostgreSQL 17 understands it.
    Direct,
}

/// Whether a login must be bound to the TLS channel under it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BindingPolicy {
    /// It is not bound.
    Disable,
    /// It is bound where the server can.
    Prefer,
    /// It is bound, or fails.
    Require,
}

/// Versions of TLS that are spoken: all those between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Protocols {
    /// The oldest.
    pub oldest: TlsVersion,
    /// The newest.
    pub newest: TlsVersion,
}

/// A version of TLS that is fit to be spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// TLS 1.2.
    V12,
    /// TLS 1.3.
    V13,
}
