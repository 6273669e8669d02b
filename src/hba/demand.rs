//! What somebody has to show to come in.

use std::sync::Arc;

use super::ldap_options::LdapOptions;

/// How somebody proves who they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// No proof.
    Trust,
    /// Nobody comes in.
    Reject,
    /// The password itself.
    Password,
    /// MD5, or SCRAM where the stored secret is a SCRAM verifier.
    Md5,
    /// SCRAM-SHA-256.
    ScramSha256,
    /// A client certificate.
    Cert,
    /// The operating system's word for who is at the other end of a unix socket.
    Peer,
    /// An LDAP server tries the password.
    Ldap(Arc<LdapOptions>),
    /// PAM tries the password, by the rules of this service.
    Pam(Arc<str>),
}

impl Method {
    /// The word in files and in the log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Method::Trust => "trust",
            Method::Reject => "reject",
            Method::Password => "password",
            Method::Md5 => "md5",
            Method::ScramSha256 => "scram-sha-256",
            Method::Cert => "cert",
            Method::Peer => "peer",
            Method::Ldap(_) => "ldap",
            Method::Pam(_) => "pam",
        }
    }
}

/// Whether a client certificate is asked for beside the method's own proof.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientCert {
    /// It is not.
    #[default]
    Off,
    /// Any certificate of a known authority.
    VerifyCa,
    /// One that names the user, or maps to it.
    VerifyFull,
}

/// Which name of a certificate counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CertName {
    /// Its common name.
    #[default]
    Common,
    /// Its common name, or one of the DNS names beside it: PgBouncer takes either.
    CommonOrDns,
    /// The whole subject, in the form of RFC 2253.
    Distinguished,
}

/// What somebody has to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The proof.
    pub method: Method,
    /// The ident map for names of certificates and of the operating system; `None`: the names are the same.
    pub map: Option<Arc<str>>,
    /// What certificate is asked for.
    pub client_cert: ClientCert,
    /// Which name of it counts.
    pub cert_name: CertName,
}

impl Demand {
    /// A method with nothing beside it.
    pub fn of(method: Method) -> Self {
        let client_cert = match method {
            Method::Cert => ClientCert::VerifyFull,
            _ => ClientCert::Off,
        };
        Demand { method, map: None, client_cert, cert_name: CertName::Common }
    }
}
