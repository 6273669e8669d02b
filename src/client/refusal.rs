//! Why a login failed.

use super::login_counts::LoginResult;
use super::replies;
use crate::wire::ErrorFields;

/// Why a login failed: what is counted, and what the client reads.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) LoginResult, pub(super) Box<ErrorFields>);

impl Refusal {
    pub(super) fn new(result: LoginResult, fields: ErrorFields) -> Self {
        Refusal(result, Box::new(fields))
    }
}

impl From<std::io::Error> for Refusal {
    fn from(error: std::io::Error) -> Self {
        Refusal::new(LoginResult::Protocol, replies::bad_login(&error.to_string()))
    }
}

/// A message of the login that cannot be read.
pub(super) fn malformed(error: &dyn std::fmt::Display) -> Refusal {
    Refusal::new(LoginResult::Protocol, replies::bad_login(&error.to_string()))
}
