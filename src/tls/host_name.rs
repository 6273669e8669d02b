//! Whether a certificate names a host, by libpq's rules.

use std::net::IpAddr;

use openssl::x509::X509Ref;

use super::facts::common_name;

/// True when the certificate is for `host`: one of its subjectAltNames, or, if none of them is of the host's kind (name
/// or address), its common name.
pub(super) fn names(certificate: &X509Ref, host: &str) -> bool {
    let address = host.parse::<IpAddr>().ok();
    let mut has_kind = false;
    for other in certificate.subject_alt_names().into_iter().flatten() {
        if let Some(name) = other.dnsname() {
            has_kind |= address.is_none();
            if name_matches(name, host) {
                return true;
            }
        } else if let Some(bytes) = other.ipaddress() {
            has_kind |= address.is_some();
            if address.is_some_and(|address| is_address(address, bytes)) {
                return true;
            }
        }
    }
    !has_kind
        && common_name(certificate.subject_name()).is_some_and(|name| name_matches(&name, host))
}

fn is_address(address: IpAddr, bytes: &[u8]) -> bool {
    match address {
        IpAddr::V4(address) => address.octets() == bytes,
        IpAddr::V6(address) => address.octets() == bytes,
    }
}

/// Whether a name of a certificate is `host`. `*.` stands for exactly one label, the first.
fn name_matches(name: &str, host: &str) -> bool {
    if name.contains('\0') {
        return false;
    }
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    let Some(domain) =
        name.strip_prefix('*').filter(|rest| rest.len() > 1 && rest.starts_with('.'))
    else {
        return false;
    };
    host.split_once('.').is_some_and(|(label, _)| {
        !label.is_empty()
            && host.get(label.len()..).is_some_and(|rest| rest.eq_ignore_ascii_case(domain))
    })
}

#[cfg(test)]
mod tests {
    use openssl::asn1::Asn1Time;
    use openssl::hash::MessageDigest;
    use openssl::pkey::PKey;
    use openssl::x509::extension::SubjectAlternativeName;
    use openssl::x509::{X509, X509Name};

    use super::*;

    fn certificate(common_name: &str, dns: &[&str], ip: &[&str]) -> X509 {
        let group = openssl::ec::EcGroup::from_curve_name(openssl::nid::Nid::X9_62_PRIME256V1);
        let key = openssl::ec::EcKey::generate(&group.unwrap()).unwrap();
        let key = PKey::from_ec_key(key).unwrap();
        let mut subject = X509Name::builder().unwrap();
        subject.append_entry_by_text("CN", common_name).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(&subject).unwrap();
        builder.set_pubkey(&key).unwrap();
        builder.set_not_before(&Asn1Time::days_from_now(0).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::days_from_now(1).unwrap()).unwrap();
        if !dns.is_empty() || !ip.is_empty() {
            builder.set_version(2).unwrap();
            let mut names = SubjectAlternativeName::new();
            for name in dns {
                names.dns(name);
            }
            for address in ip {
                names.ip(address);
            }
            let names = names.build(&builder.x509v3_context(None, None)).unwrap();
            builder.append_extension(names).unwrap();
        }
        builder.sign(&key, MessageDigest::sha256()).unwrap();
        builder.build()
    }

    #[test]
    fn the_common_name_counts_only_without_a_name_of_the_same_kind() {
        let bare = certificate("db.example.com", &[], &[]);
        assert!(names(&bare, "db.example.com") && names(&bare, "DB.Example.COM"));
        assert!(!names(&bare, "example.com") && !names(&bare, ""));
        let named = certificate("db.example.com", &["other.example.com"], &[]);
        assert!(names(&named, "other.example.com") && !names(&named, "db.example.com"));
        let addressed = certificate("db.example.com", &[], &["192.0.2.1"]);
        assert!(names(&addressed, "192.0.2.1") && names(&addressed, "db.example.com"));
        assert!(!names(&addressed, "192.0.2.2"));
    }

    #[test]
    fn addresses_are_compared_as_addresses() {
        let six = certificate("x", &[], &["2001:db8::1"]);
        assert!(names(&six, "2001:db8::1") && names(&six, "2001:db8:0:0::1"));
        assert!(!names(&six, "2001:db8::2") && !names(&six, "x.y"));
        assert!(names(&certificate("192.0.2.1", &[], &[]), "192.0.2.1"));
        assert!(!names(&certificate("192.0.2.1", &[], &["192.0.2.9"]), "192.0.2.1"));
    }

    #[test]
    fn a_star_is_one_whole_label() {
        for (name, host, expected) in [
            ("*.example.com", "db.example.com", true),
            ("*.example.com", "DB.EXAMPLE.COM", true),
            ("*.example.com", "a.b.example.com", false),
            ("*.example.com", "example.com", false),
            ("*.example.com", ".example.com", false),
            ("d*.example.com", "db.example.com", false),
            ("db.*.com", "db.example.com", false),
            ("*", "db", false),
            ("*.", "db.", false),
            ("db.example.com\0.evil.com", "db.example.com", false),
        ] {
            assert_eq!(name_matches(name, host), expected, "{name} {host}");
        }
    }
}
