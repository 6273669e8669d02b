//! Logins, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::stats::{Buckets, Histogram, HistogramTotal};
use crate::types::LoginMethod;

/// How a login ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Logins by result and method, and how long they took.
#[derive(Debug)]
pub struct LoginCounts {
    counts: [[AtomicU64; LoginMethod::NAMES.len()]; LoginResult::ALL.len()],
    took: Mutex<Histogram>,
}

impl LoginCounts {
    pub(super) fn new(buckets: &Buckets) -> Self {
        LoginCounts { counts: Default::default(), took: Mutex::new(Histogram::new(buckets)) }
    }

    /// A login ended.
    pub(super) fn count(
        &self,
        result: LoginResult,
        method: LoginMethod,
        took: std::time::Duration,
    ) {
        let count = self.counts.get(result as usize).and_then(|counts| counts.get(method.index()));
        if let Some(count) = count {
            count.fetch_add(1, Ordering::Relaxed);
        }
        if result == LoginResult::Ok {
            self.took.lock().observe(took);
        }
    }

    /// How many logins ended which way, by which method: those that happened, and every result at least once.
    pub fn all(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut all = Vec::new();
        for (result, counts) in LoginResult::ALL.iter().zip(&self.counts) {
            for (at, (method, count)) in LoginMethod::NAMES.iter().zip(counts).enumerate() {
                let count = count.load(Ordering::Relaxed);
                if count > 0 || at == 0 {
                    all.push((result.as_str(), *method, count));
                }
            }
        }
        all
    }

    /// How long successful logins took.
    pub fn took(&self) -> HistogramTotal {
        let mut total = HistogramTotal::default();
        self.took.lock().add_to(&mut total);
        total
    }
}
