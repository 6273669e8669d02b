//! Logging in to a server: which address, with or without TLS, and what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::hop::{self, Encryption, HopError};
use super::login::Login;
use super::{Server, ServerId};
use crate::auth::{AuthError, ServerCredential};
use crate::config::ServerTlsSettings;
use crate::net::Dialler;
use crate::session::params::ParamSets;
use crate::sqlstate;
use crate::tls::{Connector, Keyring};
use crate::types::{LoadBalance, Name, ServerAddress};
use crate::wire::{ErrorFields, FrameError, Severity};

/// How a pool's servers are made.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// Tried in order.
    pub addresses: Vec<ServerAddress>,
    /// Where the order begins.
    pub load_balance: LoadBalance,
    /// Sent to every new server; empty: nothing.
    pub connect_query: String,
    /// The database's name on the server.
    pub database: Name,
    /// The server user.
    pub user: Name,
    /// What proves it.
    pub credential: Credential,
    /// For the start-up packet.
    pub startup_parameters: BTreeMap<String, String>,
    /// How connections are encrypted; servers made otherwise are replaced.
    pub tls: Arc<ServerTlsSettings>,
}

/// What proves a user to a server.
pub type Credential = ServerCredential;

/// Why a login failed, in the words the client will read.
#[derive(Clone, Debug)]
pub struct ConnectError {
    /// Where.
    pub address: Option<ServerAddress>,
    /// The server's own error, or pgusher's about the server.
    pub fields: Box<ErrorFields>,
    /// How far it came.
    pub stage: Stage,
    /// The server said it itself.
    pub by_server: bool,
    /// The number the server would have had.
    pub id: ServerId,
}

/// How far an attempt came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Finding the address and connecting.
    Connect,
    /// TLS.
    Tls,
    /// The login itself.
    Login,
}

impl Stage {
    /// A word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Stage::Connect => "connecting",
            Stage::Tls => "TLS",
            Stage::Login => "login",
        }
    }
}

impl ConnectError {
    pub(super) fn new(code: sqlstate::SqlState, message: impl Into<String>) -> Self {
        ConnectError {
            address: None,
            fields: Box::new(ErrorFields::new(Severity::Fatal, code, message)),
            stage: Stage::Login,
            by_server: false,
            id: 0,
        }
    }

    /// True for a server that is starting up or shutting down and asks for patience (57P03).
    pub fn is_temporary(&self) -> bool {
        &*self.fields.code == sqlstate::CANNOT_CONNECT_NOW.0
    }
}

/// What all logins share.
#[derive(Clone, Debug)]
pub struct Means {
    /// Where sets of parameters are interned.
    pub param_sets: Arc<ParamSets>,
    /// What TLS is begun with.
    pub keyring: Arc<Keyring>,
    /// How addresses are reached.
    pub dialler: Arc<Dialler>,
}

/// What one login needs of them.
#[derive(Clone, Debug)]
pub(super) struct Tools {
    pub(super) param_sets: Arc<ParamSets>,
    /// TLS as the servers' own settings want it.
    pub(super) connector: Arc<Connector>,
    pub(super) dialler: Arc<Dialler>,
}

impl Means {
    fn tools(&self, settings: &Arc<ServerTlsSettings>) -> Result<Tools, ConnectError> {
        let connector = self.keyring.connector(settings).map_err(|error| {
            let text = format!("no TLS with servers: {error}");
            let error = ConnectError::new(sqlstate::UNABLE_TO_CONNECT, text);
            ConnectError { stage: Stage::Tls, ..error }
        })?;
        Ok(Tools {
            param_sets: Arc::clone(&self.param_sets),
            connector,
            dialler: Arc::clone(&self.dialler),
        })
    }
}

/// Connects and logs in, at each address within `limit`; the `turn` says with which it begins. The socket belongs to the
/// current runtime.
///
/// # Errors
/// That of the last address tried.
pub async fn connect(
    blueprint: &Blueprint,
    limit: Option<Duration>,
    means: &Means,
    id: ServerId,
    turn: usize,
) -> Result<Box<Server>, ConnectError> {
    let tools = means.tools(&blueprint.tls)?;
    let mut last =
        ConnectError::new(sqlstate::UNABLE_TO_CONNECT, "no server address is configured");
    for address in in_order(blueprint, turn) {
        let attempt = connect_to(blueprint, address, &tools, id);
        let result = match limit {
            Some(limit) => tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| {
                let text = format!(
                    "server {address} did not answer within {limit:?} (server_connect_timeout)"
                );
                Err(ConnectError {
                    stage: Stage::Connect,
                    ..ConnectError::new(sqlstate::UNABLE_TO_CONNECT, text)
                })
            }),
            None => attempt.await,
        };
        match result {
            Ok(server) => return Ok(server),
            Err(error) => last = ConnectError { address: Some(address.clone()), id, ..error },
        }
    }
    Err(last)
}

