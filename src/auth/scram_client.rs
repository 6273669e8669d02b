//! SCRAM as the client: logs in to a server, and makes sure that it is the right one.
//!
//! [`ScramClient`] gives client-first and takes server-first, [`ScramClientFinal`] takes
//! server-final; the steps that change something consume themselves.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use subtle::ConstantTimeEq;

use super::attributes::{Attributes, message_text};
use super::error::{AuthError, Blame};
use super::nonce::Nonce;
use super::scram::{
    BOUND_FLAG, Key, MECHANISM, MECHANISM_PLUS, ScramKeys, decimal, decode_key, server_signature,
};
use crate::secret::Secret;

/// The most work a server may ask for: 244 times PostgreSQL's default, a fraction of a second.
pub const MAX_ITERATIONS: u32 = 1_000_000;

/// The longest part of a server's reason that is worth a log line.
const MAX_REASON_LEN: usize = 100;

/// What logs in.
#[derive(Clone, Debug)]
pub enum ScramCredential {
    /// A password.
    Password(Secret),
    /// Keys a client's own login left behind; they fit only a server that stores the same
    /// verifier.
    Keys(ScramKeys),
}

/// Whether the exchange is bound to the TLS channel under it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientBinding {
    /// There is no TLS, or it is not to be used for this.
    #[default]
    Unable,
    /// There is TLS, and the server offers no binding. It is told so: if it did offer, somebody took that away.
    NotOffered,
    /// Bound to this: `tls-server-end-point`.
    EndPoint(Box<[u8]>),
}

impl ClientBinding {
    /// The mechanism that goes with it.
    pub fn mechanism(&self) -> &'static str {
        match self {
            ClientBinding::EndPoint(_) => MECHANISM_PLUS,
            ClientBinding::Unable | ClientBinding::NotOffered => MECHANISM,
        }
    }

    fn gs2_header(&self) -> String {
        match self {
            ClientBinding::Unable => "n,,".to_owned(),
            ClientBinding::NotOffered => "y,,".to_owned(),
            ClientBinding::EndPoint(_) => format!("{BOUND_FLAG},,"),
        }
    }

    /// What `c=` says.
    fn bound_header(&self) -> String {
        let mut bytes = self.gs2_header().into_bytes();
        if let ClientBinding::EndPoint(end_point) = self {
            bytes.extend_from_slice(end_point);
        }
        BASE64_STANDARD.encode(bytes)
    }
}

/// Sends client-first, awaits server-first.
#[derive(Debug)]
pub struct ScramClient {
    credential: ScramCredential,
    binding: ClientBinding,
    nonce: Nonce,
}

/// Awaits server-final.
#[derive(Debug)]
pub struct ScramClientFinal {
    signature: ExpectedSignature,
}

struct ExpectedSignature(Key);

/// What matters in server-first.
struct Challenge {
    nonce: Nonce,
    salt: Vec<u8>,
    iterations: u32,
}

impl ScramClient {
    /// Begins an exchange.
    pub fn new(credential: ScramCredential, binding: ClientBinding) -> Result<Self, AuthError> {
        Ok(Self::with_nonce(credential, binding, Nonce::random()?))
    }

    /// [`ScramClient::new`] with a nonce that is known beforehand.
    pub fn with_nonce(credential: ScramCredential, binding: ClientBinding, nonce: Nonce) -> Self {
        ScramClient { credential, binding, nonce }
    }

    /// The message that opens the exchange. The user name stays empty, as libpq leaves it: the
    /// one of the start-up message counts.
    pub fn client_first(&self) -> Vec<u8> {
        format!("{}{}", self.binding.gs2_header(), self.bare()).into_bytes()
    }

    /// Takes server-first; gives client-final.
    ///
    /// With a password this computes as many HMACs as the server asks for, about a millisecond
    /// for the usual 4096, so it does not belong on a thread that relays traffic.
    pub fn server_first(self, message: &[u8]) -> Result<(ScramClientFinal, Vec<u8>), AuthError> {
        let text = message_text(Blame::Server, message)?;
        let challenge = Challenge::parse(text, &self.nonce)?;
        let (bare, bound_header) = (self.bare(), self.binding.bound_header());
        let keys = match self.credential {
            ScramCredential::Keys(keys) => keys,
            ScramCredential::Password(password) => {
                ScramKeys::derive(password.expose(), &challenge.salt, challenge.iterations)
            }
        };
        let without_proof = format!("c={bound_header},r={}", challenge.nonce.as_str());
        let auth_message = format!("{bare},{text},{without_proof}");
        let proof = BASE64_STANDARD.encode(keys.client_proof(auth_message.as_bytes()));
        let signature =
            ExpectedSignature(server_signature(&keys.server_key, auth_message.as_bytes()));
        let client_final = format!("{without_proof},p={proof}").into_bytes();
        Ok((ScramClientFinal { signature }, client_final))
    }

