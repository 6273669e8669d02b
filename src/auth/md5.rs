//! PostgreSQL's md5 password scheme: `md5(md5(password + user) + salt)`, each in hex.

use std::fmt;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use super::error::{AuthError, Refusal};
use super::nonce::random_bytes;
use super::stored::StoredSecret;

const PREFIX: &str = "md5";

/// `md5(password + user)` as 32 hex digits: what PostgreSQL stores, and as good as the password.
#[derive(Clone, PartialEq, Eq)]
pub struct Md5Hash([u8; 32]);

impl Md5Hash {
    /// Hashes a password the way PostgreSQL stores it.
    pub fn of(user: &str, password: &str) -> Self {
        Md5Hash(hex_digest(&[password.as_bytes(), user.as_bytes()]))
    }

    /// Reads the stored notation, `md5` and 32 lower-case hex digits.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 32] = text.strip_prefix(PREFIX)?.as_bytes().try_into().ok()?;
        let is_hex = digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        is_hex.then_some(Md5Hash(digits))
    }

    /// The PasswordMessage that answers an AuthenticationMD5Password with `salt`.
    pub fn response(&self, salt: [u8; 4]) -> String {
        let digits = hex_digest(&[&self.0, &salt]);
        let mut text = String::with_capacity(PREFIX.len() + digits.len());
        text.push_str(PREFIX);
        text.extend(digits.iter().map(|&b| char::from(b)));
        text
    }

    /// Whether it is the hash of this password; takes the same time wherever they differ.
    pub fn is_of(&self, user: &str, password: &str) -> bool {
        Md5Hash::of(user, password).0.ct_eq(&self.0).into()
    }

    /// Whether `response` answers `salt`; takes the same time wherever they differ.
    pub fn accepts(&self, salt: [u8; 4], response: &[u8]) -> bool {
        self.response(salt).as_bytes().ct_eq(response).into()
    }
}

impl fmt::Debug for Md5Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Md5Hash(***)")
    }
}

/// An md5 exchange with a client: the salt is out, the response is awaited.
#[derive(Debug)]
pub struct Md5Server {
    salt: [u8; 4],
    hash: Md5Hash,
    doom: Option<Refusal>,
}

impl Md5Server {
    /// Begins an exchange. For users who cannot succeed it goes through the same motions.
    pub fn new(user: &str, secret: Option<&StoredSecret>) -> Result<Self, AuthError> {
        Ok(Self::with_salt(user, secret, random_bytes()?))
    }

    /// [`Md5Server::new`] with a salt that is known beforehand.
    pub fn with_salt(user: &str, secret: Option<&StoredSecret>, salt: [u8; 4]) -> Self {
        let mock = Md5Hash::of(user, "");
        let (hash, doom) = match secret {
            None => (mock, Some(Refusal::UnknownUser)),
            Some(StoredSecret::Scram(_)) => (mock, Some(Refusal::OnlyScramStored)),
            Some(StoredSecret::Md5(hash)) => (hash.clone(), None),
            Some(StoredSecret::Plain(password)) => {
                let empty = password.expose().is_empty();
                (Md5Hash::of(user, password.expose()), empty.then_some(Refusal::EmptyPassword))
            }
        };
        Md5Server { salt, hash, doom }
    }

    /// What to send in AuthenticationMD5Password.
    pub fn salt(&self) -> [u8; 4] {
        self.salt
    }

    /// Judges the client's PasswordMessage (its text without the closing NUL).
    pub fn response(self, response: &[u8]) -> Result<(), AuthError> {
        let fits = self.hash.accepts(self.salt, response);
        match self.doom {
            Some(refusal) => Err(AuthError::Refused(refusal)),
            None if fits => Ok(()),
            None => Err(AuthError::Refused(Refusal::WrongPassword)),
        }
    }
}

fn hex_digest(parts: &[&[u8]]) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hasher = Md5::new();
    for part in parts {
        hasher.update(part);
    }
    let mut hex = [0; 32];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(hasher.finalize()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    hex
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    /// `rolpassword` of a role `bob` in PostgreSQL 15.
    const FROM_POSTGRES: &str = "md5e56586342e82bfc415eff843d7a4b8fa";

    #[test]
    fn agrees_with_postgresql() {
        let hash = Md5Hash::parse(FROM_POSTGRES).unwrap();
        assert_eq!(Md5Hash::of("bob", "correct horse"), hash);
        assert_ne!(Md5Hash::of("bo", "bcorrect horse"), hash);
    }

    #[test]
    fn only_the_exact_notation_is_a_hash() {
        for text in
            ["md5", "md5e56586342e82bfc415eff843d7a4b8f", "md5E56586342E82BFC415EFF843D7A4B8FA"]
        {
            assert_eq!(Md5Hash::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_stored_hash_and_its_password_judge_alike() {
        let salt = [1, 2, 3, 255];
        let response = Md5Hash::of("bob", "correct horse").response(salt);
        assert_eq!(response.len(), 35);
        let plain = StoredSecret::Plain(Secret::new("correct horse"));
        for secret in [plain, StoredSecret::parse(FROM_POSTGRES)] {
            let judge =
                |answer: &[u8]| Md5Server::with_salt("bob", Some(&secret), salt).response(answer);
            assert_eq!(judge(response.as_bytes()), Ok(()));
            for wrong in [&b"correct horse"[..], b"", &response.as_bytes()[..34]] {
                assert_eq!(judge(wrong), Err(AuthError::Refused(Refusal::WrongPassword)));
            }
            let other = Md5Hash::of("bob", "correct horse").response([1, 2, 3, 4]);
            assert_eq!(judge(other.as_bytes()), Err(AuthError::Refused(Refusal::WrongPassword)));
        }
    }

    #[test]
    fn the_doomed_fail_even_with_the_right_answer() {
        let salt = [9; 4];
        let answer = Md5Hash::of("bob", "").response(salt);
        let empty = StoredSecret::parse("");
        for (secret, refusal) in
            [(None, Refusal::UnknownUser), (Some(&empty), Refusal::EmptyPassword)]
        {
            let exchange = Md5Server::with_salt("bob", secret, salt);
            assert_eq!(exchange.response(answer.as_bytes()), Err(AuthError::Refused(refusal)));
        }
    }
}
