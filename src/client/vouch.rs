//! Logins without a password: somebody else vouches for the client.

use super::authenticate::{Proof, Rejected};
use super::handshake::Incoming;
use crate::authority;
use crate::hba::{CertName, ClientCert, Demand};
use crate::net::Peer;

impl Proof<'_> {
    /// The client certificate that the demand asks for beside its method.
    pub(super) fn check_certificate_is_there(&self, demand: &Demand) -> Result<(), Rejected> {
        let has_one = self.incoming.tls.as_ref().is_some_and(|tls| tls.client.is_some());
        if demand.client_cert == ClientCert::Off || has_one {
            Ok(())
        } else {
            Err(Rejected::CertificateMissing)
        }
    }

    /// Whether the certificate names the user, or somebody who may be the user.
    pub(super) fn check_certificate_names_user(&self, demand: &Demand) -> Result<(), Rejected> {
        let certificate = self.incoming.tls.as_ref().and_then(|tls| tls.client.as_ref());
        let certificate = certificate.ok_or(Rejected::CertificateMissing)?;
        let name = match demand.cert_name {
            CertName::Common => certificate.common_name.as_deref(),
            CertName::Distinguished => Some(certificate.distinguished_name.as_str()),
        };
        // A NUL would end the name for whoever compares it as C does.
        let name = name.filter(|name| !name.is_empty() && !name.contains('\0'));
        let name = name.ok_or(Rejected::Because("the certificate has no such name"))?;
        let user = self.claim.user;
        if self.claim.identities.maps().allows(demand.map.as_deref(), name, user) {
            Ok(())
        } else {
            tracing::info!(?user, certificate = name, "the certificate is somebody else's");
            Err(Rejected::Because("the certificate does not name the user"))
        }
    }

    /// Whether the operating system knows the client as the user, or as somebody who may be the user.
    pub(super) async fn check_peer(&self, demand: &Demand) -> Result<(), Rejected> {
        if self.incoming.peer != Peer::Unix {
            return Err(Rejected::Because("peer is only for the unix socket"));
        }
        let uid = authority::peer_uid(self.incoming.stream.socket());
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
        && authority::peer_uid(incoming.stream.socket()).is_ok_and(authority::is_own_uid)
}
