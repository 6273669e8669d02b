//! SCRAM verifiers for users whose secret is no verifier, and for users who do not exist.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use ahash::AHashMap;
use parking_lot::Mutex;

use super::error::{AuthError, Refusal};
use super::nonce::random_bytes;
use super::scram::{DEFAULT_ITERATIONS, Key, SALT_LEN, ScramVerifier, sign};
use super::scram_server::ScramSubject;
use super::stored::StoredSecret;
use crate::types::Name;

/// Verifiers kept. Only known users get in; beyond this some pay their PBKDF2 again.
const CAPACITY: usize = 10_000;

/// Makes the verifier every exchange needs, and remembers those that were costly.
///
/// All salts come from one seed and the user's name. So a user keeps one salt for the life of
/// the process, and a user who does not exist gets one that looks and lasts just the same.
///
/// What remains to be seen: the first login of a user with a plain password takes a millisecond
/// longer, and verifiers from the userlist keep their salt over a restart.
pub struct VerifierCache {
    seed: Key,
    /// Of the verifiers made from now on.
    iterations: AtomicU32,
    made: Mutex<AHashMap<Name, Made>>,
}

struct Made {
    /// Recognises the password the verifier was made of, without keeping it.
    fingerprint: Key,
    verifier: Arc<ScramVerifier>,
}

impl VerifierCache {
    /// An empty cache with a random seed.
    pub fn new() -> Result<Self, AuthError> {
        Ok(Self::with_seed(random_bytes()?))
    }

    /// An empty cache whose salts go on from those of another process with the same seed.
    pub fn with_seed(seed: [u8; 32]) -> Self {
        VerifierCache {
            seed,
            iterations: AtomicU32::new(DEFAULT_ITERATIONS),
            made: Mutex::default(),
        }
    }

    /// How many iterations verifiers have that are made from now on.
    pub fn set_iterations(&self, iterations: u32) {
        if self.iterations.swap(iterations, Ordering::Relaxed) != iterations {
            self.made.lock().clear();
        }
    }

    fn iterations(&self) -> u32 {
        self.iterations.load(Ordering::Relaxed)
    }

    /// Whose proof to await when `user`, with this secret if any, logs in by SCRAM.
    ///
    /// Computes 4096 HMACs, about a millisecond, when a plain password is seen for the first
    /// time, so it does not belong on a thread that relays traffic.
    pub fn subject(&self, user: &Name, secret: Option<&StoredSecret>) -> ScramSubject {
        let doomed = |refusal| ScramSubject::doomed(Arc::new(self.mock(user)), refusal);
        match secret {
            None => doomed(Refusal::UnknownUser),
            Some(StoredSecret::Md5(_)) => doomed(Refusal::OnlyMd5Stored),
            Some(StoredSecret::Scram(verifier)) => ScramSubject::real(verifier.clone()),
            Some(StoredSecret::Plain(password)) if password.expose().is_empty() => {
                doomed(Refusal::EmptyPassword)
            }
            Some(StoredSecret::Plain(password)) => {
                ScramSubject::real(self.verifier(user, password.expose()))
            }
        }
    }

    /// [`VerifierCache::subject`] where that is quick; `None` when a verifier has to be made first.
    pub fn ready(&self, user: &Name, secret: Option<&StoredSecret>) -> Option<ScramSubject> {
        match secret {
            Some(StoredSecret::Plain(password)) if !password.expose().is_empty() => {
                self.made(user, &self.fingerprint(password.expose())).map(ScramSubject::real)
            }
            _ => Some(self.subject(user, secret)),
        }
    }

    fn fingerprint(&self, password: &str) -> Key {
        self.derive(b"fingerprint", password)
    }

    fn made(&self, user: &Name, fingerprint: &Key) -> Option<Arc<ScramVerifier>> {
        let kept = self.made.lock();
        let made = kept.get(user).filter(|made| made.fingerprint == *fingerprint)?;
        Some(Arc::clone(&made.verifier))
    }

    fn verifier(&self, user: &Name, password: &str) -> Arc<ScramVerifier> {
        let fingerprint = self.fingerprint(password);
        if let Some(made) = self.made(user, &fingerprint) {
            return made;
        }
        // Outside the lock: two first logins of one user may both compute the same result.
        let salt = self.salt(user);
        let verifier = ScramVerifier::from_password(password, self.iterations(), &salt);
        let verifier = Arc::new(verifier);
        self.keep(user.clone(), Made { fingerprint, verifier: verifier.clone() });
        verifier
    }

