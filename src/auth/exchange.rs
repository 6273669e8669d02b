//! Which exchange proves that a client knows its password.

use super::stored::{SecretKind, StoredSecret};

/// How a password may be proved, as files and settings say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// By itself.
    Plain,
    /// By MD5, or by SCRAM where the stored secret is a SCRAM verifier.
    Md5,
    /// By SCRAM.
    Scram,
}

/// How a login goes on after the start-up message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// AuthenticationCleartextPassword: [`super::judge_plain`].
    Plain,
    /// AuthenticationMD5Password: [`super::Md5Server`].
    Md5,
    /// AuthenticationSASL: [`super::ScramServer`].
    Scram,
}

/// Chooses the exchange for a user with this secret; `None` when the user is unknown.
///
/// Users who cannot succeed get an exchange, too, so that they cannot be told from those who can: users who are not
/// known look like users with a secret of the `usual` kind.
pub fn exchange_for(asked: Asked, secret: Option<&StoredSecret>, usual: SecretKind) -> Exchange {
    match (asked, secret.map_or(usual, StoredSecret::sort)) {
        (Asked::Plain, _) => Exchange::Plain,
        (Asked::Md5, SecretKind::Scram) => Exchange::Scram,
        (Asked::Md5, _) => Exchange::Md5,
        (Asked::Scram, _) => Exchange::Scram,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::scram::ScramVerifier;
    use std::sync::Arc;

    #[test]
    fn the_whole_table() {
        let plain = StoredSecret::parse("secret");
        let md5 = StoredSecret::parse("md5e56586342e82bfc415eff843d7a4b8fa");
        let verifier = ScramVerifier::from_password("secret", 1, b"salt");
        let scram = StoredSecret::Scram(Arc::new(verifier));
        let table = [Asked::Plain, Asked::Md5, Asked::Scram].map(|asked| {
            [Some(&plain), Some(&md5), Some(&scram)]
                .map(|secret| exchange_for(asked, secret, SecretKind::Scram))
        });
        use Exchange::{Md5, Plain, Scram};
        assert_eq!(table, [[Plain, Plain, Plain], [Md5, Md5, Scram], [Scram, Scram, Scram]]);
    }

    #[test]
    fn unknown_users_look_usual() {
        use SecretKind::{Md5, Plain, Scram};
        let unknown = |asked| [Plain, Md5, Scram].map(|usual| exchange_for(asked, None, usual));
        assert_eq!(unknown(Asked::Plain), [Exchange::Plain; 3]);
        assert_eq!(unknown(Asked::Md5), [Exchange::Md5, Exchange::Md5, Exchange::Scram]);
        assert_eq!(unknown(Asked::Scram), [Exchange::Scram; 3]);
    }
}
