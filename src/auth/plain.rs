//! A password that comes as it is.

use std::sync::Arc;

use subtle::ConstantTimeEq;

use super::error::{AuthError, Blame, Refusal};
use super::md5::Md5Hash;
use super::scram::ScramVerifier;
use super::scram_client::MAX_ITERATIONS;
use super::stored::{SecretKind, StoredSecret};

/// Judges a password. Users who are not known cost as much work as those with a secret of the `usual` kind.
///
/// Costs as many HMACs as the stored verifier has iterations, so it does not belong on a thread that relays traffic.
///
/// # Errors
/// Why the client is turned away.
pub fn judge_plain(
    user: &str,
    secret: Option<&StoredSecret>,
    usual: SecretKind,
    mock: &Arc<ScramVerifier>,
    password: &[u8],
) -> Result<(), AuthError> {
    let Ok(password) = std::str::from_utf8(password) else {
        return Err(AuthError::Malformed { from: Blame::Client, what: "password is not UTF-8" });
    };
    let fits = match (secret, usual) {
        (Some(StoredSecret::Plain(known)), _) => same(known.expose(), password),
        (Some(StoredSecret::Md5(hash)), _) => hash.is_of(user, password),
        (Some(StoredSecret::Scram(verifier)), _) => {
            if verifier.iterations() > MAX_ITERATIONS {
                return Err(AuthError::TooManyIterations { max: MAX_ITERATIONS });
            }
            verifier.is_of(password)
        }
        (None, SecretKind::Plain) => same(user, password) & false,
        (None, SecretKind::Md5) => Md5Hash::of(user, "").is_of(user, password) & false,
        (None, SecretKind::Scram) => mock.is_of(password) & false,
    };
    let refused = match (secret, fits) {
        // An empty password is none, whatever is stored.
        _ if password.is_empty() => Refusal::EmptyPassword,
        (None, _) => Refusal::UnknownUser,
        (Some(_), false) => Refusal::WrongPassword,
        (Some(_), true) => return Ok(()),
    };
    Err(AuthError::Refused(refused))
}

/// Whether two texts are the same, in the same time wherever they differ.
fn same(known: &str, shown: &str) -> bool {
    known.as_bytes().ct_eq(shown.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_secret() {
        let verifier = Arc::new(ScramVerifier::from_password("right", 2, b"salt"));
        let mock = Arc::clone(&verifier);
        let judge = |secret: Option<&StoredSecret>, password: &str| {
            judge_plain("bob", secret, SecretKind::Scram, &mock, password.as_bytes())
        };
        let md5 = StoredSecret::Md5(Md5Hash::of("bob", "right"));
        for secret in [StoredSecret::parse("right"), md5, StoredSecret::Scram(verifier)] {
            assert_eq!(judge(Some(&secret), "right"), Ok(()));
            let wrong = Err(AuthError::Refused(Refusal::WrongPassword));
            assert_eq!(judge(Some(&secret), "wrong"), wrong);
            let empty = Err(AuthError::Refused(Refusal::EmptyPassword));
            assert_eq!(judge(Some(&secret), ""), empty);
        }
        let unknown = Err(AuthError::Refused(Refusal::UnknownUser));
        assert_eq!(judge(None, "right"), unknown, "even when the stand-in fits");
        let empty = StoredSecret::parse("");
        assert!(judge(Some(&empty), "").is_err());
    }

    #[test]
    fn a_verifier_that_costs_too_much_is_not_tried() {
        let huge = ScramVerifier::from_parts(u32::MAX / 2, b"salt", [0; 32], [0; 32]);
        let huge = Arc::new(huge);
        let secret = StoredSecret::Scram(Arc::clone(&huge));
        let judged = judge_plain("bob", Some(&secret), SecretKind::Plain, &huge, b"x");
        assert_eq!(judged, Err(AuthError::TooManyIterations { max: MAX_ITERATIONS }));
    }
}
