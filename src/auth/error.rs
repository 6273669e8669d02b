//! What may go wrong while somebody proves who they are.

use std::fmt;

use crate::sqlstate::{self, SqlState};

/// Who has to act for an error to go away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Blame {
    /// The client sent something wrong.
    Client,
    /// The server sent something wrong.
    Server,
    /// pgusher itself: its configuration or its machine.
    Pooler,
}

impl fmt::Display for Blame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Blame::Client => "client",
            Blame::Server => "server",
            Blame::Pooler => "pooler",
        })
    }
}

/// Why a client was turned away. Only the log may tell these apart: the client reads one message
/// for all of them, so that it cannot find out which users exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The proof does not fit the stored secret.
    WrongPassword,
    /// Nobody of that name is known.
    UnknownUser,
    /// The stored secret is an MD5 hash, from which SCRAM cannot be answered.
    OnlyMd5Stored,
    /// The stored secret is a SCRAM verifier, from which MD5 cannot be answered.
    OnlyScramStored,
    /// An empty password proves nothing.
    EmptyPassword,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::WrongPassword => "wrong password",
            Refusal::UnknownUser => "no such user",
            Refusal::OnlyMd5Stored => "SCRAM was required, but the stored secret is an MD5 hash",
            Refusal::OnlyScramStored => "MD5 was required, but the stored secret is for SCRAM",
            Refusal::EmptyPassword => "the stored password is empty",
        })
    }
}

/// A failed authentication, on either side. `Display` is for the log; it never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// The client could not prove who it is.
    #[error("authentication failed: {0}")]
    Refused(Refusal),
    /// A message breaks the rules of the exchange.
    #[error("malformed authentication message from the {from}: {what}")]
    Malformed {
        /// Who sent it.
        from: Blame,
        /// Which rule.
        what: &'static str,
    },
    /// A message asks for something that exists, but not here.
    #[error("the {from} requires {what}, which is not supported")]
    Unsupported {
        /// Who asked.
        from: Blame,
        /// For what.
        what: &'static str,
    },
    /// The server wants more work than a login is worth.
    #[error("the server asks for more than {max} SCRAM iterations")]
    TooManyIterations {
        /// The most that is done for a server.
        max: u32,
    },
    /// The server said no, in its own words (shortened, printable).
    #[error("the server refused the SCRAM exchange: {reason}")]
    RefusedByServer {
        /// The value of its `e=`.
        reason: String,
    },
    /// The server does not know the secret: it may be somebody else.
    #[error("the server's SCRAM signature is wrong: it does not know the password")]
    ServerNotGenuine,
    /// There is no credential that answers what the server asks for.
    #[error("wrong password type: the server asks for {asked}, but there is {have}")]
    WrongPasswordType {
        /// What the server asks for.
        asked: &'static str,
        /// What there is.
        have: &'static str,
    },
    /// The operating system gave no random bytes.
    #[error("the operating system gives no random bytes")]
    NoRandomness,
}

impl AuthError {
    /// Who has to act.
    pub fn blame(&self) -> Blame {
        match self {
            AuthError::Refused(_) => Blame::Client,
            AuthError::Malformed { from, .. } | AuthError::Unsupported { from, .. } => *from,
            AuthError::TooManyIterations { .. }
            | AuthError::RefusedByServer { .. }
            | AuthError::ServerNotGenuine => Blame::Server,
            AuthError::WrongPasswordType { .. } | AuthError::NoRandomness => Blame::Pooler,
        }
    }

    /// The code PostgreSQL would use for it.
    pub fn sqlstate(&self) -> SqlState {
        match self {
            AuthError::Refused(_) | AuthError::RefusedByServer { .. } => sqlstate::INVALID_PASSWORD,
            AuthError::Malformed { .. } => sqlstate::PROTOCOL_VIOLATION,
            AuthError::Unsupported { .. } => sqlstate::FEATURE_NOT_SUPPORTED,
            AuthError::TooManyIterations { .. } => sqlstate::PROGRAM_LIMIT_EXCEEDED,
            AuthError::ServerNotGenuine | AuthError::WrongPasswordType { .. } => {
                sqlstate::INVALID_AUTHORIZATION
            }
            AuthError::NoRandomness => sqlstate::INTERNAL_ERROR,
        }
    }
}
