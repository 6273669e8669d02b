//! What a TLS handshake settled, for those who decide by it.

use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::ssl::SslRef;
use openssl::x509::{X509NameEntryRef, X509NameRef, X509Ref};

use crate::types::TlsLabel;

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
    /// The DNS names beside the subject, among which PgBouncer looks for the user's name, too.
    pub dns_names: Vec<String>,
}

impl ClientCertificate {
    pub(super) fn read(certificate: &X509Ref) -> Self {
        ClientCertificate {
            common_name: common_name(certificate.subject_name()),
            distinguished_name: distinguished_name(certificate.subject_name()),
            dns_names: dns_names(certificate),
        }
    }
}

/// The outcome of a TLS handshake with a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Version and cipher.
    pub label: TlsLabel,
    /// Channel binding data `tls-server-end-point`: a hash of the server's certificate.
    pub end_point: Option<Box<[u8]>>,
}

/// True when a handshake has agreed on PostgreSQL's protocol by ALPN.
pub fn speaks_postgresql(ssl: &SslRef) -> bool {
    ssl.selected_alpn_protocol() == Some(b"postgresql")
}

/// Version and cipher of a connection.
pub fn label(ssl: &SslRef) -> TlsLabel {
    TlsLabel {
        version: ssl.version_str(),
        cipher: ssl.current_cipher().map_or("", |cipher| cipher.name()),
    }
}

/// `tls-server-end-point` of RFC 5929: the certificate, hashed as it was for its signature, but never by MD5 or SHA-1.
/// `None` for signatures that leave the hash open, such as those of Ed25519.
pub(super) fn end_point(certificate: &X509Ref) -> Option<Box<[u8]>> {
    let signature = certificate.signature_algorithm().object().nid();
    let digest = match signature.signature_algorithms()?.digest {
        Nid::MD5 | Nid::SHA1 => MessageDigest::sha256(),
        Nid::UNDEF => return None,
        other => MessageDigest::from_nid(other)?,
    };
    certificate.digest(digest).ok().map(|hash| Box::from(&*hash))
}

/// The first common name. One with a NUL in it names nobody: who reads it as C does would read another name.
pub(super) fn common_name(subject: &X509NameRef) -> Option<String> {
    subject.entries_by_nid(Nid::COMMONNAME).next().and_then(text)
}

fn dns_names(certificate: &X509Ref) -> Vec<String> {
    let names = certificate.subject_alt_names().into_iter().flatten();
    names.filter_map(|name| name.dnsname().map(str::to_owned)).collect()
}

fn text(entry: &X509NameEntryRef) -> Option<String> {
    entry.data().to_string().ok().filter(|text| !text.contains('\0'))
}

/// The subject as `X509_NAME_print_ex` prints it with `XN_FLAG_RFC2253`.
fn distinguished_name(subject: &X509NameRef) -> String {
    let mut parts: Vec<String> = subject
        .entries()
        .map(|entry| {
            let kind = entry.object().nid();
            let kind = kind.short_name().map_or_else(|_| entry.object().to_string(), str::to_owned);
            format!("{kind}={}", escaped(&text(entry).unwrap_or_default()))
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

/// RFC 2253, section 2.4, and everything that is not printable ASCII as hexadecimal bytes.
fn escaped(value: &str) -> String {
    let last = value.len().saturating_sub(1);
    let mut out = String::with_capacity(value.len());
    for (at, byte) in value.bytes().enumerate() {
        let edge = (byte == b' ' && (at == 0 || at == last)) || (byte == b'#' && at == 0);
        match byte {
            b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            _ if edge => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("\\{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use openssl::x509::X509Name;

    use super::*;

    fn name(entries: &[(Nid, &str)]) -> X509Name {
        let mut name = X509Name::builder().unwrap();
        for (nid, value) in entries {
            name.append_entry_by_nid(*nid, value).unwrap();
        }
        name.build()
    }

    #[test]
    fn subjects_are_written_as_postgresql_matches_them() {
        let subject = name(&[
            (Nid::COUNTRYNAME, "DE"),
            (Nid::ORGANIZATIONNAME, "Müller, Söhne"),
            (Nid::COMMONNAME, " #1"),
        ]);
        let expected = "CN=\\ #1,O=M\\C3\\BCller\\, S\\C3\\B6hne,C=DE";
        assert_eq!(distinguished_name(&subject), expected);
        assert_eq!(common_name(&subject).as_deref(), Some(" #1"));
    }

    #[test]
    fn a_name_with_nul_names_nobody() {
        assert_eq!(common_name(&name(&[(Nid::COMMONNAME, "alice\0.example.com")])), None);
        assert_eq!(common_name(&name(&[(Nid::ORGANIZATIONNAME, "x")])), None);
    }
}
