//! Who users are: what they have to show, and their secrets, for their own logins and for logins to servers.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;

use crate::auth::{
    AuthError, SecretKind, ServerCredential, Shown, StoredSecret, Userlist, VerifierCache,
};
use crate::config::{AuthType, Compat, Config, Database, Mistake};
use crate::hba::{self, CertName, Demand, IdentMaps, LdapOptions, Method, Rules, Visit};
use crate::types::Name;

/// What is kept over reloads.
#[derive(Clone, Debug)]
pub struct Kept {
    /// So that salts stay the same.
    pub verifiers: Arc<VerifierCache>,
    /// So that servers can be logged in to.
    pub shown: Arc<Shown>,
}

impl Kept {
    /// Nothing yet.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new() -> Result<Self, AuthError> {
        Ok(Kept { verifiers: Arc::new(VerifierCache::new()?), shown: Arc::default() })
    }
}

/// The users that are known, and what everybody has to show.
#[derive(Debug)]
pub struct Identities {
    userlist: Userlist,
    rules: Rules,
    maps: IdentMaps,
    ldap: Option<Arc<LdapOptions>>,
    /// The kind of secret that users who are not known seem to have.
    usual: SecretKind,
    /// What outlives this configuration.
    pub kept: Kept,
}

impl Identities {
    /// Reads the files that the configuration names.
    ///
    /// # Errors
    /// Every mistake in them, one per line.
    pub fn load(config: &Config, kept: &Kept) -> Result<Self, String> {
        let mut wrong = String::new();
        let process = &config.process;
        let userlist = match &process.auth_file {
            Some(path) => Userlist::load(path).unwrap_or_else(|error| {
                let _ = writeln!(wrong, "{error}");
                Userlist::default()
            }),
            None => Userlist::default(),
        };
        let mut tell = |mistakes: Vec<Mistake>| {
            for mistake in mistakes {
                let _ = writeln!(wrong, "{mistake}");
            }
        };
        let (rules, maps) = read_rules(config, &mut tell);
        let ldap = process.auth_ldap_options.as_ref().map(|text| LdapOptions::parse(text.expose()));
        let ldap = ldap.transpose().unwrap_or_else(|whys| {
            for why in whys {
                let _ = writeln!(wrong, "`auth_ldap_options`: {why}");
            }
            None
        });
        if !wrong.is_empty() {
            return Err(wrong.trim_end().to_owned());
        }
        kept.verifiers.set_iterations(process.scram_iterations);
        let usual = usual_kind(config, &userlist);
        let ldap = ldap.map(Arc::new);
        Ok(Identities { userlist, rules, maps, ldap, usual, kept: kept.clone() })
    }

    /// The files that were read.
    pub fn files(&self) -> impl Iterator<Item = &PathBuf> {
        self.rules.files().iter().chain(self.maps.files())
    }

    /// The users of `auth_file`.
    pub fn users(&self) -> impl Iterator<Item = &str> {
        self.userlist.names()
    }

    /// What a visitor has to show; `None` when no line of `auth_hba_file` is for it.
    pub(super) fn demand(&self, config: &Config, visit: &Visit<'_>) -> Option<Demand> {
        let mut demand = self.demand_of(config, visit)?;
        let is_drop_in = config.process.compat == Compat::PgBouncer;
        if is_drop_in && demand.method == Method::Cert && demand.map.is_none() {
            demand.cert_name = CertName::CommonOrDns;
        }
        Some(demand)
    }

    fn demand_of(&self, config: &Config, visit: &Visit<'_>) -> Option<Demand> {
        let method = match config.process.auth_type {
            AuthType::Hba => return self.rules.decide(visit).cloned(),
            AuthType::Any | AuthType::Trust => Method::Trust,
            AuthType::Plain => Method::Password,
            AuthType::Md5 => Method::Md5,
            AuthType::ScramSha256 => Method::ScramSha256,
            AuthType::Cert => Method::Cert,
            AuthType::Peer => Method::Peer,
            // Checked when the configuration was read: there are options.
            AuthType::Ldap => Method::Ldap(Arc::clone(self.ldap.as_ref()?)),
            AuthType::Pam => Method::Pam(PAM_SERVICE.into()),
        };
        Some(Demand::of(method))
    }

