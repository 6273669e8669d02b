//! From a start-up packet to an admitted client.

use std::sync::Arc;
use std::time::Instant;

use super::gate::{Gate, LoginResult};
use super::handshake::Incoming;
use super::limits::Counted;
use super::replies;
use crate::auth::{
    ChannelBinding, Exchange, MECHANISM, Md5Server, ScramKeys, ScramServer, StoredSecret,
    exchange_for,
};
use crate::cancel::{Issued, LONG_KEY, SHORT_KEY};
use crate::config::{AuthType, Config, Database};
use crate::net::{Buffer, Stream};
use crate::pool::{Pool, Welcome, WelcomeError};
use crate::session::VirtualSession;
use crate::session::params::{ParamSet, Values};
use crate::stats::{ClientRecord, Entered};
use crate::types::Name;
use crate::wire::startup::{NEWEST_MINOR, Startup};
use crate::wire::tag::frontend as tag;
use crate::wire::{ErrorFields, backend, frame, frontend};

/// Longest message of a login.
const MAX_LOGIN_MESSAGE: usize = 8 * 1024;

/// Names of the console's database.
const CONSOLE: [&str; 2] = ["pgusher", "pgbouncer"];

/// Who came in.
#[derive(Debug)]
pub enum Entry {
    /// A client for a worker.
    Client(Box<Admitted>),
    /// Somebody for the console.
    Console(Console),
}

/// An admitted client on its way to a worker.
#[derive(Debug)]
pub struct Admitted {
    pub(super) stream: Stream,
    pub(super) buffer: Buffer,
    pub(super) session: VirtualSession,
    pub(super) pool: Arc<Pool>,
    pub(super) record: Entered,
    pub(super) key: Issued,
    pub(super) counted: [Counted; 3],
}

/// Somebody at the console, logged in.
#[derive(Debug)]
pub struct Console {
    /// The socket.
    pub stream: Stream,
    /// Bytes that came early.
    pub buffer: Buffer,
    /// Who it is.
    pub user: Name,
    /// What it may do.
    pub rights: ConsoleRights,
    /// Where it comes from.
    pub peer: String,
}

/// What somebody at the console may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsoleRights {
    /// Everything (`admin_users`).
    Admin,
    /// Look (`stats_users`).
    Stats,
}

/// Why a login failed: what is counted, and what the client reads.
struct Refusal(LoginResult, Box<ErrorFields>);

impl Refusal {
    fn new(result: LoginResult, fields: ErrorFields) -> Self {
        Refusal(result, Box::new(fields))
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Refusal::new(LoginResult::Protocol, replies::bad_login(&error.to_string()))
    }
}

/// What a start-up packet asks for.
struct Request {
    user: Name,
    database: Name,
    application_name: Name,
    params: Arc<ParamSet>,
    minor: u16,
    unknown_options: Vec<String>,
}

/// Takes a visitor from its start-up packet to its first ReadyForQuery. `None`: it was refused, and told why.
pub async fn log_in(
    gate: &Arc<Gate>,
    mut incoming: Incoming,
    startup: Startup,
    since: Instant,
) -> Option<Entry> {
    let config = gate.config();
    let attempt = Login { gate, config: &config, incoming: &mut incoming }.run(startup);
    let outcome = match config.process.client_login_timeout {
        Some(limit) => tokio::time::timeout_at((since + limit).into(), attempt)
            .await
            .unwrap_or_else(|_| Err(Refusal::new(LoginResult::Timeout, replies::login_timeout()))),
        None => attempt.await,
    };
    match outcome {
        Ok(pass) => {
            gate.logins.count(LoginResult::Ok, since.elapsed());
            pass.admit(incoming)
        }
        Err(Refusal(result, fields)) => {
            gate.logins.count(result, since.elapsed());
            tracing::info!(peer = %incoming.peer, code = %fields.code, message = %fields.message, "login failed");
            incoming.refuse(&fields).await;
            None
        }
    }
}

/// What a login ended with, apart from the socket.
enum Pass {
    Client {
        session: VirtualSession,
        pool: Arc<Pool>,
        record: Entered,
        key: Issued,
        counted: [Counted; 3],
    },
    Console {
        user: Name,
        rights: ConsoleRights,
    },
}

