//! Logging in to a server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Backend, Bulk, Prepared, Progress, Server, ServerId};
use crate::auth::{AuthError, MECHANISM, ScramClient, ScramClientFinal, ServerCredential};
use crate::net::{self, Buffer, Stream};
use crate::session::params::{ParamSets, Reported, Values};
use crate::sqlstate;
use crate::stats::ServerRecord;
use crate::types::{Name, ServerAddress, WorkerId};
use crate::wire::backend::{self, AuthRequest};
use crate::wire::tag::backend as tag;
use crate::wire::{ErrorFields, FrameError, Severity, frame, frontend, startup};

/// How a pool's servers are made.
#[derive(Clone, Debug)]
pub struct Blueprint {
    /// Tried in order.
    pub addresses: Vec<ServerAddress>,
    /// The database's name on the server.
    pub database: Name,
    /// The server user.
    pub user: Name,
    /// What proves it.
    pub credential: Credential,
    /// For the start-up packet.
    pub startup_parameters: BTreeMap<String, String>,
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
}

impl ConnectError {
    fn new(code: sqlstate::SqlState, message: impl Into<String>) -> Self {
        ConnectError {
            address: None,
            fields: Box::new(ErrorFields::new(Severity::Fatal, code, message)),
        }
    }

    /// True for a server that is starting up or shutting down and asks for patience (57P03).
    pub fn is_temporary(&self) -> bool {
        self.fields.code == sqlstate::CANNOT_CONNECT_NOW.0
    }
}

/// Largest message of the login phase. The longest honest one is an error.
const MAX_LOGIN_MESSAGE: usize = 64 * 1024;
/// Notices of a login that clients are told.
const MAX_NOTICES: usize = 8;
/// More messages than any honest login has.
const MAX_LOGIN_MESSAGES: usize = 1_000;

/// Connects and logs in within `limit`. The socket belongs to the current runtime.
///
/// # Errors
/// That of the last address tried.
pub async fn connect(
    blueprint: &Blueprint,
    limit: Option<Duration>,
    param_sets: &Arc<ParamSets>,
    id: ServerId,
) -> Result<Box<Server>, ConnectError> {
    let mut last =
        ConnectError::new(sqlstate::UNABLE_TO_CONNECT, "no server address is configured");
    for address in &blueprint.addresses {
        let attempt = Login::run(blueprint, address, param_sets, id);
        let result = match limit {
            Some(limit) => tokio::time::timeout(limit, attempt).await.unwrap_or_else(|_| {
                let text = format!(
                    "server {address} did not answer within {limit:?} (server_connect_timeout)"
                );
                Err(ConnectError::new(sqlstate::UNABLE_TO_CONNECT, text))
            }),
            None => attempt.await,
        };
        match result {
            Ok(server) => return Ok(server),
            Err(error) => last = ConnectError { address: Some(address.clone()), ..error },
        }
    }
    Err(last)
}

/// One login under way.
struct Login<'a> {
    stream: Stream,
    buffer: Buffer,
    blueprint: &'a Blueprint,
    reported: Reported,
    key: Option<(u32, Box<[u8]>)>,
    scram: Scram,
    authenticated: bool,
}

/// Where the SCRAM exchange stands.
enum Scram {
    None,
    First(Box<ScramClient>),
    Final(Box<ScramClientFinal>),
    /// The server has proved that it knows the password.
    Done,
}

enum Step {
    More,
    Ready,
}

impl<'a> Login<'a> {
    async fn run(
        blueprint: &'a Blueprint,
        address: &ServerAddress,
        param_sets: &Arc<ParamSets>,
        id: ServerId,
    ) -> Result<Box<Server>, ConnectError> {
        let stream = net::connect(address).await.map_err(|error| {
            let text = format!("could not connect to server {address}: {error}");
            ConnectError::new(sqlstate::UNABLE_TO_CONNECT, text)
        })?;
        let mut login = Login {
            stream,
            buffer: Buffer::new(),
            blueprint,
            reported: Reported::default(),
            key: None,
            scram: Scram::None,
            authenticated: false,
        };
        login.send_startup().await?;
        for _ in 0..MAX_LOGIN_MESSAGES {
            let message = login.message().await?;
            if let Step::Ready = login.step(&message).await? {
                return login.finish(address, param_sets, id);
            }
        }
        Err(violation("too many messages"))
    }

