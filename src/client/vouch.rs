//! Logins without a password: somebody else vouches for the client.

use super::authenticate::{Proof, Rejected};
use super::handshake::Incoming;
use crate::authority;
use crate::hba::{CertName, ClientCert, Demand, IdentMaps};
use crate::net::{ClientCertificate, Peer, TlsFacts};

/// The client certificate that the demand asks for beside its method.
pub(super) fn has_certificate(demand: &Demand, tls: Option<&TlsFacts>) -> Result<(), Rejected> {
    let has_one = tls.is_some_and(|tls| tls.client.is_some());
    if demand.client_cert == ClientCert::Off || has_one {
        Ok(())
    } else {
        Err(Rejected::CertificateMissing)
    }
}

/// Whether the certificate names the user, or somebody who may be the user.
pub(super) fn certificate_names_user(
    demand: &Demand,
    tls: Option<&TlsFacts>,
    maps: &IdentMaps,
    user: &str,
) -> Result<(), Rejected> {
    let certificate = tls.and_then(|tls| tls.client.as_ref());
    let certificate = certificate.ok_or(Rejected::CertificateMissing)?;
    let names = names(certificate, demand.cert_name);
    let name = names.first().ok_or(Rejected::Because("the certificate has no such name"))?;
    if names.iter().any(|name| maps.allows(demand.map.as_deref(), name, user)) {
        Ok(())
    } else {
        tracing::info!(?user, certificate = ?name, "the certificate is somebody else's");
        Err(Rejected::Because("the certificate does not name the user"))
    }
}

/// The names that count.
fn names(certificate: &ClientCertificate, which: CertName) -> Vec<&str> {
    let common = certificate.common_name.as_deref();
    let dns = certificate.dns_names.iter().map(String::as_str);
    let mut names: Vec<&str> = match which {
        CertName::Common => common.into_iter().collect(),
        CertName::CommonOrDns => common.into_iter().chain(dns).collect(),
        CertName::Distinguished => vec![&certificate.distinguished_name],
    };
    // A NUL would end the name for whoever compares it as C does.
    names.retain(|name| !name.is_empty() && !name.contains('\0'));
    names
}

impl Proof<'_> {
    /// Whether the operating system knows the client as the user, or as somebody who may be the user.
    pub(super) async fn check_peer(&self, demand: &Demand) -> Result<(), Rejected> {
        if self.incoming.peer != Peer::Unix {
            return Err(Rejected::Because("peer is only for the unix socket"));
        }
        let uid = self.incoming.line.socket().and_then(authority::peer_uid);
        let uid =
            uid.map_err(|_| Rejected::Because("the operating system does not tell who it is"))?;
        // The user database may be on the network.
        let name = tokio::task::spawn_blocking(move || authority::user_name(uid)).await;
        let Ok(Ok(Some(name))) = name else {
            return Err(Rejected::Because("the operating system has no name for it"));
        };
        let user = self.claim.user;
        if self.claim.identities.maps().allows(demand.map.as_deref(), &name, user) {
            Ok(())
        } else {
            tracing::info!(
                ?user,
                system_user = name,
                "the operating system's user is somebody else"
            );
            Err(Rejected::Because("the operating system's user is another"))
        }
    }
}

/// Whether the client runs as the user that pgusher runs as, on this machine.
pub(super) fn is_our_own(incoming: &Incoming) -> bool {
    incoming.peer == Peer::Unix
        && incoming.line.socket().and_then(authority::peer_uid).is_ok_and(authority::is_own_uid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hba::Method;

    fn tls(common_name: Option<&str>) -> TlsFacts {
        let client = ClientCertificate {
            common_name: common_name.map(str::to_owned),
            distinguished_name: "CN=ann,O=example".to_owned(),
            dns_names: ["svc", "", "evil\0.svc"].map(str::to_owned).into(),
        };
        TlsFacts {
            version: "TLSv1.3".to_owned(),
            cipher: "TLS_AES_256_GCM_SHA384".to_owned(),
            client: Some(client),
            end_point: None,
        }
    }

    #[test]
    fn a_certificate_that_is_asked_for_must_be_there() {
        let with = tls(Some("ann"));
        let without = TlsFacts { client: None, ..with.clone() };
        for (client_cert, allowed) in [
            (ClientCert::Off, [true; 3]),
            (ClientCert::VerifyCa, [true, false, false]),
            (ClientCert::VerifyFull, [true, false, false]),
        ] {
            let demand = Demand { client_cert, ..Demand::of(Method::Trust) };
            let found = [Some(&with), Some(&without), None];
            assert_eq!(found.map(|tls| has_certificate(&demand, tls).is_ok()), allowed);
        }
        assert_eq!(Demand::of(Method::Cert).client_cert, ClientCert::VerifyFull);
    }

    #[test]
    fn its_name_must_be_the_users() {
        let maps = IdentMaps::default();
        let demand = Demand::of(Method::Cert);
        let names = |cert_name, common_name, user| {
            let demand = Demand { cert_name, ..demand.clone() };
            certificate_names_user(&demand, Some(&tls(common_name)), &maps, user).is_ok()
        };
        assert!(names(CertName::Common, Some("ann"), "ann"));
        assert!(!names(CertName::Common, Some("ann"), "bob"));
        assert!(!names(CertName::Common, Some("ann"), "svc"));
        for (user, allowed) in [("ann", true), ("svc", true), ("", false), ("evil\0.svc", false)] {
            assert_eq!(names(CertName::CommonOrDns, Some("ann"), user), allowed, "{user}");
        }
        assert!(names(CertName::CommonOrDns, None, "svc"));
        assert!(!names(CertName::Common, None, ""));
        assert!(!names(CertName::Common, Some(""), ""));
        assert!(!names(CertName::Common, Some("ann\0.evil"), "ann\0.evil"));
        assert!(names(CertName::Distinguished, None, "CN=ann,O=example"));
        let unknown = Demand { map: Some("nowhere".into()), ..demand.clone() };
        let mapped = certificate_names_user(&unknown, Some(&tls(Some("ann"))), &maps, "ann");
        assert!(mapped.is_err(), "a map that is not there allows nobody");
        assert!(certificate_names_user(&demand, None, &maps, "ann").is_err());
    }
}
