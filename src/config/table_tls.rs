//! The settings of `[tls.client]` and `[tls.server]`, and the words their values are made of.

use std::path::Path;

use super::kinds::{Flag, Kind, Reading};
use super::resolved_tls::{
    BindingPolicy, ClientSslMode, ClientTlsSettings, Protocols, Roots, ServerTlsSettings, SslMode,
    SslNegotiation, TlsVersion,
};
use super::setting::{RELOAD, section_table};
use super::tree::Node;
use super::words::{Choice, OneOf, OptionalPath, Text};

section_table! {
    /// `[tls.client]`; SHOW CONFIG has PgBouncer's names, as far as it has them.
    TLS_CLIENT for ClientTlsSettings, shown as "client_tls_" {
        sslmode: OneOf<ClientSslMode> = "disable", RELOAD,
            "TLS with clients: disable, allow, prefer, require, verify-ca or verify-full; verify-* ask for a certificate.";
        cert_file: OptionalPath = "", RELOAD,
            "Certificate that clients are shown, followed by those of its issuers, in PEM.";
        key_file: OptionalPath = "", RELOAD,
            "Private key of the certificate, without a passphrase, in PEM.";
        ca_file: OptionalPath = "", RELOAD,
            "Authorities whose client certificates are accepted, in PEM.";
        protocols: ProtocolList = "secure", RELOAD,
            "Versions of TLS: secure (1.2 and 1.3), tlsv1.2 or tlsv1.3.";
        ciphers: Text = "default", RELOAD,
            "Cipher suites of TLS 1.2, as OpenSSL writes them; \"default\" is the library's choice.";
        tls13_ciphers ("client_tls13_ciphers"): Text = "default", RELOAD,
            "Cipher suites of TLS 1.3, with colons between them; \"default\" is the library's choice.";
        ecdhcurve: Text = "auto", RELOAD,
            "Groups for the key exchange, with colons between them, best first; \"auto\" is the library's choice.";
    }
}

section_table! {
    /// `[tls.server]`, likewise.
    TLS_SERVER for ServerTlsSettings, shown as "server_tls_" {
        sslmode: OneOf<SslMode> = "prefer", RELOAD,
            "TLS with servers: disable, allow, prefer, require, verify-ca or verify-full, as in libpq.";
        ca_file: RootsFile = "", RELOAD,
            "Authorities whose server certificates are accepted, in PEM; \"system\" is the operating system's.";
        cert_file: OptionalPath = "", RELOAD,
            "Certificate for servers that ask for one, followed by those of its issuers, in PEM.";
        key_file: OptionalPath = "", RELOAD,
            "Private key of that certificate, without a passphrase, in PEM.";
        protocols: ProtocolList = "secure", RELOAD,
            "Versions of TLS: secure (1.2 and 1.3), tlsv1.2 or tlsv1.3.";
        ciphers: Text = "default", RELOAD,
            "Cipher suites of TLS 1.2, as OpenSSL writes them; \"default\" is the library's choice.";
        tls13_ciphers ("server_tls13_ciphers"): Text = "default", RELOAD,
            "Cipher suites of TLS 1.3, with colons between them; \"default\" is the library's choice.";
        sslnegotiation: OneOf<SslNegotiation> = "postgres", RELOAD,
            "How TLS begins: postgres asks first, direct begins at once, which takes PostgreSQL 17.";
        channel_binding: OneOf<BindingPolicy> = "prefer", RELOAD,
            "Whether SCRAM logins are bound to the TLS channel: disable, prefer or require.";
        allow_cleartext_password: Flag = "false", RELOAD,
            "Send passwords in clear to servers that ask for it, over TCP without TLS.";
    }
}

impl Choice for ClientSslMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("disable", ClientSslMode::Disable),
        ("allow", ClientSslMode::Allow),
        ("prefer", ClientSslMode::Prefer),
        ("require", ClientSslMode::Require),
        ("verify-ca", ClientSslMode::VerifyCa),
        ("verify-full", ClientSslMode::VerifyFull),
    ];
}

impl Choice for SslMode {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("disable", SslMode::Disable),
        ("allow", SslMode::Allow),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-ca", SslMode::VerifyCa),
        ("verify-full", SslMode::VerifyFull),
    ];
}

impl Choice for SslNegotiation {
    const WORDS: &'static [(&'static str, Self)] =
        &[("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)];
}

impl Choice for BindingPolicy {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("disable", BindingPolicy::Disable),
        ("prefer", BindingPolicy::Prefer),
        ("require", BindingPolicy::Require),
    ];
}

/// A file of authorities, or the word `system`.
pub(super) struct RootsFile;

impl Kind for RootsFile {
    type Value = Roots;

    fn unset() -> Option<Roots> {
        Some(Roots::None)
    }

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Roots> {
        Some(match cx.text(node, "a path in quotes, or \"system\"")? {
            "" => Roots::None,
            "system" => Roots::System,
            path => Roots::File(cx.report.folder(node.at.file).join(Path::new(path))),
        })
    }

    fn show(value: &Roots) -> String {
        match value {
            Roots::None => String::new(),
            Roots::System => "system".to_owned(),
            Roots::File(path) => path.display().to_string(),
        }
    }
}

/// PgBouncer's words for versions: `secure`, `all`, or a list with commas.
struct ProtocolList;

impl ProtocolList {
    const ALL: Protocols = Protocols { oldest: TlsVersion::V12, newest: TlsVersion::V13 };
}

impl Kind for ProtocolList {
    type Value = Protocols;

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Protocols> {
        let text = cx.text(node, "\"secure\", \"tlsv1.2\" or \"tlsv1.3\"")?;
        let mut versions = Vec::new();
        for word in text.split(',').map(str::trim) {
            match word {
                "secure" | "all" => versions.extend([TlsVersion::V12, TlsVersion::V13]),
                "tlsv1.2" => versions.push(TlsVersion::V12),
                "tlsv1.3" => versions.push(TlsVersion::V13),
                other => {
                    let old = matches!(other, "tlsv1.0" | "tlsv1.1" | "legacy");
                    let why = if old { "is not safe any more" } else { "is not a version of TLS" };
                    let help = "write \"secure\", \"tlsv1.2\" or \"tlsv1.3\"".into();
                    cx.wrong(node.at, &format!("\"{other}\" {why}"), Some(help));
                    return None;
                }
            }
        }
        // A list of words is never empty, and every word adds a version.
        let (oldest, newest) = (versions.iter().min()?, versions.iter().max()?);
        Some(Protocols { oldest: *oldest, newest: *newest })
    }

    fn show(value: &Protocols) -> String {
        match value {
            &Self::ALL => "secure",
            Protocols { newest: TlsVersion::V12, .. } => "tlsv1.2",
            _ => "tlsv1.3",
        }
        .to_owned()
    }
}
