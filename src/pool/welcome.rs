//! What a client is told at its login: the parameters its session has, in PostgreSQL's own words.

use std::sync::Arc;

use ahash::AHashMap;
use parking_lot::Mutex;

use super::{Checkout, CloseReason, Lease, Pool, PoolError, Standing, Waiting};
use crate::server::{CleanError, Server, run_sql};
use crate::session::params::{ParamSet, ParamSets, Reported};
use crate::session::replay::replay_sql;
use crate::types::WorkerId;
use crate::wire::{ErrorFields, backend};

const APPLICATION_NAME: &str = "application_name";

/// Distinct sets of start-up parameters that are remembered per pool.
const REMEMBERED: usize = 1024;

/// The answer to one set of start-up parameters.
#[derive(Debug)]
pub struct Welcome {
    /// ParameterStatus messages, without that of application_name, and NoticeResponse messages of the server's login.
    messages: Box<[u8]>,
    /// Every client has an application_name of its own: where its message belongs, and what servers start with.
    /// `None`: servers do not report it.
    name: Option<(usize, Box<[u8]>)>,
    /// The session's parameters, values as PostgreSQL writes them, defaults left out.
    pub params: Arc<ParamSet>,
    /// These with the name of the last client that has one of its own: the next is mostly of the same application.
    named: Mutex<Arc<ParamSet>>,
}

impl Welcome {
    fn new<'a>(
        status: impl Iterator<Item = (&'a str, &'a [u8])>,
        notices: &[Box<[u8]>],
        params: Arc<ParamSet>,
    ) -> Self {
        let (mut messages, mut place) = (Vec::new(), None);
        for (name, value) in status {
            if name == APPLICATION_NAME {
                place = Some((messages.len(), value.into()));
            } else {
                backend::put_parameter_status(&mut messages, name.as_bytes(), value);
            }
        }
        notices.iter().for_each(|notice| messages.extend_from_slice(notice));
        let named = Mutex::new(Arc::clone(&params));
        Welcome { messages: messages.into(), name: place, params, named }
    }

    /// Appends the messages for a client with this name.
    pub fn put(&self, out: &mut Vec<u8>, application_name: &str) {
        let at = self.name.as_ref().map_or(0, |(at, _)| *at);
        let (before, behind) = self.messages.split_at_checked(at).unwrap_or_default();
        out.extend_from_slice(before);
        if self.name.is_some() {
            let name = APPLICATION_NAME.as_bytes();
            backend::put_parameter_status(out, name, application_name.as_bytes());
        }
        out.extend_from_slice(behind);
    }

    /// The parameters of a client with this name, which is not worth asking the server about.
    pub fn params_of(&self, sets: &ParamSets, application_name: &str) -> Arc<ParamSet> {
        let default = self.name.as_ref().map_or(&b""[..], |(_, value)| value);
        if default == application_name.as_bytes() {
            return Arc::clone(&self.params);
        }
        let mut named = self.named.lock();
        if named.get(APPLICATION_NAME) != Some(application_name.as_bytes()) {
            *named = sets.with(&self.params, APPLICATION_NAME, Some(application_name.as_bytes()));
        }
        Arc::clone(&named)
    }
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

    fn get(&mut self, asked: &Arc<ParamSet>) -> Option<Arc<Welcome>> {
        if let Some((_, known)) = self.known.get(&Arc::as_ptr(asked).addr()) {
            return Some(Arc::clone(known));
        }
        let base = self.base.as_ref().filter(|_| asked.values().is_empty())?;
        let status = base.values.iter().map(|(name, value)| (&**name, &**value));
        let welcome = Arc::new(Welcome::new(status, &base.notices, Arc::clone(asked)));
        self.learn(asked, &welcome);
        Some(welcome)
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
        if let Some(known) = self.welcomes.lock().get(asked) {
            return Ok(known);
        }
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
    let status = reported.values.iter().map(|(name, default)| {
        (&**name, params.get(&name.to_ascii_lowercase()).unwrap_or(default))
    });
    Welcome::new(status, &reported.notices, Arc::clone(&params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_reads_its_own_name_in_its_place() {
        let sets = ParamSets::default();
        let none = sets.intern(Default::default());
        let status = [("a", &b"1"[..]), ("application_name", b"psql"), ("b", b"\xff")];
        let welcome = Welcome::new(status.into_iter(), &[b"N".as_slice().into()], none.clone());
        let (mut said, mut expected) = (Vec::new(), Vec::new());
        welcome.put(&mut said, "mine");
        for (name, value) in [("a", &b"1"[..]), ("application_name", b"mine"), ("b", b"\xff")] {
            backend::put_parameter_status(&mut expected, name.as_bytes(), value);
        }
        expected.push(b'N');
        assert_eq!(said, expected);
        assert!(Arc::ptr_eq(&welcome.params_of(&sets, "psql"), &none));
        let named = welcome.params_of(&sets, "mine");
        assert_eq!(named.get("application_name"), Some(&b"mine"[..]));
        assert!(Arc::ptr_eq(&welcome.params_of(&sets, "mine"), &named));
        let other = welcome.params_of(&sets, "other");
        assert_eq!(other.get("application_name"), Some(&b"other"[..]));
    }

    #[test]
    fn a_server_that_tells_no_name_is_not_spoken_for() {
        let sets = ParamSets::default();
        let none = sets.intern(Default::default());
        let welcome = Welcome::new([("a", &b"1"[..])].into_iter(), &[], none.clone());
        let (mut said, mut expected) = (Vec::new(), Vec::new());
        welcome.put(&mut said, "mine");
        backend::put_parameter_status(&mut expected, b"a", b"1");
        assert_eq!(said, expected);
        assert!(Arc::ptr_eq(&welcome.params_of(&sets, ""), &none));
    }
}
