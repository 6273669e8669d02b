//! A user's secret in the notation PostgreSQL and the userlist share.

use std::fmt;
use std::sync::Arc;

use super::md5::Md5Hash;
use super::scram::ScramVerifier;
use crate::secret::Secret;

/// What is known of a user's password.
#[derive(Clone, PartialEq, Eq)]
pub enum StoredSecret {
    /// The password itself.
    Plain(Secret),
    /// `md5` and 32 hex digits.
    Md5(Md5Hash),
    /// `SCRAM-SHA-256$…`: enough to recognise the password, not enough to log in with.
    Scram(Arc<ScramVerifier>),
}

/// Sorts of secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    /// The password itself.
    Plain,
    /// An MD5 hash.
    Md5,
    /// A SCRAM verifier.
    Scram,
}

impl StoredSecret {
    /// Reads a secret. What is neither an MD5 hash nor a SCRAM verifier to the letter is a
    /// password, as PostgreSQL decides too.
    pub fn parse(text: &str) -> Self {
        if let Some(hash) = Md5Hash::parse(text) {
            StoredSecret::Md5(hash)
        } else if let Some(verifier) = ScramVerifier::parse(text) {
            StoredSecret::Scram(Arc::new(verifier))
        } else {
            StoredSecret::Plain(Secret::new(text))
        }
    }

    /// What sort of secret it is.
    pub fn sort(&self) -> SecretKind {
        match self {
            StoredSecret::Plain(_) => SecretKind::Plain,
            StoredSecret::Md5(_) => SecretKind::Md5,
            StoredSecret::Scram(_) => SecretKind::Scram,
        }
    }

    /// What kind of secret it is, for log lines.
    pub fn kind(&self) -> &'static str {
        match self {
            StoredSecret::Plain(_) => "a plain password",
            StoredSecret::Md5(_) => "an MD5 hash",
            StoredSecret::Scram(_) => "a SCRAM verifier",
        }
    }
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StoredSecret::Plain(_) => "Plain(***)",
            StoredSecret::Md5(_) => "Md5(***)",
            StoredSecret::Scram(_) => "Scram(***)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_misses_are_passwords() {
        for text in [
            "",
            "md5",
            "md5XYZ",
            "SCRAM-SHA-256$",
            "SCRAM-SHA-256$4096:c2FsdA==$short:short",
            "scram-sha-256",
        ] {
            assert_eq!(StoredSecret::parse(text), StoredSecret::Plain(Secret::new(text)));
        }
    }

    #[test]
    fn debug_is_masked() {
        let verifier = ScramVerifier::from_password("hunter2", 1, b"salt").notation();
        let md5 = "md5e56586342e82bfc415eff843d7a4b8fa";
        for (text, shown) in
            [("hunter2", "Plain(***)"), (md5, "Md5(***)"), (verifier.expose(), "Scram(***)")]
        {
            assert_eq!(format!("{:?}", StoredSecret::parse(text)), shown);
        }
    }
}
