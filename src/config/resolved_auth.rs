//! How clients prove who they are, and where users are looked up.

use crate::types::Name;

/// How users are looked up that no file knows: on a server, as `user`, by `query`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuthLookup {
    /// Who asks; `None`: nobody is asked.
    pub user: Option<Name>,
    /// What is asked; `$1` is the name.
    pub query: Option<Name>,
    /// Which database is asked, by its name here; `None`: the one the client asks for.
    pub dbname: Option<Name>,
}

/// How clients prove who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthType {
    /// No proof, and the name does not matter: every database has a user of its own.
    Any,
    /// No proof; the user must be known.
    Trust,
    /// The password itself.
    Plain,
    /// A client certificate that names the user.
    Cert,
    /// The operating system's word, on the unix socket.
    Peer,
    /// As the first fitting line of `auth_hba_file` says.
    Hba,
    /// An LDAP server tries the password.
    Ldap,
    /// PAM tries the password.
    Pam,
    /// MD5, or SCRAM where the stored secret is a SCRAM verifier.
    Md5,
    /// SCRAM-SHA-256 (RFC 5802, RFC 7677).
    ScramSha256,
}

impl AuthType {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            AuthType::Any => "any",
            AuthType::Trust => "trust",
            AuthType::Plain => "plain",
            AuthType::Cert => "cert",
            AuthType::Peer => "peer",
            AuthType::Hba => "hba",
            AuthType::Ldap => "ldap",
            AuthType::Pam => "pam",
            AuthType::Md5 => "md5",
            AuthType::ScramSha256 => "scram-sha-256",
        }
    }
}
