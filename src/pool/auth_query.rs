//! Users that no file knows are looked up on a server, over connections that serve nothing else.
//!
//! No client's session ever touches these connections: their start-up packet holds nothing but the user, the
//! database and a `search_path` that nobody can put a function or an operator into. They have a limit of their own,
//! which is [small](super::auth_desk::CONNECTIONS), and do not count as servers of any pool or database: a pool that is full of busy
//! servers must not keep those out who would have to be looked up to get in. A server that hangs holds up nobody who
//! does not ask it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::PoolsContext;
use super::auth_desk::Desk;
use crate::auth::{SecretKind, ServerCredential, StoredSecret};
use crate::config::ServerTlsSettings;
use crate::server::{self, Blueprint, LookupError, Row, Server};
use crate::sqlstate;
use crate::stats::{AuthServerFacts, ServerState};
use crate::types::{LoadBalance, Name, ServerAddress, Timeout};

/// The application_name of connections over which users are looked up.
pub const AUTH_QUERY: &str = "pgusher auth_query";

/// Where users are looked up, and by what.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AuthPlace {
    /// The servers.
    pub addresses: Vec<ServerAddress>,
    /// The database on them.
    pub database: Name,
    /// Who asks.
    pub user: Name,
    /// What is asked.
    pub query: Name,
}

/// One question.
#[derive(Clone, Debug)]
pub struct AuthQuestion {
    /// Where.
    pub place: AuthPlace,
    /// What proves who asks.
    pub credential: ServerCredential,
    /// How the connection is encrypted.
    pub tls: Arc<ServerTlsSettings>,
    /// The user who is looked up.
    pub name: Name,
    /// How long the answer may take.
    pub timeout: Duration,
    /// How long an answer may be used again.
    pub ttl: Timeout,
    /// This one must be new.
    pub is_fresh: bool,
}

/// What is known of a user: the secret, or that there is nobody who may log in.
#[derive(Clone, Debug)]
pub struct AuthAnswer {
    /// The secret.
    pub secret: Option<StoredSecret>,
    /// It was asked for earlier, on behalf of another login.
    pub is_cached: bool,
}

/// Nobody could be looked up. `Display` is for the log: it holds no secret.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AuthQueryError {
    /// The servers have no such database.
    #[error("{0}")]
    NoDatabase(Arc<str>),
    /// The server cannot be asked, or what it says is no answer.
    #[error("{0}")]
    Broken(Arc<str>),
}

impl AuthQueryError {
    fn new(text: impl fmt::Display) -> Self {
        AuthQueryError::Broken(text.to_string().into())
    }
}

pub(super) type Outcome = Result<Option<StoredSecret>, AuthQueryError>;

/// All lookups.
#[derive(Debug)]
pub struct AuthQueries {
    context: Arc<PoolsContext>,
    desks: Mutex<HashMap<AuthPlace, Arc<Desk>>>,
    /// The kind of secret that was found last.
    usual: Arc<Mutex<SecretKind>>,
}

impl AuthQueries {
    pub(super) fn new(context: &Arc<PoolsContext>) -> Self {
        // What PostgreSQL makes unless it is told otherwise.
        let usual = Arc::new(Mutex::new(SecretKind::Scram));
        AuthQueries { context: Arc::clone(context), desks: Mutex::default(), usual }
    }

    /// The kind of secret that users have who are looked up.
    pub fn usual(&self) -> SecretKind {
        *self.usual.lock()
    }

    /// Looks a user up. Logins that ask for the same user at the same time share an answer, but never one that was
    /// asked for before they came: a password that was changed before the login is the one that counts.
    ///
    /// # Errors
    /// The server cannot be asked, or its answer is none.
    pub async fn ask(&self, question: AuthQuestion) -> Result<AuthAnswer, AuthQueryError> {
        let desk = self.desk(&question.place);
        if let Some(ttl) = question.ttl.filter(|_| !question.is_fresh)
            && let Some(secret) = desk.cached(&question.name, ttl)
        {
            return Ok(AuthAnswer { secret, is_cached: true });
        }
        let (sender, answer) = oneshot::channel();
        if desk.enqueue(&question.name, sender) {
            let (context, usual) = (Arc::clone(&self.context), Arc::clone(&self.usual));
            self.control().spawn(Rounds { desk, question, context, usual }.run());
        }
        // The task answers everybody, or was dropped with the runtime.
        let outcome = answer.await.unwrap_or_else(|_| Err(AuthQueryError::new("shutting down")));
        outcome.map(|secret| AuthAnswer { secret, is_cached: false })
    }

    fn control(&self) -> &Handle {
        &self.context.control
    }

    fn desk(&self, place: &AuthPlace) -> Arc<Desk> {
        let mut desks = self.desks.lock();
        Arc::clone(desks.entry(place.clone()).or_insert_with(|| Arc::new(Desk::new())))
    }

