//! Logins, counted.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::stats::{Buckets, Histogram, HistogramTotal, LoginCount};
use crate::types::{LoginMethod, Name};

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoginResult {
    /// The client is in.
    Ok,
    /// It could not prove who it is.
    AuthFailed,
    /// It may not come in, whoever it is: by `auth_hba_file`, or to the console.
    Rejected,
    /// Too many logins of its address fail.
    Throttled,
    /// A limit on clients.
    Limit,
    /// `client_login_timeout`.
    Timeout,
    /// It came without TLS where there is no session without.
    TlsRequired,
    /// No such database, or it is disabled.
    NoDatabase,
    /// The server could not be reached, or refused.
    Server,
    /// It broke the protocol, or went away.
    Protocol,
}

impl LoginResult {
    /// All results, in the order of their numbers.
    pub const ALL: [LoginResult; 10] = [
        LoginResult::Ok,
        LoginResult::AuthFailed,
        LoginResult::Rejected,
        LoginResult::Throttled,
        LoginResult::Limit,
        LoginResult::Timeout,
        LoginResult::TlsRequired,
        LoginResult::NoDatabase,
        LoginResult::Server,
        LoginResult::Protocol,
    ];

    /// The label's value.
    pub fn as_str(self) -> &'static str {
        match self {
            LoginResult::Ok => "ok",
            LoginResult::AuthFailed => "auth_failed",
            LoginResult::Rejected => "rejected",
            LoginResult::Throttled => "throttled",
            LoginResult::Limit => "limit",
            LoginResult::Timeout => "timeout",
            LoginResult::TlsRequired => "tls_required",
            LoginResult::NoDatabase => "no_database",
            LoginResult::Server => "server",
            LoginResult::Protocol => "protocol",
        }
    }
}

/// How logins are told apart: by result, method and database.
type Kind = (LoginResult, LoginMethod, Name);

/// Logins by result, method and database, and how long they took. A lock is cheap beside a login.
#[derive(Debug)]
pub struct LoginCounts {
    counts: Mutex<BTreeMap<Kind, u64>>,
    took: Mutex<Histogram>,
}

impl LoginCounts {
    pub(super) fn new(buckets: &Buckets) -> Self {
        LoginCounts { counts: Mutex::default(), took: Mutex::new(Histogram::new(buckets)) }
    }

    /// A login ended. `database` is one of the configuration's, or empty: strangers choose names.
    pub(super) fn count(
        &self,
        result: LoginResult,
        method: LoginMethod,
        database: Name,
        took: Duration,
    ) {
        *self.counts.lock().entry((result, method, database)).or_default() += 1;
        if result == LoginResult::Ok {
            self.took.lock().observe(took);
        }
    }

    /// How many logins ended which way: those that happened, and every result at least once.
    pub fn all(&self) -> Vec<LoginCount> {
        let mut counts = self.counts.lock().clone();
        for result in LoginResult::ALL {
            counts.entry((result, LoginMethod::default(), "".into())).or_default();
        }
        let all = counts.into_iter();
        all.map(|((result, method, database), count)| LoginCount {
            result: result.as_str(),
            method: method.as_str(),
            database,
            count,
        })
        .collect()
    }

    /// How long successful logins took.
    pub fn took(&self) -> HistogramTotal {
        let mut total = HistogramTotal::default();
        self.took.lock().add_to(&mut total);
        total
    }
}
