//! The method of a line, and the `name=value` options behind it.

use std::sync::Arc;

use super::demand::{CertName, ClientCert, Demand, Method};
use super::ldap_options::LdapOptions;
use super::names::Wrong;
use super::rule::Kind;
use super::token::{Field, Token};

/// PAM's service when a line names none.
pub(super) const PAM_SERVICE: &str = "pgusher";

/// An option as it is written.
pub(super) struct Given<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a str,
    pub(super) column: u32,
}

/// Splits options at their equals signs.
pub(super) fn read<'a>(fields: &'a [Field], wrong: &mut Vec<Wrong>) -> Vec<Given<'a>> {
    let mut given = Vec::new();
    for token in fields.iter().flatten() {
        match token.text.split_once('=') {
            Some((name, value)) => given.push(Given { name, value, column: token.column }),
            None => {
                let message =
                    format!("\"{}\" is not an option: name=value is expected", token.text);
                wrong.push((token.column, message));
            }
        }
    }
    given
}

/// What a line demands.
pub(super) fn demand(
    kind: Kind,
    method: &Token,
    given: Vec<Given<'_>>,
    wrong: &mut Vec<Wrong>,
) -> Option<Demand> {
    let name = match (method.text.as_str(), kind) {
        // PostgreSQL's, too: over a unix socket there is nobody to ask by ident.
        ("ident", Kind::Local) => "peer",
        (name, _) => name,
    };
    let mut options = Options { method: name, kind, ..Options::default_for(kind) };
    let mut ldap = Vec::new();
    for option in given {
        if option.name.starts_with("ldap") && name == "ldap" {
            ldap.push(option);
        } else if let Err(why) = options.take(&option) {
            wrong.push((option.column, why));
        }
    }
    let method = options.method(method, &ldap, wrong)?;
    let mut demand = Demand::of(method);
    demand.map = options.map;
    demand.cert_name = options.cert_name;
    if let Some(client_cert) = options.client_cert {
        demand.client_cert = client_cert;
    }
    Some(demand)
}

struct Options<'a> {
    method: &'a str,
    kind: Kind,
    map: Option<Arc<str>>,
    client_cert: Option<ClientCert>,
    cert_name: CertName,
    pam_service: Arc<str>,
}

impl<'a> Options<'a> {
    fn default_for(kind: Kind) -> Self {
        Options {
            method: "",
            kind,
            map: None,
            client_cert: None,
            cert_name: CertName::Common,
            pam_service: PAM_SERVICE.into(),
        }
    }

    fn take(&mut self, option: &Given<'_>) -> Result<(), String> {
        let Given { name, value, .. } = option;
        let only = |when: bool, what: &str| match when {
            true => Ok(()),
            false => Err(format!("`{name}` is only for {what}")),
        };
        match *name {
            "map" => {
                only(matches!(self.method, "peer" | "cert"), "the methods peer and cert")?;
                self.map = Some((*value).into());
            }
            "clientcert" => {
                only(self.kind == Kind::HostSsl, "hostssl")?;
                self.client_cert = Some(match *value {
                    "verify-ca" if self.method != "cert" => ClientCert::VerifyCa,
                    "verify-full" => ClientCert::VerifyFull,
                    "verify-ca" => return Err("the method cert always verifies fully".into()),
                    _ => return Err(expected(name, value, "verify-ca or verify-full")),
                });
            }
            "clientname" => {
                only(self.kind == Kind::HostSsl, "hostssl")?;
                self.cert_name = match *value {
                    "CN" => CertName::Common,
                    "DN" => CertName::Distinguished,
                    _ => return Err(expected(name, value, "CN or DN")),
                };
            }
            "pamservice" => {
                only(self.method == "pam", "the method pam")?;
                self.pam_service = (*value).into();
            }
            "pam_use_hostname" => {
                only(self.method == "pam", "the method pam")?;
                if *value != "0" {
                    return Err("`pam_use_hostname` is not supported: PAM is told addresses".into());
                }
            }
            _ => return Err(format!("`{name}` is not an option of the method {}", self.method)),
        }
        Ok(())
    }

    fn method(&self, token: &Token, ldap: &[Given<'_>], wrong: &mut Vec<Wrong>) -> Option<Method> {
        let refusal = match (self.method, self.kind) {
            ("peer", Kind::Local) | ("cert", Kind::HostSsl) => None,
            ("peer", _) => Some("the method peer is only for local".to_owned()),
            ("cert", _) => Some("the method cert is only for hostssl".to_owned()),
            ("ident", _) => Some("the method ident is not supported over TCP: what the client's machine says proves nothing".to_owned()),
            ("gss" | "sspi" | "radius" | "bsd" | "oauth", _) => {
                Some(format!("the method {} is not supported", self.method))
            }
            ("pam", _) if !cfg!(feature = "pam") => {
                Some("this pgusher was built without PAM (feature `pam`)".to_owned())
            }
            _ => None,
        };
        if let Some(message) = refusal {
            wrong.push((token.column, message));
            return None;
        }
        Some(match self.method {
            "trust" => Method::Trust,
            "reject" => Method::Reject,
            "password" => Method::Password,
            "md5" => Method::Md5,
            "scram-sha-256" => Method::ScramSha256,
            "cert" => Method::Cert,
            "peer" => Method::Peer,
            "pam" => Method::Pam(Arc::clone(&self.pam_service)),
            "ldap" => {
                let pairs = ldap.iter().map(|option| (option.name, option.value));
                match LdapOptions::read(pairs) {
                    Ok(options) => Method::Ldap(Arc::new(options)),
                    Err(whys) => {
                        wrong.extend(whys.into_iter().map(|why| (token.column, why)));
                        return None;
                    }
                }
            }
            other => {
                let message = format!(
                    "unknown method \"{other}\"; expected trust, reject, password, md5, scram-sha-256, cert, peer, ldap or pam"
                );
                wrong.push((token.column, message));
                return None;
            }
        })
    }
}

fn expected(name: &str, value: &str, what: &str) -> String {
    format!("`{name}`: expected {what}, found \"{value}\"")
}