    /// The connections there are.
    pub fn servers(&self) -> Vec<AuthServerFacts> {
        let mut all = Vec::new();
        for (place, desk) in self.desks.lock().iter() {
            all.extend(desk.servers().into_iter().map(|server| AuthServerFacts {
                database: Name::clone(&place.database),
                user: Name::clone(&place.user),
                server,
            }));
        }
        all
    }

    /// Closes connections and forgets answers: the configuration is another.
    pub(super) fn forget(&self) {
        self.desks.lock().clear();
    }

    /// Closes connections that nobody needs, and forgets places that nobody asks: strangers may name databases.
    pub(super) fn tidy(&self) {
        self.desks.lock().retain(|_, desk| {
            desk.tidy();
            desk.is_used() || Arc::strong_count(desk) > 1
        });
    }
}

/// Looks one user up as long as somebody asks.
struct Rounds {
    desk: Arc<Desk>,
    question: AuthQuestion,
    context: Arc<PoolsContext>,
    usual: Arc<Mutex<SecretKind>>,
}

impl Rounds {
    async fn run(self) {
        let AuthQuestion { name, timeout, ttl, .. } = &self.question;
        while let Some(waiting) = self.desk.next_round(name) {
            let asked = Instant::now();
            let outcome = tokio::time::timeout(*timeout, self.look()).await.unwrap_or_else(|_| {
                let text = format!("no answer within {timeout:?} (auth_query_timeout)");
                Err(AuthQueryError::new(text))
            });
            if let Ok(Some(secret)) = &outcome {
                *self.usual.lock() = secret.sort();
            }
            if let (Some(ttl), Ok(secret)) = (ttl, &outcome) {
                self.desk.keep(name, asked, *ttl, secret.clone());
            }
            for sender in waiting {
                // A login that is over does not listen.
                let _ = sender.send(outcome.clone());
            }
        }
    }

    async fn look(&self) -> Outcome {
        let _permit = self.desk.permits.acquire().await.map_err(AuthQueryError::new)?;
        // Bound first: the guard must not live as long as the match.
        let idle = self.desk.idle.lock().pop();
        if let Some(server) = idle {
            match self.ask(server).await {
                // It may have died long ago; a new one knows better.
                Err(LookupError::Lost(_)) => {}
                Err(LookupError::Refused(fields)) => return Err(AuthQueryError::new(fields)),
                Ok(rows) => return self.read(&rows),
            }
        }
        let server = self.connect().await?;
        self.desk.enter(&server.record);
        let rows = self.ask(server).await.map_err(AuthQueryError::new)?;
        self.read(&rows)
    }

    async fn ask(&self, mut server: Box<Server>) -> Result<Vec<Row>, LookupError> {
        let AuthQuestion { place, name, .. } = &self.question;
        server.record.request_at(Instant::now());
        server.record.enter(ServerState::Active, 0);
        let rows = server::lookup(&mut server, &place.query, name).await;
        if !matches!(rows, Err(LookupError::Lost(_))) {
            server.record.enter(ServerState::Idle, 0);
            server.last_used = Instant::now();
            self.desk.idle.lock().push(server);
        }
        rows
    }

    async fn connect(&self) -> Result<Box<Server>, AuthQueryError> {
        let AuthQuestion { place, credential, tls, timeout, .. } = &self.question;
        let parameters = [("application_name", AUTH_QUERY), ("search_path", "pg_catalog")];
        let parameters = parameters.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let blueprint = Blueprint {
            addresses: place.addresses.clone(),
            load_balance: LoadBalance::Disable,
            connect_query: String::new(),
            database: Name::clone(&place.database),
            user: Name::clone(&place.user),
            credential: credential.clone(),
            startup_parameters: parameters.into(),
            tls: Arc::clone(tls),
        };
        let id = self.context.records.ids.next();
        server::connect(&blueprint, Some(*timeout), &self.context.means(), id, 0).await.map_err(
            |error| {
                let text = format!("cannot log in: {}", error.fields);
                if &*error.fields.code == sqlstate::UNDEFINED_DATABASE.0 {
                    return AuthQueryError::NoDatabase(text.into());
                }
                AuthQueryError::new(text)
            },
        )
    }

    fn read(&self, rows: &[Row]) -> Outcome {
        let fail = |why: &str| Err(AuthQueryError::new(format!("auth_query gives {why}")));
        let row = match rows {
            [] => return Ok(None),
            [row] => row,
            _ => return fail("more than one row"),
        };
        let [name, secret] = row.as_slice() else {
            return fail(&format!("{} columns, not 2: the name and the password", row.len()));
        };
        if name.as_deref() != Some(self.question.name.as_bytes()) {
            return fail("another name than it was asked for");
        }
        match secret.as_deref().map(std::str::from_utf8) {
            // NULL and an empty password: no login.
            None | Some(Ok("")) => Ok(None),
            Some(Ok(text)) => Ok(Some(StoredSecret::parse(text))),
            Some(Err(_)) => fail("a password that is not UTF-8"),
        }
    }
}
