//! What a TLS handshake settled, for those who decide by it.

/// The outcome of a TLS handshake with a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFacts {
    /// The protocol's version as OpenSSL spells it, such as `TLSv1.3`.
    pub version: String,
    /// The cipher suite, such as `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// The client's certificate, if it sent one; verified against the configured authorities.
    pub client: Option<ClientCertificate>,
    /// Channel binding data `tls-server-end-point` (RFC 5929, section 4): a hash of our certificate.
    pub end_point: Option<Box<[u8]>>,
}

/// Whom a verified certificate names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject's common name.
    pub common_name: Option<String>,
    /// The whole subject in the form of RFC 2253, which PostgreSQL matches under `clientname=DN`.
    pub distinguished_name: String,
}
