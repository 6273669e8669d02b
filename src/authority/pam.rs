//! PAM: the machine's own rules for passwords. Built with the feature `pam`.

use std::net::IpAddr;

use super::{Unavailable, Verdict};
use crate::secret::Secret;

/// Asks PAM whether a password is a user's, and whether the account may be used. Blocks: a module may take seconds.
///
/// # Errors
/// PAM cannot be asked.
#[cfg(feature = "pam")]
pub fn check_pam(
    service: &str,
    user: &str,
    password: &Secret,
    from: Option<IpAddr>,
) -> Result<Verdict, Unavailable> {
    use pam_client2::conv_mock::Conversation;
    use pam_client2::{Context, ErrorCode, Flag};

    if password.expose().is_empty() || user.contains('\0') || password.expose().contains('\0') {
        return Ok(Verdict::Denied);
    }
    let conversation = Conversation::with_credentials(user, password.expose());
    let mut context = Context::new(service, Some(user), conversation)
        .map_err(|error| Unavailable(format!("PAM service {service}: {error}")))?;
    if let Some(from) = from {
        // A module that looks at it has its own opinion of a missing one.
        let _ = context.set_rhost(Some(&from.to_string()));
    }
    let judged = context.authenticate(Flag::SILENT).and_then(|()| context.acct_mgmt(Flag::SILENT));
    match judged.map_err(|error| (error.code(), error.to_string())) {
        Ok(()) => Ok(Verdict::Accepted),
        Err((ErrorCode::SYSTEM_ERR | ErrorCode::SERVICE_ERR | ErrorCode::ABORT, text)) => {
            Err(Unavailable(format!("PAM service {service}: {text}")))
        }
        Err(_) => Ok(Verdict::Denied),
    }
}

/// PAM was left out of this build.
///
/// # Errors
/// Always.
#[cfg(not(feature = "pam"))]
pub fn check_pam(
    _service: &str,
    _user: &str,
    _password: &Secret,
    _from: Option<IpAddr>,
) -> Result<Verdict, Unavailable> {
    Err(Unavailable("this pgusher was built without PAM (feature `pam`)".to_owned()))
}
