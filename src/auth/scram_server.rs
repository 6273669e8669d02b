//! SCRAM as the server: proves who a client is.
//!
//! [`ScramServer`] takes client-first, [`ScramServerFinal`] takes client-final; each consumes
//! itself, so that a step can neither be skipped nor repeated.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::attributes::{Attributes, message_text};
use super::error::{AuthError, Blame, Refusal};
use super::nonce::Nonce;
use super::scram::{
    BOUND_FLAG, MECHANISM, MECHANISM_PLUS, ScramKeys, ScramVerifier, decode_key, server_signature,
};

/// Whether the exchange is bound to the TLS channel under it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ChannelBinding {
    /// Only SCRAM-SHA-256 was offered.
    #[default]
    NotOffered,
    /// SCRAM-SHA-256-PLUS was offered, too, and the client has not chosen it.
    Declined,
    /// The client has chosen SCRAM-SHA-256-PLUS. This is what it must be bound to: `tls-server-end-point`.
    EndPoint(Box<[u8]>),
}

impl ChannelBinding {
    /// The mechanisms to offer, the better one first; `end_point` is there under TLS.
    pub fn mechanisms(end_point: Option<&[u8]>) -> &'static [&'static str] {
        if end_point.is_some() { &[MECHANISM_PLUS, MECHANISM] } else { &[MECHANISM] }
    }

    /// The binding that goes with a client's choice among them; `None` when it chose something else.
    pub fn chosen(end_point: Option<&[u8]>, mechanism: &[u8]) -> Option<Self> {
        match end_point {
            Some(end_point) if mechanism == MECHANISM_PLUS.as_bytes() => {
                Some(ChannelBinding::EndPoint(end_point.into()))
            }
            Some(_) if mechanism == MECHANISM.as_bytes() => Some(ChannelBinding::Declined),
            None if mechanism == MECHANISM.as_bytes() => Some(ChannelBinding::NotOffered),
            _ => None,
        }
    }
}

/// Whose proof is awaited: a verifier, and whether it can succeed at all.
#[derive(Clone, Debug)]
pub struct ScramSubject {
    verifier: Arc<ScramVerifier>,
    doom: Option<Refusal>,
}

impl ScramSubject {
    /// A user with a verifier.
    pub fn real(verifier: Arc<ScramVerifier>) -> Self {
        ScramSubject { verifier, doom: None }
    }

    /// A user who goes through all steps and is refused after the last.
    pub fn doomed(mock: Arc<ScramVerifier>, refusal: Refusal) -> Self {
        ScramSubject { verifier: mock, doom: Some(refusal) }
    }
}

/// Awaits client-first.
#[derive(Debug)]
pub struct ScramServer {
    subject: ScramSubject,
    binding: ChannelBinding,
    nonce: Nonce,
}

/// Awaits client-final.
#[derive(Debug)]
pub struct ScramServerFinal {
    subject: ScramSubject,
    /// What `c=` must repeat: the GS2 header and the channel it is bound to, in base64.
    bound_header: String,
    nonce: Nonce,
    /// The AuthMessage so far: client-first-bare and server-first.
    auth_message: String,
}

/// The client is who it says.
#[derive(Debug)]
pub struct ScramSuccess {
    /// The last message to the client, which proves the server.
    pub server_final: Vec<u8>,
    /// Keys that log in wherever the same verifier is stored.
    pub keys: ScramKeys,
}

impl ScramServer {
    /// Begins an exchange.
    pub fn new(subject: ScramSubject, binding: ChannelBinding) -> Result<Self, AuthError> {
        Ok(Self::with_nonce(subject, binding, Nonce::random()?))
    }

    /// [`ScramServer::new`] with a nonce that is known beforehand.
    pub fn with_nonce(subject: ScramSubject, binding: ChannelBinding, nonce: Nonce) -> Self {
        ScramServer { subject, binding, nonce }
    }

    /// Takes client-first; gives server-first. The user name in it is ignored, as PostgreSQL
    /// does: the one of the start-up message counts.
    pub fn client_first(self, message: &[u8]) -> Result<(ScramServerFinal, Vec<u8>), AuthError> {
        let text = message_text(Blame::Client, message)?;
        let (header, bare) = split_gs2_header(text, &self.binding)?;
        let mut attributes = Attributes::new(Blame::Client, bare);
        attributes.expect('n')?;
        let client_nonce = attributes.expect_nonce()?;
        attributes.skip_extensions()?;

        let nonce = client_nonce.followed_by(&self.nonce);
        let verifier = &self.subject.verifier;
        let salt = BASE64_STANDARD.encode(verifier.salt());
        let iterations = verifier.iterations().to_string();
        let server_first = ["r=", nonce.as_str(), ",s=", &salt, ",i=", &iterations].concat();
        let next = ScramServerFinal {
            bound_header: bound_header(header, &self.binding),
            auth_message: [bare, ",", &server_first].concat(),
            nonce,
            subject: self.subject,
        };
        Ok((next, server_first.into_bytes()))
    }
}

