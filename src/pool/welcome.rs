//! What a client is told at its login: the parameters its session has, in PostgreSQL's own words.

use std::sync::Arc;

use ahash::AHashMap;

use super::{Checkout, CloseReason, Lease, Pool, PoolError, Standing, Waiting};
use crate::server::{CleanError, Server, run_sql};
use crate::session::params::{ParamSet, Reported};
use crate::session::replay::replay_sql;
use crate::types::WorkerId;
use crate::wire::ErrorFields;

/// Distinct sets of start-up parameters that are remembered per pool.
const REMEMBERED: usize = 1024;

/// The answer to one set of start-up parameters.
#[derive(Debug)]
pub struct Welcome {
    /// ParameterStatus messages: name and value.
    pub status: Vec<(Box<str>, Box<[u8]>)>,
    /// NoticeResponse messages of the server's login.
    pub notices: Vec<Box<[u8]>>,
    /// The session's parameters, values as PostgreSQL writes them, defaults left out.
    pub params: Arc<ParamSet>,
}

/// Welcomes known so far, by the very set of parameters asked for.
#[derive(Debug, Default)]
pub(super) struct Welcomes {
    base: Option<Arc<Reported>>,
    /// By the address of the set, which the entry keeps alive.
    known: AHashMap<usize, (Arc<ParamSet>, Arc<Welcome>)>,
}

impl Welcomes {
    pub(super) fn forget(&mut self) {
        self.base = None;
        self.known.clear();
    }

    pub(super) fn set_base(&mut self, reported: &Arc<Reported>) {
        self.base = Some(Arc::clone(reported));
    }

    fn get(&self, asked: &Arc<ParamSet>) -> Option<Arc<Welcome>> {
        if let Some((_, known)) = self.known.get(&Arc::as_ptr(asked).addr()) {
            return Some(Arc::clone(known));
        }
        let base = self.base.as_ref().filter(|_| asked.values().is_empty())?;
        Some(Arc::new(Welcome {
            status: base.values.clone(),
            notices: base.notices.clone(),
            params: Arc::clone(asked),
        }))
    }

    fn learn(&mut self, asked: &Arc<ParamSet>, welcome: &Arc<Welcome>) {
        if self.known.len() >= REMEMBERED {
            self.known.clear();
        }
        self.known.insert(Arc::as_ptr(asked).addr(), (Arc::clone(asked), Arc::clone(welcome)));
    }
}

/// Why a login gets no welcome.
#[derive(Debug)]
pub enum WelcomeError {
    /// There is no server to ask.
    Pool(PoolError),
    /// The server refuses a parameter.
    Refused(ErrorFields),
    /// The server went away while it was asked.
    Lost,
}

impl Pool {
    /// The parameters its servers report for a session that has set none, once one has logged in.
    pub fn defaults(&self) -> Option<Arc<Reported>> {
        self.welcomes.lock().base.clone()
    }

    /// What a client that asks for these parameters is told. The first client with a new set waits for a server to
    /// confirm it; the others are answered at once.
    ///
    /// # Errors
    /// See [`WelcomeError`].
    pub async fn welcome(
        self: &Arc<Self>,
        asked: &Arc<ParamSet>,
    ) -> Result<Arc<Welcome>, WelcomeError> {
        let mut lease = tokio::select! {
            biased;
            known = self.known_welcome(asked) => return Ok(known),
            lease = self.checkout_off_path() => lease.map_err(WelcomeError::Pool)?,
        };
        let welcome = Arc::new(ask(&mut lease, asked).await?);
        self.welcomes.lock().learn(asked, &welcome);
        self.welcomed.notify_waiters();
        Ok(welcome)
    }

    /// Waits until the answer is known: others may be told by the servers that they hold for long.
    async fn known_welcome(&self, asked: &Arc<ParamSet>) -> Arc<Welcome> {
        loop {
            let news = self.welcomed.notified();
            if let Some(known) = self.welcomes.lock().get(asked) {
                return known;
            }
            news.await;
        }
    }

    /// A server for somebody who is not a client's session.
    async fn checkout_off_path(self: &Arc<Self>) -> Result<Lease, PoolError> {
        match self.checkout(
            Standing::default(),
            WorkerId::CONTROL,
            std::time::Instant::now(),
            Arc::<Waiting>::default,
        ) {
            Checkout::Now(lease) => Ok(lease),
            Checkout::Never(error) => Err(error),
            Checkout::Later(mut ticket) => std::future::poll_fn(|cx| ticket.poll(cx)).await,
        }
    }
}

async fn ask(lease: &mut Lease, asked: &Arc<ParamSet>) -> Result<Welcome, WelcomeError> {
    if let Some(sql) = replay_sql(&lease.applied, asked) {
        // Until the answer is there, nobody knows what the session holds; the client may not wait for it.
        lease.condemn(CloseReason::Unclean);
        match run_sql(lease, &sql).await {
            Ok(()) => lease.pardon(),
            Err(CleanError::Refused(fields)) => {
                lease.pardon();
                return Err(WelcomeError::Refused(fields));
            }
            Err(_) => {
                lease.condemn(CloseReason::Error);
                return Err(WelcomeError::Lost);
            }
        }
    }
    Ok(confirm(lease, asked))
}

/// Takes the server's word for the reported parameters, and the client's for the others.
fn confirm(server: &mut Server, asked: &ParamSet) -> Welcome {
    let reported = Arc::clone(&server.reported);
    let mut values = asked.values().clone();
    for (name, _) in &reported.values {
        let key = name.to_ascii_lowercase();
        match server.applied.get(&key) {
            Some(value) => drop(values.insert(key.into(), value.into())),
            None => drop(values.remove(key.as_str())),
        }
    }
    let params = server.intern(values);
    server.applied = Arc::clone(&params);
    let status = reported
        .values
        .iter()
        .map(|(name, default)| {
            let value = params.get(&name.to_ascii_lowercase());
            (name.clone(), value.map_or_else(|| default.clone(), Into::into))
        })
        .collect();
    Welcome { status, notices: reported.notices.clone(), params }
}