    /// The maps of `auth_ident_file`.
    pub(super) fn maps(&self) -> &IdentMaps {
        &self.maps
    }

    /// The kind of secret that users who are not known seem to have.
    pub(super) fn usual(&self) -> SecretKind {
        self.usual
    }

    /// What the files know of a user: `[users.NAME]` over `auth_file`.
    pub(super) fn secret(&self, config: &Config, user: &str) -> Option<StoredSecret> {
        let own = config.users.get(user).and_then(|user| user.password.as_ref());
        match own {
            Some(password) => Some(StoredSecret::parse(password.expose())),
            None => self.userlist.get(user).cloned(),
        }
    }

    /// True for a user that the configuration knows, with or without a secret.
    pub(super) fn knows(&self, config: &Config, user: &str) -> bool {
        config.users.contains_key(user) || self.userlist.get(user).is_some()
    }

    /// True when there is no list of users to be on.
    pub(super) fn is_open(&self, config: &Config) -> bool {
        config.process.auth_file.is_none()
            && config.users.values().all(|user| user.password.is_none())
    }

    /// What proves `user`, or the database's own user, to the servers of `database`, which clients call `name`.
    pub fn credential(
        &self,
        config: &Config,
        database: &Database,
        name: &Name,
        user: &Name,
    ) -> ServerCredential {
        if let (Some(_), Some(password)) = (&database.user, &database.password) {
            return ServerCredential::Stored(StoredSecret::parse(password.expose()));
        }
        let user = database.user.as_ref().unwrap_or(user);
        let known = self.secret(config, user);
        if let Some(StoredSecret::Plain(_)) = known {
            return known.map_or(ServerCredential::Nothing, ServerCredential::Stored);
        }
        // A login shows more than a hash or a verifier in a file.
        match (self.kept.shown.get(name, user, known.as_ref()), known) {
            (Some(shown), _) => shown,
            (None, Some(secret)) => ServerCredential::Stored(secret),
            (None, None) => ServerCredential::Nothing,
        }
    }
}

/// PAM's service where no line of `auth_hba_file` names one.
const PAM_SERVICE: &str = "pgusher";

fn read_rules(config: &Config, tell: &mut dyn FnMut(Vec<Mistake>)) -> (Rules, IdentMaps) {
    let process = &config.process;
    // PgBouncer does not mind a file that it does not need.
    if process.compat == Compat::PgBouncer && process.auth_type != AuthType::Hba {
        return (Rules::default(), IdentMaps::default());
    }
    let maps = match &process.auth_ident_file {
        Some(path) => IdentMaps::load(path, &hba::Disk).map_err(&mut *tell),
        None => Ok(IdentMaps::default()),
    };
    let rules = match &process.auth_hba_file {
        Some(path) => {
            let own = hba::own_networks().unwrap_or_else(|error| {
                tracing::warn!(%error, "this machine's networks are not known: samehost and samenet are for nobody");
                Vec::new()
            });
            Rules::load(path, &hba::Disk, &own).map_err(&mut *tell)
        }
        None => Ok(Rules::default()),
    };
    if let (Ok(rules), Ok(maps)) = (&rules, &maps) {
        tell(rules.check_maps(maps));
    }
    (rules.unwrap_or_default(), maps.unwrap_or_default())
}

/// The kind of secret that most users have; SCRAM verifiers, as PostgreSQL makes them, where that is not known.
fn usual_kind(config: &Config, userlist: &Userlist) -> SecretKind {
    let own = config.users.values().filter_map(|user| user.password.as_ref());
    let own = own.map(|password| StoredSecret::parse(password.expose()).sort());
    let kinds: Vec<_> = own.chain(userlist.secrets().map(StoredSecret::sort)).collect();
    let count = |kind| kinds.iter().filter(|&&other| other == kind).count();
    let by_count = [SecretKind::Plain, SecretKind::Md5, SecretKind::Scram];
    // The last one wins a tie.
    by_count.into_iter().max_by_key(|&kind| count(kind)).unwrap_or(SecretKind::Scram)
}
