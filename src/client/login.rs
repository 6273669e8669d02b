//! From a start-up packet to an admitted client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::authenticate::Proof;
use super::entry::{ConsoleRights, Entry, OwnServer, Pass};
use super::gate::Gate;
use super::handshake::Incoming;
use super::identity::Identities;
use super::late::Late;
use super::limits::Counted;
use super::login_counts::LoginResult;
use super::login_facts::Facts;
use super::manners::Manners;
use super::proof::Claim;
use super::refusal::Refusal;
use super::replica;
use super::replies;
use super::request::{Asker, Replication, Request};
use super::throttle::{self, Pace};
use super::turn::Turn;
use super::vouch;
use crate::cancel::{Issued, LONG_KEY, SHORT_KEY};
use crate::config::{AuthType, Config, Database};
use crate::hba::{Method, Visit};
use crate::net::Peer;
use crate::pool::{Pool, Welcome, WelcomeError};
use crate::session::VirtualSession;
use crate::stats::{Cause, ClientRecord, Ends, Entered};
use crate::types::{CONSOLE, LoginMethod, Name};
use crate::wire::backend;
use crate::wire::startup::{NEWEST_MINOR, Startup};

/// Users who need no password at the console when they run as pgusher does, on its machine.
const OPERATORS: [&str; 2] = CONSOLE;

/// Takes a visitor from its start-up packet to its first ReadyForQuery. `None`: it was refused, and told why.
pub async fn log_in(
    gate: &Arc<Gate>,
    incoming: &mut Incoming,
    startup: Startup,
    (since, late): (Instant, &Late),
) -> Option<Entry> {
    let config = gate.config();
    let identities = gate.identities();
    let manners = Manners::new(&config.process);
    let mut facts = Facts::new(gate.pools.context.records.ids.next(), manners);
    let login = Login {
        gate,
        config: &config,
        identities: &identities,
        turn: gate.turns.line_up(),
        facts: &mut facts,
        incoming,
    };
    // Boxed: it is large, and most of its states are short.
    let attempt = late.or(Box::pin(login.run(startup))).await;
    let outcome = attempt.unwrap_or_else(|| {
        let fields = replies::login_timeout(facts.waits_for_server);
        Err(Refusal::new(LoginResult::Timeout, fields))
    });
    let tracer = &gate.pools.context.records.tracer;
    if tracer.is_on() {
        let result =
            outcome.as_ref().map_or_else(|Refusal(result, _)| *result, |_| LoginResult::Ok);
        let names = (&facts.database, &facts.user);
        tracer.login(since, result.as_str(), facts.method.as_str(), names);
    }
    match outcome {
        Ok(pass) => {
            gate.logins.count(
                LoginResult::Ok,
                facts.method,
                facts.counted_as(&config),
                since.elapsed(),
            );
            if config.process.log_connections {
                facts.log_arrival(incoming, &pass);
            }
            pass.admit(incoming)
        }
        Err(Refusal(result, fields)) => {
            let database = facts.counted_as(&config);
            gate.pools.context.errors.of(&database).from_pgusher(&fields.code);
            gate.logins.count(result, facts.method, database, since.elapsed());
            facts.log_refusal(incoming, &fields, &config);
            if let (LoginResult::AuthFailed, Some(address)) = (result, incoming.peer.ip()) {
                let rule = throttle::Rule::of(&config.process);
                rule.inspect(|rule| gate.throttle.failed(address, rule, Instant::now()));
            }
            incoming.refuse(&manners.told(*fields)).await;
            None
        }
    }
}

struct Login<'a> {
    gate: &'a Arc<Gate>,
    config: &'a Config,
    identities: &'a Identities,
    turn: Turn,
    facts: &'a mut Facts,
    incoming: &'a mut Incoming,
}