    async fn send_startup(&mut self) -> Result<(), ConnectError> {
        let blueprint = self.blueprint;
        let mut packet = Vec::new();
        let fixed = [("user", blueprint.user.as_ref()), ("database", blueprint.database.as_ref())];
        let extra = blueprint
            .startup_parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        startup::put_startup(&mut packet, 0, fixed.into_iter().chain(extra));
        self.send(&packet).await
    }

    /// The next whole message.
    async fn message(&mut self) -> Result<Vec<u8>, ConnectError> {
        loop {
            let header = frame::header(self.buffer.filled())?;
            let needed = header.map_or(frame::HEADER, |header| header.size);
            if needed > MAX_LOGIN_MESSAGE {
                return Err(violation("a message is too long"));
            }
            if let Some(message) = self.buffer.filled().get(..needed).filter(|_| header.is_some()) {
                let message = message.to_vec();
                self.buffer.consume(needed);
                return Ok(message);
            }
            self.buffer.reserve(needed);
            match self.stream.recv(&mut self.buffer).await {
                Ok(0) => return Err(lost("the server closed the connection during the login")),
                Ok(_) => {}
                Err(error) => {
                    return Err(lost(&format!(
                        "connection to server failed during the login: {error}"
                    )));
                }
            }
        }
    }

    async fn step(&mut self, message: &[u8]) -> Result<Step, ConnectError> {
        match message.first().copied().unwrap_or_default() {
            tag::AUTHENTICATION => self.authenticate(message).await?,
            tag::PARAMETER_STATUS if self.authenticated => {
                let (name, value) = backend::read_parameter_status(message)?;
                let name = String::from_utf8_lossy(name).into_owned();
                self.reported.values.push((name.into(), value.into()));
            }
            tag::BACKEND_KEY_DATA if self.authenticated => {
                let (pid, key) = backend::read_key_data(message)?;
                self.key = Some((pid, key.into()));
            }
            tag::READY_FOR_QUERY if self.authenticated => return Ok(Step::Ready),
            tag::ERROR_RESPONSE => {
                return Err(ConnectError {
                    address: None,
                    fields: Box::new(ErrorFields::read(message)),
                });
            }
            // The clients will be told.
            tag::NOTICE_RESPONSE if self.reported.notices.len() < MAX_NOTICES => {
                self.reported.notices.push(message.into());
            }
            tag::NOTICE_RESPONSE | tag::NEGOTIATE_PROTOCOL_VERSION => {}
            other => return Err(violation(&format!("unexpected message type 0x{other:02x}"))),
        }
        Ok(Step::More)
    }

