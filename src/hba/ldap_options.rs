//! How an LDAP server is asked, in the words of `pg_hba.conf`.

use super::ldap_url::{self, Parsed};
use super::token;
use crate::secret::Secret;

/// How the connection to the LDAP server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LdapTls {
    /// Not at all.
    #[default]
    Off,
    /// By StartTLS (`ldaptls=1`).
    StartTls,
    /// From the first byte (`ldapscheme=ldaps`).
    Ldaps,
}

/// Which entries a search looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LdapScope {
    /// The base itself.
    Base,
    /// Its children.
    One,
    /// Everything below it, and itself.
    #[default]
    Sub,
}

/// How a user's distinguished name is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LdapLookup {
    /// It is put together.
    Direct {
        /// Before the name.
        prefix: String,
        /// Behind it.
        suffix: String,
    },
    /// It is searched for.
    Search {
        /// Where.
        base: String,
        /// As whom; empty is nobody.
        bind_dn: String,
        /// With which password.
        bind_password: Secret,
        /// A filter in which `$username` stands for the user.
        filter: String,
        /// How deep.
        scope: LdapScope,
    },
}

/// How an LDAP server is asked. `Debug` shows no password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LdapOptions {
    /// Hosts, tried in order.
    pub servers: Vec<String>,
    /// Their port.
    pub port: u16,
    /// Protection of the connection.
    pub tls: LdapTls,
    /// How the user's name becomes a distinguished one.
    pub lookup: LdapLookup,
}

impl LdapOptions {
    /// Reads a text of `name=value` words, as `auth_ldap_options` is.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let fields = token::split(text).map_err(|_| vec!["a quote is never closed".to_owned()])?;
        let words: Vec<_> = fields.into_iter().flatten().map(|token| token.text).collect();
        let mut wrong = Vec::new();
        let mut pairs = Vec::new();
        for word in &words {
            match word.split_once('=') {
                Some(pair) => pairs.push(pair),
                None => wrong.push("an option is not of the form name=value".to_owned()),
            }
        }
        let read = Self::read(pairs.into_iter());
        match (read, wrong.is_empty()) {
            (Ok(options), true) => Ok(options),
            (read, _) => Err(wrong.into_iter().chain(read.err().unwrap_or_default()).collect()),
        }
    }

    /// Reads options that are split into names and values.
    pub(super) fn read<'a>(
        pairs: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<String>> {
        let (mut draft, mut wrong) = (Draft::default(), Vec::new());
        for (name, value) in pairs {
            if let Err(why) = draft.take(name, value) {
                wrong.push(why);
            }
        }
        match draft.finish() {
            Ok(options) if wrong.is_empty() => Ok(options),
            Ok(_) => Err(wrong),
            Err(why) => {
                wrong.push(why);
                Err(wrong)
            }
        }
    }
}

/// Options read so far.
#[derive(Default)]
struct Draft {
    servers: Vec<String>,
    port: Option<u16>,
    tls: LdapTls,
    prefix: Option<String>,
    suffix: Option<String>,
    base: Option<String>,
    bind_dn: Option<String>,
    bind_password: Option<Secret>,
    attribute: Option<String>,
    filter: Option<String>,
    scope: LdapScope,
}

impl Draft {
    fn take(&mut self, name: &str, value: &str) -> Result<(), String> {
        let text = || Some(value.to_owned());
        match name {
            "ldapserver" => self.servers = value.split_whitespace().map(str::to_owned).collect(),
            "ldapport" => {
                let port = value.parse().ok().filter(|&port: &u16| port > 0);
                self.port = Some(port.ok_or("`ldapport` is not a port")?);
            }
            "ldapscheme" => match value {
                "ldaps" => self.tls = LdapTls::Ldaps,
                "ldap" => {}
                _ => return Err("`ldapscheme`: expected ldap or ldaps".into()),
            },
            "ldaptls" => match value {
                "1" => self.tls = LdapTls::StartTls,
                "0" => {}
                _ => return Err("`ldaptls`: expected 0 or 1".into()),
            },
            "ldapprefix" => self.prefix = text(),
            "ldapsuffix" => self.suffix = text(),
            "ldapbasedn" => self.base = text(),
            "ldapbinddn" => self.bind_dn = text(),
            "ldapbindpasswd" => self.bind_password = Some(Secret::new(value)),
            "ldapsearchattribute" => self.attribute = text(),
            "ldapsearchfilter" => self.filter = text(),
            "ldapurl" => self.take_url(ldap_url::parse(value)?),
            _ => return Err(format!("`{name}` is not an option of the method ldap")),
        }
        Ok(())
    }