impl Pass {
    fn admit(self, incoming: Incoming) -> Option<Entry> {
        let Incoming { stream, buffer, peer } = incoming;
        Some(match self {
            Pass::Client { session, pool, record, key, counted } => {
                Entry::Client(Box::new(Admitted {
                    stream,
                    buffer,
                    session,
                    pool,
                    record,
                    key,
                    counted,
                }))
            }
            Pass::Console { user, rights } => {
                Entry::Console(Console { stream, buffer, user, rights, peer: peer.to_string() })
            }
        })
    }
}

struct Login<'a> {
    gate: &'a Arc<Gate>,
    config: &'a Config,
    incoming: &'a mut Incoming,
}

impl Login<'_> {
    async fn run(mut self, startup: Startup) -> Result<Pass, Refusal> {
        let request = self.read_request(&startup)?;
        if let Some(rights) = self.console_rights(&request)? {
            return self.enter_console(request, rights).await;
        }
        if self.gate.is_closed() {
            return Err(Refusal::new(LoginResult::NoDatabase, replies::not_admitting()));
        }
        let limit = self.config.process.max_client_conn;
        let full = || {
            Refusal::new(LoginResult::Limit, replies::too_many_clients("max_client_conn", limit))
        };
        let counted = self.gate.counts.enter(limit).ok_or_else(full)?;
        self.negotiate(&request).await?;
        self.authenticate(&request).await?;
        self.enter_pool(request, counted).await
    }

    fn read_request(&self, startup: &Startup) -> Result<Request, Refusal> {
        let parameter = |fields| Refusal::new(LoginResult::Protocol, fields);
        let text =
            |name: &str| startup.get(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let user: Name = text("user")
            .filter(|user| !user.is_empty())
            .ok_or_else(|| parameter(replies::no_user()))?
            .into();
        let database = text("database")
            .filter(|name| !name.is_empty())
            .map_or_else(|| Name::clone(&user), Into::into);
        let mut values = Values::new();
        let mut unknown_options = Vec::new();
        for (name, value) in &startup.parameters {
            let name = String::from_utf8_lossy(name).to_ascii_lowercase();
            match name.as_str() {
                "user" | "database" => {}
                "replication" if is_off(value) => {}
                "replication" => return Err(parameter(replies::no_replication())),
                "options" => read_options(value, &mut values)
                    .map_err(|error| parameter(replies::bad_parameter(error)))?,
                _ if name.starts_with("_pq_.") => unknown_options.push(name),
                _ => drop(values.insert(name.into(), value.as_slice().into())),
            }
        }
        let application_name = values.remove("application_name").unwrap_or_default();
        Ok(Request {
            user,
            database,
            application_name: String::from_utf8_lossy(&application_name).into(),
            params: self.gate.pools.context.param_sets.intern(values),
            minor: startup.minor,
            unknown_options,
        })
    }

    fn console_rights(&self, request: &Request) -> Result<Option<ConsoleRights>, Refusal> {
        if !CONSOLE.contains(&request.database.as_ref()) {
            return Ok(None);
        }
        if self.config.process.admin_users.contains(&request.user) {
            Ok(Some(ConsoleRights::Admin))
        } else if self.config.process.stats_users.contains(&request.user) {
            Ok(Some(ConsoleRights::Stats))
        } else {
            Err(Refusal::new(LoginResult::AuthFailed, replies::no_console(&request.user)))
        }
    }

    /// Tells a client that speaks a newer minor version, or asks for options, what is spoken here.
    async fn negotiate(&mut self, request: &Request) -> Result<(), Refusal> {
        if request.minor > NEWEST_MINOR || !request.unknown_options.is_empty() {
            let mut bytes = Vec::new();
            let minor = request.minor.min(NEWEST_MINOR);
            backend::put_negotiate(&mut bytes, minor, request.unknown_options.clone());
            self.incoming.send(&bytes).await?;
        }
        Ok(())
    }

    async fn authenticate(&mut self, request: &Request) -> Result<(), Refusal> {
        let identities = self.gate.identities();
        let secret = identities.secret(self.config, &request.user);
        let auth_type = self.config.process.auth_type;
        let refused = |reason: &dyn std::fmt::Display| {
            tracing::info!(user = %request.user, %reason, "authentication failed");
            Refusal::new(LoginResult::AuthFailed, replies::wrong_password(&request.user))
        };
        if auth_type == AuthType::Trust {
            let known =
                identities.is_open(self.config) || identities.knows(self.config, &request.user);
            return if known { Ok(()) } else { Err(refused(&"the user is not known")) };
        }
        match exchange_for(auth_type, secret.as_ref()) {
            Exchange::None => Ok(()),
            Exchange::Refuse(reason) => Err(refused(&format!("{reason:?}"))),
            Exchange::Md5 => {
                let md5 = Md5Server::new(&request.user, secret.as_ref())
                    .map_err(|error| refused(&error))?;
                let mut bytes = Vec::new();
                backend::put_auth_md5(&mut bytes, md5.salt());
                self.incoming.send(&bytes).await?;
                let message = self.password_message().await?;
                let answer =
                    frontend::read_password(&message).map_err(|error| malformed(&error))?;
                md5.response(answer).map_err(|error| refused(&error))
            }
            Exchange::Scram => {
                let subject = identities.verifiers.subject(&request.user, secret.as_ref());
                let scram = ScramServer::new(subject, ChannelBinding::default())
                    .map_err(|error| refused(&error))?;
                let keys = self.scram(scram, &refused).await?;
                if let Some(StoredSecret::Scram(verifier)) = &secret {
                    identities.verifiers.remember(&request.user, verifier, keys);
                }
                Ok(())
            }
        }
    }

    async fn scram(
        &mut self,
        scram: ScramServer,
        refused: &(dyn Fn(&dyn std::fmt::Display) -> Refusal + Sync),
    ) -> Result<ScramKeys, Refusal> {
        let mut bytes = Vec::new();
        backend::put_auth_sasl(&mut bytes, &[MECHANISM]);
        self.incoming.send(&bytes).await?;
        let message = self.password_message().await?;
        let (mechanism, data) =
            frontend::read_sasl_initial(&message).map_err(|error| malformed(&error))?;
        if mechanism != MECHANISM.as_bytes() {
            let text = "client selected an invalid SASL authentication mechanism";
            return Err(Refusal::new(LoginResult::Protocol, replies::bad_login(text)));
        }
        let (scram, first) = scram.client_first(data).map_err(|error| refused(&error))?;
        bytes.clear();
        backend::put_auth_sasl_continue(&mut bytes, &first);
        self.incoming.send(&bytes).await?;
        let message = self.password_message().await?;
        let data = message.get(frame::HEADER..).unwrap_or_default();
        let success = scram.client_final(data).map_err(|error| refused(&error))?;
        bytes.clear();
        backend::put_auth_sasl_final(&mut bytes, &success.server_final);
        self.incoming.send(&bytes).await?;
        Ok(success.keys)
    }

    /// The next message, which must be a password or a SASL response.
    async fn password_message(&mut self) -> Result<Vec<u8>, Refusal> {
        loop {
            let header =
                frame::header(self.incoming.buffer.filled()).map_err(|error| malformed(&error))?;
            if let Some(header) = header {
                if header.tag != tag::PASSWORD || header.size > MAX_LOGIN_MESSAGE {
                    let text = "expected password response";
                    return Err(Refusal::new(LoginResult::Protocol, replies::bad_login(text)));
                }
                if let Some(message) = self.incoming.buffer.filled().get(..header.size) {
                    let message = message.to_vec();
                    self.incoming.buffer.consume(header.size);
                    return Ok(message);
                }
            }
            if self.incoming.stream.recv(&mut self.incoming.buffer).await? == 0 {
                let text = "the client closed the connection during authentication";
                return Err(Refusal::new(LoginResult::Protocol, replies::bad_login(text)));
            }
        }
    }

    async fn enter_console(
        mut self,
        request: Request,
        rights: ConsoleRights,
    ) -> Result<Pass, Refusal> {
        self.negotiate(&request).await?;
        self.authenticate(&request).await?;
        Ok(Pass::Console { user: request.user, rights })
    }

    /// The database, the limits on its clients and the user's, and the pool.
    async fn enter_pool(mut self, request: Request, counted: Counted) -> Result<Pass, Refusal> {
        let no_database = |fields| Refusal::new(LoginResult::NoDatabase, fields);
        let found = self.config.database(&request.database);
        let database = found.ok_or_else(|| no_database(replies::no_database(&request.database)))?;
        if self.gate.is_disabled(&request.database) {
            return Err(no_database(replies::disabled(&request.database)));
        }
        let counted = self.count(&request, database, counted)?;
        let identities = self.gate.identities();
        let credential = || identities.credential(self.config, database, &request.user);
        let pool = self.gate.pools.get(
            self.config,
            database,
            &request.database,
            &request.user,
            credential,
        );
        if pool.blueprint().credential.is_verifier() {
            // Since the pool was made its user may have shown more than the file knows.
            pool.learn_credential(credential());
        }
        let welcome = pool.welcome(&request.params).await.map_err(|error| {
            let result = if matches!(error, WelcomeError::Refused(_)) {
                LoginResult::Protocol
            } else {
                LoginResult::Server
            };
            Refusal::new(result, replies::no_welcome(error))
        })?;
        self.welcome(request, pool, &welcome, counted).await
    }

    fn count(
        &self,
        request: &Request,
        database: &Database,
        total: Counted,
    ) -> Result<[Counted; 3], Refusal> {
        let full = |setting, limit: Option<usize>| {
            Refusal::new(
                LoginResult::Limit,
                replies::too_many_clients(setting, limit.unwrap_or_default()),
            )
        };
        let counts = &self.gate.counts;
        let limit = database.max_db_client_connections;
        let of_database = counts.enter_database(&request.database, limit);
        let of_database = of_database.ok_or_else(|| full("max_db_client_connections", limit))?;
        let limit =
            self.config.users.get(&request.user).and_then(|user| user.max_user_client_connections);
        let of_user = counts.enter_user(&request.user, limit);
        let of_user = of_user.ok_or_else(|| full("max_user_client_connections", limit))?;
        Ok([total, of_database, of_user])
    }

    /// Everything from AuthenticationOk to ReadyForQuery, in one send.
    async fn welcome(
        &mut self,
        request: Request,
        pool: Arc<Pool>,
        welcome: &Welcome,
        counted: [Counted; 3],
    ) -> Result<Pass, Refusal> {
        let length = if request.minor >= 2 { LONG_KEY } else { SHORT_KEY };
        let key = self.gate.cancel_keys.issue(length).map_err(|error| {
            Refusal::new(
                LoginResult::Protocol,
                replies::internal(format!("no randomness for a cancel key: {error}")),
            )
        })?;
        let context = Arc::clone(&self.gate.pools.context);
        let params = name_application(&context.param_sets, welcome, &request.application_name);
        let mut bytes = Vec::new();
        backend::put_auth_ok(&mut bytes);
        for (name, value) in &welcome.status {
            let value = if name.as_ref() == "application_name" {
                request.application_name.to_string()
            } else {
                String::from_utf8_lossy(value).into_owned()
            };
            backend::put_parameter_status(&mut bytes, name, &value);
        }
        backend::put_key_data(&mut bytes, key.target.pid, &key.target.key);
        bytes.extend_from_slice(&backend::READY_IDLE);
        self.incoming.send(&bytes).await?;
        // The pool's own copies of the names, so that a client does not carry its own.
        let user =
            if request.user == pool.key.user { Name::clone(&pool.key.user) } else { request.user };
        let id = context.records.ids.next();
        let socket = self.incoming.stream.socket();
        let record = ClientRecord::new(
            id,
            Name::clone(&pool.key.database),
            user,
            request.application_name,
            socket,
        );
        let record = context.records.enter(record);
        let session = VirtualSession::new(
            id,
            params,
            Arc::clone(&context.param_sets),
            Arc::clone(&self.gate.statements),
        );
        Ok(Pass::Client { session, pool, record, key, counted })
    }
}

/// The welcome's parameters and the client's own name, which differs from client to client and is not worth asking
/// the server about.
fn name_application(
    sets: &crate::session::params::ParamSets,
    welcome: &Welcome,
    application_name: &str,
) -> Arc<ParamSet> {
    let default = welcome.status.iter().find(|(name, _)| name.as_ref() == "application_name");
    let is_default = default.map_or(application_name.is_empty(), |(_, value)| {
        value.as_ref() == application_name.as_bytes()
    });
    if is_default {
        return Arc::clone(&welcome.params);
    }
    sets.with(&welcome.params, "application_name", Some(application_name.as_bytes()))
}

fn malformed(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(LoginResult::Protocol, replies::bad_login(&error.to_string()))
}

fn read_options(value: &[u8], values: &mut Values) -> Result<(), String> {
    for (name, value) in crate::session::options::parse(value).map_err(|error| error.to_string())? {
        let name = String::from_utf8_lossy(&name).to_ascii_lowercase();
        values.insert(name.into(), value.into());
    }
    Ok(())
}

/// PostgreSQL's spellings of false for `replication`.
fn is_off(value: &[u8]) -> bool {
    [&b"0"[..], b"off", b"false", b"no"].iter().any(|off| value.eq_ignore_ascii_case(off))
}