    async fn authenticate(&mut self, message: &[u8]) -> Result<(), ConnectError> {
        let credential = &self.blueprint.credential;
        let mut answer = Vec::new();
        match AuthRequest::read(message)? {
            AuthRequest::Ok => {
                if matches!(self.scram, Scram::First(_) | Scram::Final(_)) {
                    return Err(violation("the server ended SCRAM without proving itself"));
                }
                self.authenticated = true;
            }
            AuthRequest::Cleartext => {
                frontend::put_password(&mut answer, credential.cleartext()?.expose().as_bytes());
            }
            AuthRequest::Md5(salt) => {
                let response = credential.md5(&self.blueprint.user, salt)?;
                frontend::put_password(&mut answer, response.expose().as_bytes());
            }
            AuthRequest::Sasl(mechanisms) => {
                if !mechanisms.split(|&byte| byte == 0).any(|name| name == MECHANISM.as_bytes()) {
                    return Err(unsupported(
                        "the server offers no SASL mechanism that pgusher knows",
                    ));
                }
                let scram = credential.scram()?;
                frontend::put_sasl_initial(&mut answer, MECHANISM, &scram.client_first());
                self.scram = Scram::First(Box::new(scram));
            }
            AuthRequest::SaslContinue(data) => {
                let Scram::First(scram) = std::mem::replace(&mut self.scram, Scram::None) else {
                    return Err(violation("unexpected SASL message"));
                };
                let (next, response) = scram.server_first(data)?;
                frontend::put_sasl_response(&mut answer, &response);
                self.scram = Scram::Final(Box::new(next));
            }
            AuthRequest::SaslFinal(data) => {
                let Scram::Final(scram) = std::mem::replace(&mut self.scram, Scram::None) else {
                    return Err(violation("unexpected SASL message"));
                };
                scram.server_final(data)?;
                self.scram = Scram::Done;
            }
            AuthRequest::Other(code) => {
                return Err(unsupported(&format!(
                    "the server asks for authentication method {code}"
                )));
            }
        }
        self.send(&answer).await
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), ConnectError> {
        let sent = self.stream.send_all(bytes).await;
        sent.map_err(|error| {
            lost(&format!("connection to server failed during the login: {error}"))
        })
    }

    fn finish(
        self,
        address: &ServerAddress,
        param_sets: &Arc<ParamSets>,
        id: ServerId,
    ) -> Result<Box<Server>, ConnectError> {
        if !self.buffer.is_empty() {
            return Err(violation("the server sent data after ReadyForQuery"));
        }
        // A server without BackendKeyData cannot be cancelled; such requests are refused by pid 0.
        let (pid, key) = self.key.unwrap_or((0, Box::new([0; 4])));
        let now = Instant::now();
        let record = ServerRecord::new(id, address, self.stream.socket(), pid);
        Ok(Box::new(Server {
            backend: Backend::new(resolved(address, &self.stream), pid, &key),
            stream: self.stream,
            bulk: Bulk::default(),
            progress: Progress::default(),
            applied: param_sets.intern(Values::new()),
            reported: Arc::new(self.reported),
            prepared: Prepared::default(),
            unnamed: 0,
            needs_reset: false,
            is_spent: false,
            listens: false,
            audit: super::Audit::default(),
            home: WorkerId::CONTROL,
            lifetime_share: lifetime_share(id),
            record: Arc::new(record),
            connected_at: now,
            last_used: now,
            param_sets: Arc::clone(param_sets),
        }))
    }
}

/// The address without names, so that a cancel request reaches the same host.
fn resolved(address: &ServerAddress, stream: &Stream) -> ServerAddress {
    let peer = stream.socket().peer_addr().ok().and_then(|peer| peer.as_socket());
    match peer {
        Some(peer) => ServerAddress::Tcp { host: peer.ip().to_string(), port: peer.port() },
        None => address.clone(),
    }
}

/// Spreads lifetimes over nine tenths to the whole, evenly over consecutive servers (golden ratio steps).
fn lifetime_share(id: u64) -> f64 {
    let step = (id as f64 * 0.618_033_988_749_895).fract();
    0.9 + 0.1 * step
}

fn violation(what: &str) -> ConnectError {
    ConnectError::new(sqlstate::PROTOCOL_VIOLATION, format!("protocol violation by server: {what}"))
}

fn unsupported(what: &str) -> ConnectError {
    ConnectError::new(sqlstate::CONNECTION_REJECTED, what)
}

fn lost(what: &str) -> ConnectError {
    ConnectError::new(sqlstate::UNABLE_TO_CONNECT, what)
}

impl From<FrameError> for ConnectError {
    fn from(error: FrameError) -> Self {
        violation(&error.to_string())
    }
}

impl From<AuthError> for ConnectError {
    fn from(error: AuthError) -> Self {
        ConnectError::new(error.sqlstate(), format!("cannot log in to server: {error}"))
    }
}
