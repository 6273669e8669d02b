//! What a proof needs beside the client: who is asked for, and what is known of them.

use std::sync::Arc;

use super::gate::Gate;
use super::identity::Identities;
use super::login_counts::LoginResult;
use super::refusal::Refusal;
use super::replies;
use crate::auth::{SecretKind, ServerCredential, StoredSecret};
use crate::config::DEFAULT_AUTH_QUERY;
use crate::config::{AuthLookup, Config, Database};
use crate::pool::{AuthPlace, AuthQueryError, AuthQuestion};
use crate::types::{CONSOLE, Name};

/// Somebody who says who they are.
pub(super) struct Claim<'a> {
    pub(super) gate: &'a Gate,
    pub(super) config: &'a Config,
    pub(super) identities: &'a Identities,
    pub(super) user: &'a Name,
    /// The database asked for; the console's has no section.
    pub(super) database: &'a Name,
    pub(super) is_console: bool,
}

/// What is known of a user.
#[derive(Debug)]
pub(super) struct Found {
    /// The secret.
    pub(super) secret: Option<StoredSecret>,
    /// What the files say of it.
    pub(super) in_files: Option<StoredSecret>,
    /// The configuration, or a server, knows the user.
    pub(super) is_known: bool,
    /// It comes from an answer given to another login: there may be a newer secret.
    pub(super) is_cached: bool,
}

impl Claim<'_> {
    /// Looks the user up: in the files, then by `auth_query`.
    pub(super) async fn find(&self, may_be_cached: bool) -> Result<Found, Refusal> {
        let in_files = self.identities.secret(self.config, self.user);
        let known = self.identities.knows(self.config, self.user);
        let question = match in_files {
            Some(_) => None,
            None => {
                if let Some(why) = self.obstacle() {
                    return Err(self.fail(&why));
                }
                self.question(may_be_cached)
            }
        };
        let Some(question) = question else {
            let secret = in_files.clone();
            return Ok(Found { secret, in_files, is_known: known, is_cached: false });
        };
        match self.gate.pools.auth_queries.ask(question).await {
            Ok(answer) => Ok(Found {
                is_known: known || answer.secret.is_some(),
                secret: answer.secret,
                in_files,
                is_cached: answer.is_cached,
            }),
            // Nobody has a password in a database that does not exist; that it does not is not for strangers.
            Err(AuthQueryError::NoDatabase(_)) => {
                Ok(Found { secret: None, in_files, is_known: known, is_cached: false })
            }
            Err(error) => Err(self.fail(&error)),
        }
    }

    /// Nobody can say who the user is. Why is for the log alone.
    fn fail(&self, error: &dyn std::fmt::Display) -> Refusal {
        tracing::error!(database = ?self.database, user = ?self.user, %error, "auth_query failed");
        Refusal::new(LoginResult::Server, replies::no_lookup())
    }

    /// The kind of secret that users who are not known seem to have.
    pub(super) fn usual(&self) -> SecretKind {
        if self.asks_servers() {
            self.gate.pools.auth_queries.usual()
        } else {
            self.identities.usual()
        }
    }

    /// Whether users that no file knows are looked up.
    pub(super) fn asks_servers(&self) -> bool {
        self.asked().is_some_and(|(lookup, ..)| lookup.user.is_some())
    }

    /// Whom to ask for the user, and how; `None` when nobody is to be asked.
    fn question(&self, may_be_cached: bool) -> Option<AuthQuestion> {
        let (lookup, section, name) = self.asked()?;
        let (asker, query) = (lookup.user?, lookup.query);
        // Who asks is never asked for: it would need itself to log in.
        if asker == *self.user {
            return None;
        }
        let query = query.unwrap_or_else(|| DEFAULT_AUTH_QUERY.into());
        let secret = match (&section.user, &section.password) {
            (Some(user), Some(password)) if *user == asker => {
                Some(StoredSecret::Plain(password.clone()))
            }
            _ => self.identities.secret(self.config, &asker),
        };
        let credential = secret.map_or(ServerCredential::Nothing, ServerCredential::Stored);
        let process = &self.config.process;
        Some(AuthQuestion {
            place: AuthPlace {
                addresses: section.addresses.clone(),
                database: section.dbname.clone().unwrap_or(name),
                user: asker,
                query,
            },
            credential,
            tls: Arc::clone(&section.tls),
            name: Name::clone(self.user),
            timeout: process.auth_query_timeout,
            ttl: process.auth_query_cache_ttl,
            is_fresh: !may_be_cached,
        })
    }

    /// The database in which is asked: `auth_dbname`, or the one that is asked for.
    fn asked(&self) -> Option<(AuthLookup, &Arc<Database>, Name)> {
        let (lookup, database, name) = self.lookup();
        match &lookup.dbname {
            Some(elsewhere) => {
                let database = self.elsewhere(elsewhere).ok()?;
                let name = Name::clone(elsewhere);
                Some((lookup, database, name))
            }
            None => database.map(|database| (lookup, database, Name::clone(name))),
        }
    }

    /// How users of the database are looked up. Who asks for one that does not exist is looked up in another one, so
    /// that it takes as long as for the others.
    fn lookup(&self) -> (AuthLookup, Option<&Arc<Database>>, &Name) {
        let config = self.config;
        let target = match (config.database(self.database), self.is_console) {
            (Some(database), false) => {
                Some((config.auth_lookup(database), database, self.database))
            }
            (_, true) => None,
            (None, false) => config
                .databases
                .values()
                .map(|database| (config.auth_lookup(database), database, &database.name))
                .find(|(lookup, ..)| lookup.user.is_some()),
        };
        match target {
            Some((lookup, database, name)) => (lookup, Some(database), name),
            // The console has no servers of its own.
            None => (self.process_lookup(), None, self.database),
        }
    }

    /// The database that `auth_dbname` names, or why nobody can be looked up there.
    fn elsewhere(&self, name: &Name) -> Result<&Arc<Database>, String> {
        if CONSOLE.contains(&name.as_ref()) {
            return Err(format!("cannot use the reserved \"{name}\" database as an auth_dbname"));
        }
        let missing = || format!("authentication database \"{name}\" is not configured");
        self.config.database(name).ok_or_else(missing)
    }

    /// Why the user cannot be looked up although it is to be.
    fn obstacle(&self) -> Option<String> {
        let (lookup, ..) = self.lookup();
        let asks = lookup.user.is_some_and(|asker| asker != *self.user);
        lookup.dbname.filter(|_| asks).and_then(|name| self.elsewhere(&name).err())
    }

    fn process_lookup(&self) -> AuthLookup {
        let process = &self.config.process;
        AuthLookup {
            user: process.auth_user.clone(),
            query: process.auth_query.clone(),
            dbname: process.auth_dbname.clone(),
        }
    }
}
