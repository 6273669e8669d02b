//! Those who vouch for somebody in pgusher's place: an LDAP server, PAM, the operating system.
//!
//! Nobody here is asked on a thread that relays traffic. Passwords are passed on and never kept, shown or logged.

mod ldap;
mod pam;
mod system;

pub use ldap::check_ldap;
pub use pam::check_pam;
pub use system::{NoGroup, group_id, is_own_uid, peer_uid, user_name};

/// What an authority says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The password is the user's.
    Accepted,
    /// It is not, or there is no such user.
    Denied,
}

/// An authority that cannot be asked. `Display` is for the log, and holds no secret.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);
