//! LDAP: a directory tries the password.

use std::time::Duration;

use ldap3::{
    Ldap, LdapConnAsync, LdapConnSettings, LdapError, Scope, SearchEntry, dn_escape, ldap_escape,
};

use super::{Unavailable, Verdict};
use crate::hba::{LdapLookup, LdapOptions, LdapScope, LdapTls};
use crate::secret::Secret;

/// How long one server may take to accept a connection, and to give an answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The result code of a bind with a wrong password, or of a user who does not exist (RFC 4511).
const INVALID_CREDENTIALS: u32 = 49;

/// Result codes that say something about the entry, not about the directory.
const NO_SUCH_OBJECT: u32 = 32;
const INVALID_DN: u32 = 34;
const INAPPROPRIATE_AUTHENTICATION: u32 = 48;

/// Tries a password at the first server that answers.
///
/// # Errors
/// No server can be asked, or it refuses to search.
pub async fn check_ldap(
    options: &LdapOptions,
    user: &str,
    password: &Secret,
) -> Result<Verdict, Unavailable> {
    // A bind with an empty password succeeds for everybody: it proves nobody (RFC 4513, section 5.1.2).
    if password.expose().is_empty() || user.is_empty() || user.contains('\0') {
        return Ok(Verdict::Denied);
    }
    let mut last = Unavailable("no LDAP server is configured".to_owned());
    for server in &options.servers {
        match connect(options, server).await {
            Ok(ldap) => {
                let mut session = Session { ldap, options, server };
                let verdict = session.judge(user, password).await;
                // The server closes in any case.
                let _ = session.ldap.unbind().await;
                return verdict;
            }
            Err(error) => last = Unavailable(format!("LDAP server {server}: {error}")),
        }
    }
    Err(last)
}

async fn connect(options: &LdapOptions, server: &str) -> Result<Ldap, LdapError> {
    let scheme = if options.tls == LdapTls::Ldaps { "ldaps" } else { "ldap" };
    let host = if server.contains(':') && !server.starts_with('[') {
        format!("[{server}]")
    } else {
        server.to_owned()
    };
    let url = format!("{scheme}://{host}:{}", options.port);
    let settings = LdapConnSettings::new()
        .set_conn_timeout(PATIENCE)
        .set_starttls(options.tls == LdapTls::StartTls);
    let connecting = LdapConnAsync::with_settings(settings, &url);
    let (connection, ldap) = tokio::time::timeout(PATIENCE, connecting).await??;
    tokio::spawn(async move {
        if let Err(error) = connection.drive().await {
            tracing::debug!(%error, "LDAP connection failed");
        }
    });
    Ok(ldap)
}

/// A connection to a directory.
struct Session<'a> {
    ldap: Ldap,
    options: &'a LdapOptions,
    server: &'a str,
}

impl Session<'_> {
    async fn judge(&mut self, user: &str, password: &Secret) -> Result<Verdict, Unavailable> {
        let options = self.options;
        let name = match &options.lookup {
            LdapLookup::Direct { prefix, suffix } => {
                format!("{prefix}{}{suffix}", dn_escape(user))
            }
            LdapLookup::Search { base, bind_dn, bind_password, filter, scope } => {
                if self.bind(bind_dn, bind_password.expose()).await? == Verdict::Denied {
                    return Err(self.fail("it refuses ldapbinddn"));
                }
                let filter = filter.replace("$username", &ldap_escape(user));
                match self.find(base, *scope, &filter).await? {
                    Some(name) => name,
                    None => return Ok(Verdict::Denied),
                }
            }
        };
        // An empty name with a password is an anonymous bind for some directories.
        if name.is_empty() {
            return Ok(Verdict::Denied);
        }
        self.bind(&name, password.expose()).await
    }

    async fn bind(&mut self, name: &str, password: &str) -> Result<Verdict, Unavailable> {
        let bind = self.ldap.with_timeout(PATIENCE).simple_bind(name, password).await;
        let result = bind.map_err(|error| self.fail(error))?;
        match result.rc {
            0 => Ok(Verdict::Accepted),
            INVALID_CREDENTIALS | NO_SUCH_OBJECT | INVALID_DN | INAPPROPRIATE_AUTHENTICATION => {
                Ok(Verdict::Denied)
            }
            code => Err(self.fail(format!("bind refused with code {code}: {}", result.text))),
        }
    }

    /// The one entry that fits; several are nobody.
    async fn find(
        &mut self,
        base: &str,
        scope: LdapScope,
        filter: &str,
    ) -> Result<Option<String>, Unavailable> {
        let scope = match scope {
            LdapScope::Base => Scope::Base,
            LdapScope::One => Scope::OneLevel,
            LdapScope::Sub => Scope::Subtree,
        };
        let search =
            self.ldap.with_timeout(PATIENCE).search(base, scope, filter, vec!["1.1"]).await;
        let found =
            search.and_then(ldap3::SearchResult::success).map_err(|error| self.fail(error))?;
        let (entries, _) = found;
        let mut names = entries
            .into_iter()
            .filter(|entry| !entry.is_ref() && !entry.is_intermediate())
            .map(|entry| SearchEntry::construct(entry).dn);
        match (names.next(), names.next()) {
            (Some(name), None) => Ok(Some(name)),
            (Some(_), Some(_)) => {
                tracing::warn!(
                    server = self.server,
                    "LDAP search finds several entries for one user"
                );
                Ok(None)
            }
            (None, _) => Ok(None),
        }
    }

    fn fail(&self, why: impl std::fmt::Display) -> Unavailable {
        Unavailable(format!("LDAP server {}: {why}", self.server))
    }
}