    fn take_url(&mut self, url: Parsed) {
        if url.is_tls {
            self.tls = LdapTls::Ldaps;
        }
        self.servers.extend(url.host);
        self.port = url.port.or(self.port);
        self.base = Some(url.base);
        self.attribute = url.attribute.or(self.attribute.take());
        self.filter = url.filter.or(self.filter.take());
        self.scope = url.scope;
    }

    fn finish(self) -> Result<LdapOptions, String> {
        if self.servers.is_empty() {
            return Err("the method ldap needs `ldapserver`, or a host in `ldapurl`".into());
        }
        let direct = self.prefix.is_some() || self.suffix.is_some();
        let search = [&self.base, &self.bind_dn, &self.attribute, &self.filter];
        let searches = search.iter().any(|option| option.is_some()) || self.bind_password.is_some();
        let lookup = match (direct, self.base) {
            (true, _) if searches => {
                return Err("`ldapprefix` and `ldapsuffix` exclude the options of a search".into());
            }
            (true, _) => LdapLookup::Direct {
                prefix: self.prefix.unwrap_or_default(),
                suffix: self.suffix.unwrap_or_default(),
            },
            (false, None) => {
                return Err(
                    "the method ldap needs `ldapbasedn`, `ldapprefix` or `ldapsuffix`".into()
                );
            }
            (false, Some(_)) if self.attribute.is_some() && self.filter.is_some() => {
                return Err(
                    "`ldapsearchattribute` and `ldapsearchfilter` exclude each other".into()
                );
            }
            (false, Some(base)) => LdapLookup::Search {
                base,
                bind_dn: self.bind_dn.unwrap_or_default(),
                bind_password: self.bind_password.unwrap_or_default(),
                filter: match (self.filter, self.attribute) {
                    (Some(filter), _) => filter,
                    (None, attribute) => {
                        format!("({}=$username)", attribute.as_deref().unwrap_or("uid"))
                    }
                },
                scope: self.scope,
            },
        };
        let usual = if self.tls == LdapTls::Ldaps { 636 } else { 389 };
        Ok(LdapOptions {
            servers: self.servers,
            port: self.port.unwrap_or(usual),
            tls: self.tls,
            lookup,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_direct_bind() {
        let options =
            LdapOptions::parse(r#"ldapserver="a b" ldapprefix="uid=" ldapsuffix=",dc=x""#).unwrap();
        assert_eq!(options.servers, ["a", "b"]);
        assert_eq!((options.port, options.tls), (389, LdapTls::Off));
        let lookup = LdapLookup::Direct { prefix: "uid=".into(), suffix: ",dc=x".into() };
        assert_eq!(options.lookup, lookup);
    }

    #[test]
    fn a_url_is_a_search() {
        // A comma parts words, so a base with several parts is quoted.
        assert!(LdapOptions::parse("ldapurl=ldap://h/dc=x,dc=y").is_err());
        let options = LdapOptions::parse(
            r#"ldapurl="ldaps://h:1636/dc=x,dc=y?cn?one" ldapbindpasswd=hunter2"#,
        )
        .unwrap();
        assert_eq!((options.port, options.tls), (1636, LdapTls::Ldaps));
        assert!(!format!("{options:?}").contains("hunter2"));
        let LdapLookup::Search { base, filter, scope, .. } = options.lookup else { panic!() };
        assert_eq!((&*base, &*filter, scope), ("dc=x,dc=y", "(cn=$username)", LdapScope::One));
    }

    #[test]
    fn what_does_not_fit_together() {
        for (text, why) in [
            ("ldapbasedn=x", "needs `ldapserver`"),
            ("ldapserver=h", "needs `ldapbasedn`"),
            ("ldapserver=h ldapprefix=x ldapbasedn=y", "exclude the options"),
            ("ldapserver=h ldapbasedn=y ldapsearchattribute=a ldapsearchfilter=b", "exclude each"),
            ("ldapserver=h ldapprefix=x ldapport=x", "not a port"),
            ("ldapserver=h ldapprefix=x oops=1", "`oops` is not an option"),
            ("ldapserver=h ldapprefix=x oops", "name=value"),
        ] {
            let wrong = LdapOptions::parse(text).unwrap_err().join("\n");
            assert!(wrong.contains(why), "{text}: {wrong}");
        }
    }
}
