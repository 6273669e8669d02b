//! From a start-up packet to an admitted client.

use std::sync::Arc;
use std::time::Instant;

use super::authenticate::Proof;
use super::gate::{Gate, LoginResult};
use super::handshake::Incoming;
use super::limits::Counted;
use super::refusal::Refusal;
use super::replies;
use super::request::Request;
use crate::cancel::{Issued, LONG_KEY, SHORT_KEY};
use crate::config::{Config, Database};
use crate::net::{Buffer, Peer, Stream, Suspended};
use crate::pool::{Pool, Welcome, WelcomeError};
use crate::session::VirtualSession;
use crate::session::params::ParamSet;
use crate::stats::{Cause, ClientRecord, Entered};
use crate::types::Name;
use crate::wire::backend;
use crate::wire::startup::{NEWEST_MINOR, Startup};

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
    pub(super) socket: Suspended,
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
        let Incoming { stream, buffer, peer, .. } = incoming;
        Some(match self {
            Pass::Client { session, pool, record, key, counted } => {
                Entry::Client(Box::new(Admitted {
                    socket: stream.suspend(),
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
        let request = Request::read(&startup, &self.gate.pools.context.param_sets)?;
        self.insist_on_tls(&request)?;
        if CONSOLE.contains(&request.database.as_ref()) {
            return self.enter_console(request).await;
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

    /// On the unix socket nobody listens in.
    fn insist_on_tls(&self, request: &Request) -> Result<(), Refusal> {
        let Peer::Tcp(address) = &self.incoming.peer else { return Ok(()) };
        if self.incoming.tls.is_some() || !self.config.tls_client.sslmode.requires_tls() {
            return Ok(());
        }
        let fields =
            replies::tls_required(address.ip().to_canonical(), &request.user, &request.database);
        Err(Refusal::new(LoginResult::TlsRequired, fields))
    }

    /// Who may use the console is said only to those who have proved who they are.
    fn console_rights(&self, user: &Name) -> Result<ConsoleRights, Refusal> {
        if self.config.process.admin_users.contains(user) {
            Ok(ConsoleRights::Admin)
        } else if self.config.process.stats_users.contains(user) {
            Ok(ConsoleRights::Stats)
        } else {
            Err(Refusal::new(LoginResult::AuthFailed, replies::no_console(user)))
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
        let proof = Proof { config: self.config, user: &request.user, incoming: self.incoming };
        proof.run(&self.gate.identities()).await
    }

    async fn enter_console(mut self, request: Request) -> Result<Pass, Refusal> {
        self.negotiate(&request).await?;
        self.authenticate(&request).await?;
        let rights = self.console_rights(&request.user)?;
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
        welcome.notices.iter().for_each(|notice| bytes.extend_from_slice(notice));
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
            context.records.names.intern(&request.application_name),
            socket,
            self.incoming.stream.tls().map(crate::tls::label),
        );
        let record = context.records.enter(record);
        let mut session = VirtualSession::new(
            id,
            params,
            Arc::clone(&context.param_sets),
            Arc::clone(&self.gate.statements),
        );
        if request.wants_session {
            session.pin(Cause::Session);
        }
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
