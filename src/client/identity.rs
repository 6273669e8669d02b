//! Who users are: their secrets, for their own logins and for logins to servers.

use std::sync::Arc;

use crate::auth::{
    AuthError, ServerCredential, StoredSecret, Userlist, UserlistError, VerifierCache,
};
use crate::config::{Config, Database};

/// The users that are known, and what proves them.
#[derive(Debug)]
pub struct Identities {
    userlist: Userlist,
    /// Kept over reloads, so that salts stay the same.
    pub verifiers: Arc<VerifierCache>,
}

impl Identities {
    /// Reads `auth_file`, if there is one.
    ///
    /// # Errors
    /// It cannot be read, or has mistakes.
    pub fn load(config: &Config, verifiers: &Arc<VerifierCache>) -> Result<Self, UserlistError> {
        let userlist = match &config.process.auth_file {
            Some(path) => Userlist::load(path)?,
            None => Userlist::default(),
        };
        Ok(Identities { userlist, verifiers: Arc::clone(verifiers) })
    }

    /// A cache of verifiers.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new_verifiers() -> Result<Arc<VerifierCache>, AuthError> {
        Ok(Arc::new(VerifierCache::new()?))
    }

    /// The stored secret of a user: `[users.NAME]` over `auth_file`.
    pub fn secret(&self, config: &Config, user: &str) -> Option<StoredSecret> {
        let own = config.users.get(user).and_then(|user| user.password.as_ref());
        match own {
            Some(password) => Some(StoredSecret::parse(password.expose())),
            None => self.userlist.get(user).cloned(),
        }
    }

    /// True for a user that the configuration knows, with or without a secret.
    pub fn knows(&self, config: &Config, user: &str) -> bool {
        config.users.contains_key(user) || self.userlist.get(user).is_some()
    }

    /// True when there is no list of users to be on.
    pub fn is_open(&self, config: &Config) -> bool {
        config.process.auth_file.is_none()
            && config.users.values().all(|user| user.password.is_none())
    }

    /// What proves `user`, or the database's own user, to the servers of `database`.
    pub fn credential(&self, config: &Config, database: &Database, user: &str) -> ServerCredential {
        if let (Some(_), Some(password)) = (&database.user, &database.password) {
            return ServerCredential::Stored(StoredSecret::Plain(password.clone()));
        }
        let user = database.user.as_deref().unwrap_or(user);
        match self.secret(config, user) {
            Some(StoredSecret::Scram(verifier)) => match self.verifiers.keys(user, &verifier) {
                Some(keys) => ServerCredential::Keys(keys),
                None => ServerCredential::Stored(StoredSecret::Scram(verifier)),
            },
            Some(secret) => ServerCredential::Stored(secret),
            None => ServerCredential::Nothing,
        }
    }
}
