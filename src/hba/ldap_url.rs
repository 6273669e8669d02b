//! LDAP URLs (RFC 4516): `ldap[s]://host[:port]/base[?attribute[?scope[?filter]]]`.

use percent_encoding::percent_decode_str;

use super::ldap_options::LdapScope;

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) is_tls: bool,
    pub(super) host: Option<String>,
    pub(super) port: Option<u16>,
    pub(super) base: String,
    pub(super) attribute: Option<String>,
    pub(super) scope: LdapScope,
    pub(super) filter: Option<String>,
}

/// Reads a URL. The error does not repeat it.
pub(super) fn parse(text: &str) -> Result<Parsed, String> {
    let wrong = |what: &str| format!("`ldapurl`: {what}");
    let (is_tls, rest) = match (text.strip_prefix("ldaps://"), text.strip_prefix("ldap://")) {
        (Some(rest), _) => (true, rest),
        (_, Some(rest)) => (false, rest),
        _ => return Err(wrong("it must begin with ldap:// or ldaps://")),
    };
    let (place, rest) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = split_place(place).ok_or_else(|| wrong("the port is not a port"))?;
    let mut parts = rest.splitn(4, '?');
    let mut next = || -> Result<Option<String>, String> {
        let Some(part) = parts.next().filter(|part| !part.is_empty()) else { return Ok(None) };
        let text = percent_decode_str(part).decode_utf8();
        text.map(|text| Some(text.into_owned())).map_err(|_| wrong("it is not UTF-8"))
    };
    let (base, attribute, scope, filter) = (next()?, next()?, next()?, next()?);
    let scope = match scope.as_deref() {
        None | Some("base") => LdapScope::Base,
        Some("one") => LdapScope::One,
        Some("sub") => LdapScope::Sub,
        Some(_) => return Err(wrong("the scope must be base, one or sub")),
    };
    let host = (!host.is_empty()).then(|| host.to_owned());
    Ok(Parsed { is_tls, host, port, base: base.unwrap_or_default(), attribute, scope, filter })
}

/// Host and port; an IPv6 address stands in brackets, and keeps them.
fn split_place(place: &str) -> Option<(&str, Option<u16>)> {
    let after_brackets = place.rfind(']').map_or(0, |at| at + 1);
    match place.get(after_brackets..)?.find(':') {
        Some(at) => {
            let (host, port) = place.split_at(after_brackets + at);
            Some((host, Some(port.get(1..)?.parse().ok()?)))
        }
        None => Some((place, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parts() {
        let url = parse("ldaps://[::1]:1/dc%3Dx,dc=y?cn?sub?(cn=$username)").unwrap();
        let expected = Parsed {
            is_tls: true,
            host: Some("[::1]".into()),
            port: Some(1),
            base: "dc=x,dc=y".into(),
            attribute: Some("cn".into()),
            scope: LdapScope::Sub,
            filter: Some("(cn=$username)".into()),
        };
        assert_eq!(url, expected);
        let short = parse("ldap://h").unwrap();
        assert_eq!((short.host.as_deref(), short.port, &*short.base), (Some("h"), None, ""));
        assert_eq!(short.scope, LdapScope::Base, "RFC 4516's default");
    }

    #[test]
    fn broken_ones() {
        for text in ["", "http://h/x", "ldap://h:x/", "ldap://h:99999/", "ldap://h/x?a?deep"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
