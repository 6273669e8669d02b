//! The arithmetic both sides of SCRAM-SHA-256 share (RFC 5802, RFC 7677).

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::saslprep;
use crate::secret::Secret;

/// The mechanism's name, on the wire and in stored verifiers.
pub const MECHANISM: &str = "SCRAM-SHA-256";

/// The same with the exchange bound to the TLS channel under it.
pub const MECHANISM_PLUS: &str = "SCRAM-SHA-256-PLUS";

/// How a bound message begins. Of the types of channel binding PostgreSQL knows this one alone.
pub(super) const BOUND_FLAG: &str = "p=tls-server-end-point";

/// PostgreSQL's default work factor, used wherever pgusher itself makes a verifier.
pub const DEFAULT_ITERATIONS: u32 = 4096;

/// PostgreSQL's salt length in bytes.
pub(super) const SALT_LEN: usize = 16;

/// A stored salt longer than this is no salt; it keeps server-first messages small.
const MAX_SALT_LEN: usize = 1024;

/// Any key, signature or proof of SCRAM-SHA-256.
pub type Key = [u8; 32];

/// ClientKey and ServerKey: enough to log in wherever the same salt and iterations are stored.
#[derive(Clone)]
pub struct ScramKeys {
    /// Proves the client.
    pub client_key: Key,
    /// Proves the server.
    pub server_key: Key,
}

impl ScramKeys {
    /// Derives the keys of a password; costs `iterations` HMACs.
    pub fn derive(password: &str, salt: &[u8], iterations: u32) -> Self {
        let password = saslprep::prepare(password);
        let salted: Key =
            pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, iterations);
        ScramKeys {
            client_key: sign(&salted, b"Client Key"),
            server_key: sign(&salted, b"Server Key"),
        }
    }

    /// What proves knowledge of the ClientKey in the exchange `auth_message` describes.
    pub(super) fn client_proof(&self, auth_message: &[u8]) -> Key {
        xor(&self.client_key, &sign(&hash(&self.client_key), auth_message))
    }
}

impl fmt::Debug for ScramKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ScramKeys(***)")
    }
}

/// What a server stores instead of a password.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramVerifier {
    iterations: u32,
    salt: Box<[u8]>,
    stored_key: Key,
    server_key: Key,
}

impl ScramVerifier {
    /// Derives the verifier of a password; costs `iterations` HMACs.
    pub fn from_password(password: &str, iterations: u32, salt: &[u8]) -> Self {
        let keys = ScramKeys::derive(password, salt, iterations);
        Self::from_parts(iterations, salt, hash(&keys.client_key), keys.server_key)
    }

    pub(super) fn from_parts(
        iterations: u32,
        salt: &[u8],
        stored_key: Key,
        server_key: Key,
    ) -> Self {
        ScramVerifier { iterations, salt: salt.into(), stored_key, server_key }
    }

    /// Reads `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(MECHANISM)?.strip_prefix('$')?;
        let (work, keys) = rest.split_once('$')?;
        let (iterations, salt) = work.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        let salt = BASE64_STANDARD.decode(salt).ok()?;
        if salt.is_empty() || salt.len() > MAX_SALT_LEN {
            return None;
        }
        Some(Self::from_parts(
            decimal(iterations)?,
            &salt,
            decode_key(stored_key)?,
            decode_key(server_key)?,
        ))
    }

    /// The stored notation, which [`ScramVerifier::parse`] reads.
    pub fn notation(&self) -> Secret {
        Secret::new(format!(
            "{MECHANISM}${}:{}${}:{}",
            self.iterations,
            BASE64_STANDARD.encode(&self.salt),
            BASE64_STANDARD.encode(self.stored_key),
            BASE64_STANDARD.encode(self.server_key),
        ))
    }

    /// The work factor.
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// The salt.
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// The keys, if `proof` is right for this exchange; compared in constant time.
    pub(super) fn open(&self, proof: &Key, auth_message: &[u8]) -> Option<ScramKeys> {
        let client_key = xor(proof, &sign(&self.stored_key, auth_message));
        let fits: bool = hash(&client_key).ct_eq(&self.stored_key).into();
        fits.then_some(ScramKeys { client_key, server_key: self.server_key })
    }
}