    fn bare(&self) -> String {
        format!("n=,r={}", self.nonce.as_str())
    }
}

impl ScramClientFinal {
    /// Takes server-final. Only after this has succeeded is the server known to be genuine; an
    /// AuthenticationOk before it is an impostor's.
    pub fn server_final(self, message: &[u8]) -> Result<(), AuthError> {
        let text = message_text(Blame::Server, message)?;
        refuse_error(text)?;
        let mut attributes = Attributes::new(Blame::Server, text);
        let signature = decode_key(attributes.expect('v')?)
            .ok_or(malformed("SCRAM signature is not 32 bytes of base64"))?;
        attributes.skip_extensions()?;
        let genuine: bool = signature.ct_eq(&self.signature.0).into();
        if genuine { Ok(()) } else { Err(AuthError::ServerNotGenuine) }
    }
}

impl Challenge {
    fn parse(text: &str, client_nonce: &Nonce) -> Result<Self, AuthError> {
        refuse_error(text)?;
        let mut attributes = Attributes::new(Blame::Server, text);
        let nonce = attributes.expect_nonce()?;
        if !nonce.extends(client_nonce) {
            return Err(malformed("SCRAM nonce does not extend the client's"));
        }
        let salt = BASE64_STANDARD.decode(attributes.expect('s')?).unwrap_or_default();
        if salt.is_empty() {
            return Err(malformed("SCRAM salt is not base64, or empty"));
        }
        let iterations = bounded_iterations(attributes.expect('i')?)?;
        attributes.skip_extensions()?;
        Ok(Challenge { nonce, salt, iterations })
    }
}

impl std::fmt::Debug for ExpectedSignature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ExpectedSignature(***)")
    }
}

fn bounded_iterations(text: &str) -> Result<u32, AuthError> {
    let iterations = decimal(text).ok_or(malformed("SCRAM iteration count is no number"))?;
    if iterations > MAX_ITERATIONS {
        return Err(AuthError::TooManyIterations { max: MAX_ITERATIONS });
    }
    Ok(iterations)
}

/// A server may say no with `e=reason` in place of an answer.
fn refuse_error(text: &str) -> Result<(), AuthError> {
    let Some(reason) = text.strip_prefix("e=") else { return Ok(()) };
    let reason = reason.split(',').next().unwrap_or_default();
    let reason = reason.chars().filter(|c| matches!(c, ' '..='~')).take(MAX_REASON_LEN).collect();
    Err(AuthError::RefusedByServer { reason })
}

