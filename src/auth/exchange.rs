//! Which proof a client has to give.

use super::error::Refusal;
use super::stored::StoredSecret;
use crate::config::AuthType;

/// How a login goes on after the start-up message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange {
    /// No proof is asked for.
    None,
    /// AuthenticationMD5Password: [`super::Md5Server`].
    Md5,
    /// AuthenticationSASL: [`super::ScramServer`].
    Scram,
    /// There is nothing to ask: the client is turned away.
    Refuse(Refusal),
}

/// Chooses the exchange for a user with this secret; `None` when the user is unknown.
///
/// Users who cannot succeed still get an exchange where there is one, so that they cannot be
/// told from those who can.
pub fn exchange_for(auth_type: AuthType, secret: Option<&StoredSecret>) -> Exchange {
    match (auth_type, secret) {
        (AuthType::Trust, Some(_)) => Exchange::None,
        (AuthType::Trust, None) => Exchange::Refuse(Refusal::UnknownUser),
        (AuthType::Md5, Some(StoredSecret::Scram(_))) => Exchange::Scram,
        (AuthType::Md5, _) => Exchange::Md5,
        (AuthType::ScramSha256, _) => Exchange::Scram,
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
        let table = [AuthType::Trust, AuthType::Md5, AuthType::ScramSha256].map(|auth_type| {
            [None, Some(&plain), Some(&md5), Some(&scram)].map(|s| exchange_for(auth_type, s))
        });
        use Exchange::{Md5, None as Free, Refuse, Scram};
        let expected = [
            [Refuse(Refusal::UnknownUser), Free, Free, Free],
            [Md5, Md5, Md5, Scram],
            [Scram, Scram, Scram, Scram],
        ];
        assert_eq!(table, expected);
    }
}