impl fmt::Debug for ScramVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramVerifier")
            .field("iterations", &self.iterations)
            .field("keys", &"***")
            .finish()
    }
}

/// The server's signature of an exchange.
pub(super) fn server_signature(server_key: &Key, auth_message: &[u8]) -> Key {
    sign(server_key, auth_message)
}

/// HMAC-SHA-256.
pub(super) fn sign(key: &[u8], message: &[u8]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of every length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

/// Reads a number as the protocol writes it: digits only, positive, PostgreSQL's `int` at most.
pub(super) fn decimal(text: &str) -> Option<u32> {
    if !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|&n| (1..=i32::MAX as u32).contains(&n))
}

/// Reads a key from base64.
pub(super) fn decode_key(text: &str) -> Option<Key> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

fn hash(key: &Key) -> Key {
    Sha256::digest(key).into()
}

fn xor(a: &Key, b: &Key) -> Key {
    std::array::from_fn(|i| a[i] ^ b[i])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `rolpassword` of three roles in PostgreSQL 15.
    const FROM_POSTGRES: [(&str, &str); 3] = [
        (
            "correct horse",
            "SCRAM-SHA-256$4096:7yT+09977gjEEl+vy4erzA==$0chVvnUQnvN9JIuNowS9DwTSaTSCzFvRxgs6zKw7htw=:V0vMrikD4oViX1zB6hFcj+4lhSC/rQE+dvHAraNyGE0=",
        ),
        (
            "p\u{aa}ss\u{ad}word",
            "SCRAM-SHA-256$4096:QyWw/5pD3agGziEOQt5SpQ==$K1VZAe0p0yg19lGKUsaNDVynfIt177ub2aOGJyJpgOE=:XmZHQktUfsWtw31EDjQvlSJEWNxWJRIEIprCT/LST+c=",
        ),
        (
            "control\u{7}char",
            "SCRAM-SHA-256$4096:XtOhHaZE1ec20eNFOuP3cQ==$MVqis5mD+Wl8Gd/KuOca2l+sAxMNjLBvfNHiNUjU98g=:pgjnsMVUGozrz4oxuLjnBkUtZPGh4ypNPp1veytzuDU=",
        ),
    ];

    #[test]
    fn agrees_with_postgresql() {
        for (password, stored) in FROM_POSTGRES {
            let verifier = ScramVerifier::parse(stored).unwrap();
            let made =
                ScramVerifier::from_password(password, verifier.iterations(), verifier.salt());
            assert_eq!(made, verifier, "{password:?}");
            assert_eq!(verifier.notation().expose(), stored);
        }
    }

    #[test]
    fn broken_verifiers_are_not_read() {
        let (_, good) = FROM_POSTGRES[0];
        for (from, to) in [
            ("4096", "0"),
            ("4096", "-1"),
            ("4096", "+1"),
            ("4096", ""),
            ("4096", "2147483648"),
            ("4096", "99999999999999999999"),
            ("7yT+09977gjEEl+vy4erzA==", ""),
            ("7yT+09977gjEEl+vy4erzA==", "*"),
            ("htw=:", "htw="),
            ("htw=", "htw"),
            ("V0v", ""),
            ("SHA-256", "SHA-1"),
        ] {
            assert_eq!(ScramVerifier::parse(&good.replacen(from, to, 1)), None, "{from} -> {to}");
        }
    }

    proptest! {
        #[test]
        fn parse_never_panics(text in "(SCRAM-SHA-256\\$)?[0-9a-zA-Z+/=:$]{0,200}|\\PC*") {
            let _ = ScramVerifier::parse(&text);
        }

        #[test]
        fn notation_round_trips(
            iterations in 1..=i32::MAX as u32,
            salt in proptest::collection::vec(any::<u8>(), 1..100),
            stored_key: Key,
            server_key: Key,
        ) {
            let verifier = ScramVerifier::from_parts(iterations, &salt, stored_key, server_key);
            let notation = verifier.notation();
            prop_assert_eq!(ScramVerifier::parse(notation.expose()), Some(verifier));
        }
    }
}