impl Login<'_> {
    async fn run(mut self, startup: Startup) -> Result<Pass, Refusal> {
        self.facts.note_names(&startup);
        let asker = Asker { process: &self.config.process, peer: &self.incoming.peer };
        let mut request = Request::read(&startup, asker, &self.gate.pools.context.param_sets)?;
        if let Some(database) = self.config.session_alias(&request.database) {
            (request.database, request.wants_session) = (Name::clone(&database.name), true);
            self.facts.database = Name::clone(&request.database);
        }
        self.facts.replication = request.replication.as_str();
        if self.facts.manners.log_in_brief && self.config.process.log_connections {
            self.facts.log_attempt(self.incoming);
        }
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
        self.authenticate(&request, false).await?;
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
        let open = self.config.process.auth_type == AuthType::Any;
        if self.config.process.admin_users.contains(user) {
            Ok(ConsoleRights::Admin)
        } else if open || self.config.process.stats_users.contains(user) {
            Ok(ConsoleRights::Stats)
        } else {
            Err(Refusal::new(LoginResult::Rejected, replies::no_console(user)))
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

    /// Holds up a login whose address has failed too often.
    async fn keep_pace(&mut self) -> Result<(), Refusal> {
        let (Some(address), Some(rule)) =
            (self.incoming.peer.ip(), throttle::Rule::of(&self.config.process))
        else {
            return Ok(());
        };
        match self.gate.throttle.pace(address, &rule, Instant::now()) {
            Pace::Go => Ok(()),
            Pace::After(delay, _held_up) => {
                tokio::time::sleep(delay).await;
                Ok(())
            }
            Pace::Refuse => Err(Refusal::new(LoginResult::Throttled, replies::too_many_failures())),
        }
    }

    async fn authenticate(&mut self, request: &Request, is_console: bool) -> Result<(), Refusal> {
        self.keep_pace().await?;
        self.turn.begin().await;
        let visit = Visit {
            address: self.incoming.peer.ip(),
            is_encrypted: self.incoming.tls.is_some(),
            database: &request.database,
            user: &request.user,
            is_replication: matches!(
                request.replication,
                Replication::On { is_physical: true, .. }
            ),
        };
        let rejected = |fields| Refusal::new(LoginResult::Rejected, fields);
        let demand = self.identities.demand(self.config, &visit);
        let demand = demand.ok_or_else(|| rejected(replies::no_hba_entry(&visit)))?;
        if demand.method == Method::Reject {
            return Err(rejected(replies::hba_rejects(&visit)));
        }
        self.facts.method = LoginMethod::named(demand.method.as_str());
        let claim = Claim {
            gate: self.gate,
            config: self.config,
            identities: self.identities,
            user: &request.user,
            database: &request.database,
            is_console,
        };
        let proof = Proof { claim: &claim, incoming: self.incoming, turn: &mut self.turn };
        let result = proof.run(&demand).await;
        // What comes now may have to wait for a server.
        self.turn.pause();
        result
    }

    async fn enter_console(mut self, request: Request) -> Result<Pass, Refusal> {
        self.negotiate(&request).await?;
        if OPERATORS.contains(&request.user.as_ref()) && vouch::is_our_own(self.incoming) {
            self.facts.method = LoginMethod::named(Method::Peer.as_str());
            return Ok(console(request, ConsoleRights::Admin));
        }
        self.authenticate(&request, true).await?;
        self.incoming.flush().await?;
        let rights = self.console_rights(&request.user)?;
        Ok(console(request, rights))
    }

    /// The database, the limits on its clients and the user's, and the pool.
    async fn enter_pool(mut self, request: Request, counted: Counted) -> Result<Pass, Refusal> {
        let no_database = |fields| Refusal::new(LoginResult::NoDatabase, fields);
        let found = self.config.database(&request.database);
        let database = found.ok_or_else(|| no_database(replies::no_database(&request.database)))?;
        if self.gate.is_disabled(&request.database) {
            return Err(no_database(replies::disabled(&request.database)));
        }
        if self.config.process.auth_type == AuthType::Any && database.user.is_none() {
            return Err(no_database(replies::nobody_to_be(&request.database)));
        }
        let counted = self.count(&request, database, counted)?;
        let Request { database: name, user, .. } = &request;
        let credential = || self.identities.credential(self.config, database, name, user);
        let pool = self.gate.pools.get(
            self.config,
            database,
            &request.database,
            &request.user,
            credential,
        );
        // Since the pool was made its user may have another password, or have shown more than the file knows.
        pool.learn_credential(credential());
        self.facts.waits_for_server = true;
        if let Replication::On { parameters, .. } = request.replication.clone() {
            return Box::pin(self.enter_replica(request, pool, parameters, counted)).await;
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
        let limit = self.config.max_user_client_connections(&request.user);
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
        let key = self.issue_key(&request)?;
        let context = Arc::clone(&self.gate.pools.context);
        let params = welcome.params_of(&context.param_sets, &request.application_name);
        let mut bytes = Vec::with_capacity(1024);
        bytes.extend_from_slice(&backend::AUTH_OK);
        welcome.put(&mut bytes, &request.application_name);
        self.greet(bytes, &key).await?;
        let record = self.record(&request, &pool)?;
        let mut session = VirtualSession::new(
            record.client.id,
            params,
            Arc::clone(&context.param_sets),
            Arc::clone(&self.gate.statements),
        );
        if request.wants_session {
            session.pin(Cause::Session);
        }
        Ok(Pass::Client { session, pool, record, key, counted })
    }

    fn issue_key(&self, request: &Request) -> Result<Issued, Refusal> {
        let length = if request.minor >= 2 { LONG_KEY } else { SHORT_KEY };
        let (peer, client) = (self.config.process.peer_id, self.facts.id);
        self.gate.cancel_keys.issue(length, peer, client).map_err(|error| {
            let text = format!("no randomness for a cancel key: {error}");
            Refusal::new(LoginResult::Protocol, replies::internal(text))
        })
    }

    /// Sends what `bytes` begin, up to the first ReadyForQuery.
    async fn greet(&mut self, mut bytes: Vec<u8>, key: &Issued) -> Result<(), Refusal> {
        backend::put_key_data(&mut bytes, key.target.pid, &key.target.key);
        let message = &self.config.process.login_notify_message;
        if !message.is_empty() {
            replies::login_notice(message).put_notice(&mut bytes);
        }
        bytes.extend_from_slice(&backend::READY_IDLE);
        Ok(self.incoming.send(&bytes).await?)
    }

    /// The client's entry in the records.
    fn record(&self, request: &Request, pool: &Pool) -> Result<Entered, Refusal> {
        let context = &self.gate.pools.context;
        // The pool's own copies of the names, so that a client does not carry its own.
        let own = request.user == pool.key.user;
        let user = Name::clone(if own { &pool.key.user } else { &request.user });
        let Incoming { line, peer, local, .. } = &*self.incoming;
        let record = ClientRecord::new(
            self.facts.id,
            Name::clone(&pool.key.database),
            user,
            context.records.names.intern(&request.application_name),
            Ends::new(line.socket()?, peer.address(), *local),
            line.tls().map(crate::tls::label),
            self.facts.method,
        );
        Ok(context.records.enter(record.replicating(request.replication.replicates())))
    }

    /// A replication client gets a server of its own, and hears what that one says of itself.
    async fn enter_replica(
        &mut self,
        request: Request,
        pool: Arc<Pool>,
        parameters: BTreeMap<String, String>,
        counted: [Counted; 3],
    ) -> Result<Pass, Refusal> {
        // While it waits it is one of the pool's clients.
        let record = self.record(&request, &pool)?;
        let makers = &self.gate.pools.context.control;
        let made = replica::wait_for_server(&pool, parameters, &record.client, makers).await;
        let lease = made.map_err(|fields| Refusal::new(LoginResult::Server, fields))?;
        let key = self.issue_key(&request)?;
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&backend::AUTH_OK);
        for (name, value) in &lease.reported.values {
            backend::put_parameter_status(&mut bytes, name.as_bytes(), value);
        }
        lease.reported.notices.iter().for_each(|notice| bytes.extend_from_slice(notice));
        self.greet(bytes, &key).await?;
        Ok(Pass::Replica(OwnServer { pool, record, key, lease, counted }))
    }
}

fn console(request: Request, rights: ConsoleRights) -> Pass {
    let Request { user, application_name, .. } = request;
    Pass::Console { user, application_name, rights }
}