impl ScramServerFinal {
    /// Takes client-final; on success gives server-final.
    pub fn client_final(self, message: &[u8]) -> Result<ScramSuccess, AuthError> {
        let text = message_text(Blame::Client, message)?;
        let (without_proof, proof) =
            text.rsplit_once(",p=").ok_or(malformed("SCRAM proof missing"))?;
        let proof = decode_key(proof).ok_or(malformed("SCRAM proof is not 32 bytes of base64"))?;
        let mut attributes = Attributes::new(Blame::Client, without_proof);
        if attributes.expect('c')? != self.bound_header {
            return Err(malformed("SCRAM channel binding does not repeat the first message"));
        }
        if attributes.expect_nonce()? != self.nonce {
            return Err(malformed("SCRAM nonce does not match"));
        }
        attributes.skip_extensions()?;
        self.judge(&proof, without_proof)
    }

    fn judge(mut self, proof: &[u8; 32], without_proof: &str) -> Result<ScramSuccess, AuthError> {
        self.auth_message.push(',');
        self.auth_message.push_str(without_proof);
        let auth_message = self.auth_message.as_bytes();
        // The doomed do the same work, so that the time tells nothing.
        let opened = self.subject.verifier.open(proof, auth_message);
        if let Some(refusal) = self.subject.doom {
            return Err(AuthError::Refused(refusal));
        }
        let keys = opened.ok_or(AuthError::Refused(Refusal::WrongPassword))?;
        let signature = server_signature(&keys.server_key, auth_message);
        let server_final = format!("v={}", BASE64_STANDARD.encode(signature)).into_bytes();
        Ok(ScramSuccess { server_final, keys })
    }
}

fn bound_header(header: &str, binding: &ChannelBinding) -> String {
    let mut bytes = header.as_bytes().to_vec();
    if let ChannelBinding::EndPoint(end_point) = binding {
        bytes.extend_from_slice(end_point);
    }
    BASE64_STANDARD.encode(bytes)
}

/// Splits `n,,n=,r=…` into `n,,` and the rest, and refuses what the header may not ask for.
fn split_gs2_header<'t>(
    text: &'t str,
    binding: &ChannelBinding,
) -> Result<(&'t str, &'t str), AuthError> {
    let from = Blame::Client;
    let header_missing = malformed("SCRAM message does not begin with a GS2 header");
    let (flag, rest) = text.split_once(',').ok_or(header_missing.clone())?;
    match (flag, binding) {
        ("n", ChannelBinding::NotOffered | ChannelBinding::Declined) => {}
        // `y`: the client could bind, and believes the server cannot; here it is right.
        ("y", ChannelBinding::NotOffered) => {}
        ("y", ChannelBinding::Declined) => {
            return Err(malformed(
                "the client believes that channel binding was not offered, but it was: somebody in between took the offer away",
            ));
        }
        (BOUND_FLAG, ChannelBinding::EndPoint(_)) => {}
        ("n" | "y", ChannelBinding::EndPoint(_)) => {
            return Err(malformed("SCRAM-SHA-256-PLUS was chosen, but the message is not bound"));
        }
        (flag, ChannelBinding::EndPoint(_)) if flag.starts_with("p=") => {
            return Err(AuthError::Unsupported { from, what: "another type of channel binding" });
        }
        (flag, _) if flag.starts_with("p=") => {
            return Err(malformed(
                "SCRAM-SHA-256 without channel binding was chosen, but the message is bound",
            ));
        }
        _ => return Err(header_missing),
    }
    let (identity, bare) = rest.split_once(',').ok_or(header_missing.clone())?;
    match identity {
        "" => Ok((&text[..text.len() - bare.len()], bare)),
        _ if identity.starts_with("a=") => {
            Err(AuthError::Unsupported { from, what: "an authorization identity" })
        }
        _ => Err(header_missing),
    }
}