    fn keep(&self, user: Name, made: Made) {
        let mut kept = self.made.lock();
        if kept.len() >= CAPACITY && !kept.contains_key(&user) {
            // Any will do: the map's order is random, and the loss is a millisecond.
            if let Some(victim) = kept.keys().next().cloned() {
                kept.remove(&victim);
            }
        }
        kept.insert(user, made);
    }

    /// A verifier nobody can satisfy, except by inverting SHA-256.
    pub fn mock(&self, user: &str) -> ScramVerifier {
        let stored_key = self.derive(b"mock", user);
        ScramVerifier::from_parts(self.iterations(), &self.salt(user), stored_key, stored_key)
    }

    fn salt(&self, user: &str) -> [u8; SALT_LEN] {
        let mut salt = [0; SALT_LEN];
        salt.copy_from_slice(&self.derive(b"salt", user)[..SALT_LEN]);
        salt
    }

    fn derive(&self, purpose: &[u8], text: &str) -> Key {
        sign(&sign(&self.seed, purpose), text.as_bytes())
    }
}

impl fmt::Debug for VerifierCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifierCache").field("made", &self.made.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::nonce::Nonce;
    use crate::auth::scram_server::{ChannelBinding, ScramServer};

    fn server_first(cache: &VerifierCache, user: &str, secret: Option<&StoredSecret>) -> String {
        let subject = cache.subject(&Name::from(user), secret);
        let nonce = Nonce::parse("server").unwrap();
        let server = ScramServer::with_nonce(subject, ChannelBinding::NotOffered, nonce);
        let (_, message) = server.client_first(b"n,,n=,r=client").unwrap();
        String::from_utf8(message).unwrap()
    }

    #[test]
    fn unknown_users_look_like_known_ones() {
        let cache = VerifierCache::new().unwrap();
        let secrets = [
            None,
            Some(StoredSecret::parse("secret")),
            Some(StoredSecret::parse("")),
            Some(StoredSecret::parse("md5e56586342e82bfc415eff843d7a4b8fa")),
        ];
        let seen = secrets.map(|secret| server_first(&cache, "bob", secret.as_ref()));
        assert!(seen.iter().all(|message| *message == seen[0]), "{seen:?}");
        assert_ne!(server_first(&cache, "eve", None), seen[0]);
        assert_ne!(server_first(&VerifierCache::new().unwrap(), "bob", None), seen[0]);
    }

    #[test]
    fn a_verifier_is_made_once_for_each_password() {
        let cache = VerifierCache::with_seed([7; 32]);
        let bob = Name::from("bob");
        let first = cache.verifier(&bob, "old");
        assert!(Arc::ptr_eq(&first, &cache.verifier(&bob, "old")));
        let changed = cache.verifier(&bob, "new");
        assert_eq!(*changed, ScramVerifier::from_password("new", DEFAULT_ITERATIONS, first.salt()));
        assert_eq!(cache.made.lock().len(), 1);
    }

    #[test]
    fn only_a_new_password_has_to_be_hashed() {
        let cache = VerifierCache::with_seed([7; 32]);
        let bob = Name::from("bob");
        let [old, new, none] = ["old", "new", ""].map(StoredSecret::parse);
        let is_ready = |secret: Option<&StoredSecret>| cache.ready(&bob, secret).is_some();
        assert!(is_ready(None) && is_ready(Some(&none)));
        assert!(!is_ready(Some(&old)));
        cache.subject(&bob, Some(&old));
        assert!(is_ready(Some(&old)) && !is_ready(Some(&new)));
    }

    #[test]
    fn the_cache_is_bounded() {
        let cache = VerifierCache::with_seed([7; 32]);
        let verifier = Arc::new(cache.mock("x"));
        for i in 0..CAPACITY + 5 {
            let made = Made { fingerprint: [0; 32], verifier: verifier.clone() };
            cache.keep(Name::from(i.to_string()), made);
        }
        assert_eq!(cache.made.lock().len(), CAPACITY);
    }
}
