//! Which credential answers what a server asks for.

use super::error::AuthError;
use super::md5::Md5Hash;
use super::scram::ScramKeys;
use super::scram_client::{ClientBinding, ScramClient, ScramCredential};
use super::stored::StoredSecret;
use crate::secret::Secret;

/// What there is to log in to a server with.
#[derive(Clone, Debug)]
pub enum ServerCredential {
    /// Nothing: only a server that trusts can be used.
    Nothing,
    /// A secret from a file or from the configuration.
    Stored(StoredSecret),
    /// The keys the client's own SCRAM login left behind.
    Keys(ScramKeys),
}

impl ServerCredential {
    /// Answers AuthenticationCleartextPassword: the password to send.
    pub fn cleartext(&self) -> Result<&Secret, AuthError> {
        match self {
            ServerCredential::Stored(StoredSecret::Plain(password)) => Ok(password),
            _ => Err(self.wrong_type("a cleartext password")),
        }
    }

    /// Answers AuthenticationMD5Password: the response to send for `user`.
    pub fn md5(&self, user: &str, salt: [u8; 4]) -> Result<Secret, AuthError> {
        let hash = match self {
            ServerCredential::Stored(StoredSecret::Plain(password)) => {
                Md5Hash::of(user, password.expose())
            }
            ServerCredential::Stored(StoredSecret::Md5(hash)) => hash.clone(),
            _ => return Err(self.wrong_type("MD5")),
        };
        Ok(Secret::new(hash.response(salt)))
    }

    /// Answers AuthenticationSASL with the mechanism of `binding` on its list.
    pub fn scram(&self, binding: ClientBinding) -> Result<ScramClient, AuthError> {
        let credential = match self {
            ServerCredential::Stored(StoredSecret::Plain(password)) => {
                ScramCredential::Password(password.clone())
            }
            ServerCredential::Keys(keys) => ScramCredential::Keys(keys.clone()),
            _ => return Err(self.wrong_type("SCRAM")),
        };
        ScramClient::new(credential, binding)
    }

    /// True for a verifier: good for recognising a client, not for logging in.
    pub fn is_verifier(&self) -> bool {
        matches!(self, ServerCredential::Stored(StoredSecret::Scram(_)))
    }

    fn wrong_type(&self, asked: &'static str) -> AuthError {
        let have = match self {
            ServerCredential::Nothing => "no password",
            ServerCredential::Stored(secret) => secret.kind(),
            ServerCredential::Keys(_) => "only the keys of the client's SCRAM login",
        };
        AuthError::WrongPasswordType { asked, have }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scram::ScramVerifier;
    use std::sync::Arc;

    const HASH: &str = "md5e56586342e82bfc415eff843d7a4b8fa";

    #[test]
    fn the_whole_table() {
        let verifier = Arc::new(ScramVerifier::from_password("x", 1, b"salt"));
        let keys = ScramKeys { client_key: [1; 32], server_key: [2; 32] };
        for (credential, cleartext, md5, scram) in [
            (ServerCredential::Nothing, false, false, false),
            (ServerCredential::Stored(StoredSecret::parse("correct horse")), true, true, true),
            (ServerCredential::Stored(StoredSecret::parse(HASH)), false, true, false),
            (ServerCredential::Stored(StoredSecret::Scram(verifier)), false, false, false),
            (ServerCredential::Keys(keys), false, false, true),
        ] {
            assert_eq!(credential.cleartext().is_ok(), cleartext, "{credential:?}");
            assert_eq!(credential.md5("bob", [1; 4]).is_ok(), md5, "{credential:?}");
            assert_eq!(credential.scram(ClientBinding::Unable).is_ok(), scram, "{credential:?}");
        }
    }

    #[test]
    fn a_hash_answers_like_its_password() {
        let answer = |text| {
            ServerCredential::Stored(StoredSecret::parse(text)).md5("bob", [1, 2, 3, 4]).unwrap()
        };
        assert_eq!(answer(HASH), answer("correct horse"));
    }

    #[test]
    fn the_error_names_both_sides() {
        let error = ServerCredential::Stored(StoredSecret::parse(HASH))
            .scram(ClientBinding::Unable)
            .unwrap_err();
        let text = "wrong password type: the server asks for SCRAM, but there is an MD5 hash";
        assert_eq!(error.to_string(), text);
    }
}