fn malformed(what: &'static str) -> AuthError {
    AuthError::Malformed { from: Blame::Server, what }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::error::Refusal;
    use crate::auth::scram::ScramVerifier;
    use crate::auth::scram_server::{ChannelBinding, ScramServer, ScramSubject};
    use proptest::prelude::*;
    use std::sync::Arc;

    fn client(password: &str) -> ScramClient {
        let credential = ScramCredential::Password(Secret::new(password));
        ScramClient::with_nonce(credential, ClientBinding::Unable, Nonce::parse("abc").unwrap())
    }

    fn server(verifier: &ScramVerifier) -> ScramServer {
        let subject = ScramSubject::real(Arc::new(verifier.clone()));
        ScramServer::new(subject, ChannelBinding::NotOffered).unwrap()
    }

    /// Runs a whole exchange; gives the keys the server learned.
    fn login(
        credential: ScramCredential,
        verifier: &ScramVerifier,
    ) -> Result<ScramKeys, AuthError> {
        let client = ScramClient::new(credential, ClientBinding::Unable)?;
        let (server, server_first) = server(verifier).client_first(&client.client_first())?;
        let (client, client_final) = client.server_first(&server_first)?;
        let success = server.client_final(&client_final)?;
        client.server_final(&success.server_final)?;
        Ok(success.keys)
    }

    #[test]
    fn both_sides_agree_and_the_keys_can_log_in_again() {
        let verifier = ScramVerifier::from_password("pässword", 10, b"0123456789abcdef");
        let password = ScramCredential::Password(Secret::new("pässword"));
        let keys = login(password, &verifier).unwrap();
        login(ScramCredential::Keys(keys.clone()), &verifier).unwrap();

        let resalted = ScramVerifier::from_password("pässword", 10, b"another salt");
        let refused = login(ScramCredential::Keys(keys), &resalted).unwrap_err();
        assert_eq!(refused, AuthError::Refused(Refusal::WrongPassword));
    }

    /// A login whose sides believe in these channels.
    fn bound_login(ours: &[u8], theirs: &[u8]) -> Result<(), AuthError> {
        let verifier = Arc::new(ScramVerifier::from_password("x", 1, b"salt"));
        let binding = ClientBinding::EndPoint(ours.into());
        let chosen = ChannelBinding::chosen(Some(theirs), binding.mechanism().as_bytes());
        let server = ScramServer::new(ScramSubject::real(verifier), chosen.unwrap())?;
        let client = ScramClient::new(ScramCredential::Password(Secret::new("x")), binding)?;
        let (server, first) = server.client_first(&client.client_first())?;
        let (client, last) = client.server_first(&first)?;
        client.server_final(&server.client_final(&last)?.server_final)
    }

    #[test]
    fn a_channel_with_somebody_in_between_is_found_out() {
        assert_eq!(bound_login(b"hash", b"hash"), Ok(()));
        assert!(matches!(bound_login(b"hash", b"else"), Err(AuthError::Malformed { .. })));
    }

    #[test]
    fn an_offer_that_was_taken_away_is_found_out() {
        let verifier = Arc::new(ScramVerifier::from_password("x", 1, b"salt"));
        let server = ScramServer::new(ScramSubject::real(verifier), ChannelBinding::Declined);
        let password = ScramCredential::Password(Secret::new("x"));
        let client = ScramClient::new(password, ClientBinding::NotOffered).unwrap();
        let error = server.unwrap().client_first(&client.client_first()).unwrap_err();
        assert!(error.to_string().contains("took the offer away"), "{error}");
    }

    #[test]
    fn wrong_passwords_are_refused() {
        let verifier = ScramVerifier::from_password("right", 10, b"salt");
        for wrong in ["Right", "", "right "] {
            let refused = login(ScramCredential::Password(Secret::new(wrong)), &verifier);
            assert_eq!(refused.unwrap_err(), AuthError::Refused(Refusal::WrongPassword));
        }
    }

    #[test]
    fn an_impostor_without_the_password_is_found_out() {
        let (client, _) = client("right").server_first(b"r=abcdef,s=c2FsdA==,i=1").unwrap();
        let forged = format!("v={}", BASE64_STANDARD.encode([7; 32]));
        assert_eq!(client.server_final(forged.as_bytes()), Err(AuthError::ServerNotGenuine));
    }

    #[test]
    fn hostile_first_messages() {
        let blame = |text: &str| client("x").server_first(text.as_bytes()).unwrap_err().blame();
        for text in [
            "",
            "r=abc,s=c2FsdA==,i=1",
            "r=abX1,s=c2FsdA==,i=1",
            "r=abc\u{e9},s=c2FsdA==,i=1",
            "r=abc1,s=,i=1",
            "r=abc1,s=*,i=1",
            "r=abc1,s=c2FsdA==",
            "r=abc1,s=c2FsdA==,i=0",
            "r=abc1,s=c2FsdA==,i=-1",
            "r=abc1,s=c2FsdA==,i=1000001",
            "r=abc1,s=c2FsdA==,i=4294967297",
            "r=abc1,s=c2FsdA==,i=1,",
            "m=x,r=abc1,s=c2FsdA==,i=1",
            "e=other-error",
        ] {
            assert_eq!(blame(text), Blame::Server, "{text}");
        }
        let endless = format!("r=abc{},s=c2FsdA==,i=1", "x".repeat(5000));
        assert_eq!(blame(&endless), Blame::Server);
        client("x").server_first(b"r=abc1,s=c2FsdA==,i=1,x=y").unwrap();
    }

    #[test]
    fn a_servers_reason_is_cleaned() {
        let (client, _) = client("x").server_first(b"r=abc1,s=c2FsdA==,i=1").unwrap();
        let message = format!("e=invalid\n\u{1b}[0m{},v=x", "y".repeat(500));
        let Err(AuthError::RefusedByServer { reason }) = client.server_final(message.as_bytes())
        else {
            panic!("an error was expected")
        };
        assert!(reason.starts_with("invalid[0my") && reason.len() == MAX_REASON_LEN, "{reason}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn hostile_bytes_never_panic(
            first in "(r=abc)?\\PC*(,s=c2FsdA==)?(,i=[0-9]{0,4})?\\PC*",
            last in "(v=|e=)?\\PC*",
            raw in proptest::collection::vec(any::<u8>(), 0..64),
        ) {
            for message in [first.as_bytes(), &raw] {
                let _ = client("x").server_first(message);
            }
            for message in [last.as_bytes(), &raw] {
                let (next, _) = client("x").server_first(b"r=abc1,s=c2FsdA==,i=1").unwrap();
                prop_assert!(next.server_final(message).is_err());
            }
        }

        #[test]
        fn every_password_logs_in(password in "\\PC{1,20}", salt: [u8; 16]) {
            let verifier = ScramVerifier::from_password(&password, 2, &salt);
            prop_assert!(login(ScramCredential::Password(Secret::new(password)), &verifier).is_ok());
        }
    }
}
