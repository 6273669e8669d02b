//! What clients have shown at their logins, to log in to servers with.

use std::fmt;

use ahash::AHashMap;
use parking_lot::Mutex;

use super::server_login::ServerCredential;
use super::stored::StoredSecret;
use crate::types::Name;

/// Users remembered. Only users who have proved themselves get in; beyond this somebody logs in again.
const CAPACITY: usize = 100_000;

/// What users have shown, by database and user: the same name may be somebody else on another server.
///
/// It outlives servers, pools and reloads, so that a server made hours after the login is logged in to all the same.
#[derive(Default)]
pub struct Shown {
    all: Mutex<AHashMap<(Name, Name), Entry>>,
}

struct Entry {
    /// The secret of the files it was proved against, if they had one. Another one there makes it void.
    against: Option<StoredSecret>,
    credential: ServerCredential,
}

impl Shown {
    /// Keeps what a login has shown; `against`: what the files knew of the user.
    pub fn remember(
        &self,
        database: &Name,
        user: &Name,
        against: Option<StoredSecret>,
        credential: ServerCredential,
    ) {
        let key = (Name::clone(database), Name::clone(user));
        let mut all = self.all.lock();
        if all.len() >= CAPACITY
            && !all.contains_key(&key)
            && let Some(victim) = all.keys().next().cloned()
        {
            all.remove(&victim);
        }
        all.insert(key, Entry { against, credential });
    }

    /// What a user has shown, as long as the files know of it what they knew then.
    pub fn get(
        &self,
        database: &Name,
        user: &Name,
        against: Option<&StoredSecret>,
    ) -> Option<ServerCredential> {
        let all = self.all.lock();
        let entry = all.get(&(Name::clone(database), Name::clone(user)))?;
        (entry.against.as_ref() == against).then(|| entry.credential.clone())
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shown").field("users", &self.all.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_secret_in_the_files_makes_it_void() {
        let shown = Shown::default();
        let (app, other, bob) = (Name::from("app"), Name::from("other"), Name::from("bob"));
        let file = StoredSecret::parse("md5e56586342e82bfc415eff843d7a4b8fa");
        let plain = ServerCredential::Stored(StoredSecret::parse("pw"));
        shown.remember(&app, &bob, Some(file.clone()), plain.clone());
        assert_eq!(shown.get(&app, &bob, Some(&file)), Some(plain));
        assert_eq!(shown.get(&app, &bob, Some(&StoredSecret::parse("x"))), None);
        assert_eq!(shown.get(&app, &bob, None), None);
        assert_eq!(shown.get(&other, &bob, Some(&file)), None, "another server, another bob");
        assert!(!format!("{shown:?}").contains("pw"));
    }
}