fn malformed(what: &'static str) -> AuthError {
    AuthError::Malformed { from: Blame::Client, what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CLIENT_FIRST: &str = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
    const NONCE: &str = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
    const PROOF: &str = "p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

    /// The server of RFC 7677's example: user `user`, password `pencil`.
    fn rfc_server(doom: Option<Refusal>) -> ScramServer {
        let salt = BASE64_STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let verifier = Arc::new(ScramVerifier::from_password("pencil", 4096, &salt));
        let nonce = Nonce::parse("%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0").unwrap();
        ScramServer::with_nonce(ScramSubject { verifier, doom }, ChannelBinding::NotOffered, nonce)
    }

    fn rfc_final(doom: Option<Refusal>) -> ScramServerFinal {
        rfc_server(doom).client_first(CLIENT_FIRST.as_bytes()).unwrap().0
    }

    #[test]
    fn rfc_7677_example() {
        let (next, server_first) = rfc_server(None).client_first(CLIENT_FIRST.as_bytes()).unwrap();
        let expected = format!("r={NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
        assert_eq!(server_first, expected.as_bytes());
        let success = next.client_final(format!("c=biws,r={NONCE},{PROOF}").as_bytes()).unwrap();
        assert_eq!(success.server_final, b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn the_doomed_are_refused_with_the_right_proof() {
        let refused = rfc_final(Some(Refusal::UnknownUser))
            .client_final(format!("c=biws,r={NONCE},{PROOF}").as_bytes());
        assert_eq!(refused.unwrap_err(), AuthError::Refused(Refusal::UnknownUser));
    }

    #[test]
    fn gs2_headers() {
        let first = |header: &str| {
            rfc_server(None).client_first(format!("{header}n=,r=abc").as_bytes()).map(|_| ())
        };
        assert_eq!(first("n,,"), Ok(()));
        assert_eq!(first("y,,"), Ok(()));
        for header in ["p=tls-server-end-point,,", "p=,,", "x,,", "n,", "", ",,", "n,b,", "Y,,"] {
            let error = first(header).unwrap_err();
            assert!(matches!(error, AuthError::Malformed { .. }), "{header}: {error}");
        }
        for header in ["n,a=admin,", "n,,m=x,"] {
            let error = first(header).unwrap_err();
            assert!(matches!(error, AuthError::Unsupported { .. }), "{header}: {error}");
        }
    }

    #[test]
    fn the_choice_of_mechanism_decides_what_may_be_said() {
        let end_point = [7_u8; 32];
        let offered = Some(&end_point[..]);
        assert_eq!(ChannelBinding::mechanisms(offered), ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"]);
        assert_eq!(ChannelBinding::mechanisms(None), ["SCRAM-SHA-256"]);
        assert_eq!(ChannelBinding::chosen(None, MECHANISM_PLUS.as_bytes()), None);
        assert_eq!(ChannelBinding::chosen(offered, b"SCRAM-SHA-1"), None);
        let bound = "p=tls-server-end-point,,";
        for (offered, mechanism, header, accepted) in [
            (offered, MECHANISM_PLUS, bound, true),
            (offered, MECHANISM_PLUS, "n,,", false),
            (offered, MECHANISM_PLUS, "y,,", false),
            (offered, MECHANISM_PLUS, "p=tls-unique,,", false),
            (offered, MECHANISM, "n,,", true),
            (offered, MECHANISM, "y,,", false),
            (offered, MECHANISM, bound, false),
            (None, MECHANISM, "y,,", true),
            (None, MECHANISM, bound, false),
        ] {
            let binding = ChannelBinding::chosen(offered, mechanism.as_bytes()).unwrap();
            let server = ScramServer { binding, ..rfc_server(None) };
            let taken = server.client_first(format!("{header}n=,r=abc").as_bytes());
            assert_eq!(taken.is_ok(), accepted, "{mechanism} {header}");
        }
    }

    #[test]
    fn broken_first_messages() {
        for text in ["", "n,,", "n,,n=", "n,,n=,r=", "n,,r=abc", "n,,n=,r=a c", "n,,n=,r=abc,"] {
            let error = rfc_server(None).client_first(text.as_bytes()).unwrap_err();
            assert_eq!(error.blame(), Blame::Client, "{text}");
        }
    }

    #[test]
    fn tampered_final_messages() {
        let good = format!("c=biws,r={NONCE},{PROOF}");
        let wrong_proof = AuthError::Refused(Refusal::WrongPassword);
        for (from, to, expected) in [
            ("biws", "eSws", None),
            ("biws", "", None),
            ("r=r", "r=s", None),
            ("k0,", ",", None),
            (PROOF, "p=", None),
            ("p=dHzb", "p=", None),
            (PROOF, "v=x", None),
            ("p=dHzb", "p=dHzc", Some(&wrong_proof)),
            (",p=", ",x=y,p=", Some(&wrong_proof)),
        ] {
            let sent = good.replacen(from, to, 1);
            assert_ne!(sent, good);
            let error = rfc_final(None).client_final(sent.as_bytes()).unwrap_err();
            match expected {
                Some(expected) => assert_eq!(&error, expected, "{sent}"),
                None => assert!(matches!(error, AuthError::Malformed { .. }), "{sent}: {error}"),
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn hostile_bytes_never_panic(
            first in "(n,,|y,,|p=x,,)?([a-z]=\\PC*,?)*",
            raw in proptest::collection::vec(any::<u8>(), 0..64),
            last in "(c=biws,)?(r=[!-~]*,)?(p=)?\\PC*",
        ) {
            let verifier = Arc::new(ScramVerifier::from_parts(4096, b"salt", [1; 32], [2; 32]));
            let server = || {
                ScramServer::new(ScramSubject::real(verifier.clone()), ChannelBinding::NotOffered)
                    .unwrap()
            };
            let _ = server().client_first(first.as_bytes());
            let _ = server().client_first(&raw);
            for message in [last.as_bytes(), &raw] {
                let (next, _) = server().client_first(b"n,,n=,r=abc").unwrap();
                prop_assert!(next.client_final(message).is_err());
            }
        }
    }
}
