//! Numbers used once.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::error::AuthError;

/// PostgreSQL's SCRAM_RAW_NONCE_LEN.
const RAW_LEN: usize = 18;

/// A SCRAM nonce: printable ASCII without comma, at least one character.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nonce(String);

impl Nonce {
    /// A fresh nonce of 144 random bits.
    pub fn random() -> Result<Self, AuthError> {
        Ok(Nonce(BASE64_STANDARD.encode(random_bytes::<RAW_LEN>()?)))
    }

    /// A nonce somebody else chose; `None` when it breaks RFC 5802's grammar.
    pub fn parse(text: &str) -> Option<Self> {
        let printable = text.bytes().all(|b| matches!(b, 0x21..=0x7e) && b != b',');
        (printable && !text.is_empty()).then(|| Nonce(text.to_owned()))
    }

    /// The characters on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// This nonce with the server's part behind it.
    pub(super) fn followed_by(&self, other: &Nonce) -> Nonce {
        Nonce([self.as_str(), other.as_str()].concat())
    }

    /// Whether this is `first` with something behind it.
    pub(super) fn extends(&self, first: &Nonce) -> bool {
        self.0.len() > first.0.len() && self.0.starts_with(&first.0)
    }
}

/// Random bytes from the operating system.
pub(super) fn random_bytes<const N: usize>() -> Result<[u8; N], AuthError> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|_| AuthError::NoRandomness)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_nonces_are_valid_and_differ() {
        let (one, other) = (Nonce::random().unwrap(), Nonce::random().unwrap());
        assert_ne!(one, other);
        assert_eq!(Nonce::parse(one.as_str()), Some(one));
    }

    #[test]
    fn the_grammar_is_rfc_5802s() {
        for bad in ["", "a,b", "a b", "tab\t", "nul\0", "ü", "\x7f"] {
            assert_eq!(Nonce::parse(bad), None, "{bad:?}");
        }
        assert!(Nonce::parse("!~=x").is_some());
    }

    #[test]
    fn extending_needs_more_characters() {
        let first = Nonce::parse("abc").unwrap();
        assert!(!first.extends(&first));
        assert!(first.followed_by(&first).extends(&first));
        assert!(!Nonce::parse("xabc").unwrap().extends(&first));
    }
}