fn in_order(blueprint: &Blueprint, turn: usize) -> impl Iterator<Item = &ServerAddress> {
    let all = &blueprint.addresses;
    let first = match blueprint.load_balance {
        LoadBalance::Disable => 0,
        LoadBalance::RoundRobin => turn % all.len().max(1),
    };
    all.iter().cycle().skip(first).take(all.len())
}

/// Goes through the attempts that the mode of encryption allows.
async fn connect_to(
    blueprint: &Blueprint,
    address: &ServerAddress,
    tools: &Tools,
    id: ServerId,
) -> Result<Box<Server>, ConnectError> {
    let mut before = None;
    let mut attempts = hop::attempts(address, tools.connector.settings.sslmode).iter().peekable();
    while let Some(encryption) = attempts.next() {
        match attempt(blueprint, address, tools, id, *encryption).await {
            Err(Failure { error, by_encryption: true }) if attempts.peek().is_some() => {
                tracing::debug!(%address, error = %error.fields, "trying again with other encryption");
                before = Some(error);
            }
            Err(Failure { error, .. }) => return Err(with_history(error, before)),
            Ok(server) => return Ok(server),
        }
    }
    Err(violation("no attempt was made"))
}

/// An attempt that failed.
struct Failure {
    error: ConnectError,
    /// With other encryption it might not have.
    by_encryption: bool,
}

async fn attempt(
    blueprint: &Blueprint,
    address: &ServerAddress,
    tools: &Tools,
    id: ServerId,
    encryption: Encryption,
) -> Result<Box<Server>, Failure> {
    let hop =
        hop::open(address, &address.host(), &tools.dialler, &tools.connector, encryption).await;
    let hop = hop.map_err(|error| Failure::of_hop(address, &error))?;
    // Where the server has no TLS, the next attempt would be this one again.
    let has_choice = encryption != Encryption::IfOffered || hop.tls.is_some();
    Login::run(blueprint, address, tools, hop, id).await.map_err(|error| Failure {
        // Such as: no entry in pg_hba.conf for a connection with, or without, encryption.
        by_encryption: has_choice
            && error.by_server
            && &*error.fields.code == sqlstate::INVALID_AUTHORIZATION.0,
        error,
    })
}

impl Failure {
    fn of_hop(address: &ServerAddress, error: &HopError) -> Self {
        let (stage, text) = match error {
            HopError::Connect(why) => {
                (Stage::Connect, format!("could not connect to server {address}: {why}"))
            }
            HopError::Tls(why) => (Stage::Tls, format!("no TLS with server {address}: {why}")),
        };
        let error = ConnectError { stage, ..ConnectError::new(sqlstate::UNABLE_TO_CONNECT, text) };
        Failure { error, by_encryption: stage == Stage::Tls }
    }
}

/// What was tried before belongs to the story: the first failure is often the one to look at.
fn with_history(mut error: ConnectError, before: Option<ConnectError>) -> ConnectError {
    if let Some(before) = before.filter(|_| error.fields.detail.is_none()) {
        error.fields.detail = Some(format!("Before that: {}", before.fields.message).into());
    }
    error
}

pub(super) fn violation(what: &str) -> ConnectError {
    ConnectError::new(sqlstate::PROTOCOL_VIOLATION, format!("protocol violation by server: {what}"))
}

pub(super) fn unsupported(what: &str) -> ConnectError {
    ConnectError::new(sqlstate::CONNECTION_REJECTED, what)
}

pub(super) fn lost(what: &str) -> ConnectError {
    ConnectError::new(sqlstate::UNABLE_TO_CONNECT, what)
}

impl From<FrameError> for ConnectError {
    fn from(error: FrameError) -> Self {
        violation(&error.to_string())
    }
}

impl From<AuthError> for ConnectError {
    fn from(error: AuthError) -> Self {
        let text = format!("cannot log in to server: {error}");
        let mut failed = ConnectError::new(error.sqlstate(), text);
        if matches!(error, AuthError::WrongPasswordType { .. }) {
            failed.fields.brief = Some("server login failed: wrong password type".into());
        }
        failed
    }
}
