//! Who gets in, by which method, what strangers learn, and what servers are logged in to with.

#![allow(clippy::unwrap_used, reason = "tests")]

mod auth_query;
mod cert;
mod credentials;
mod hba;
mod hostile;
mod ldap;
#[cfg(feature = "pam")]
mod pam;
mod peer;
mod secrets;
mod slapd;
mod stage;
mod storm;
mod strangers;
