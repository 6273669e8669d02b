//! SET: one setting changes, until the next reload.

use std::sync::Arc;

use super::process::Process;
use crate::client::Identities;
use crate::config::Origin;
use crate::tls::Keys;

/// What somebody reads who has set something about TLS that does not work.
const KEPT: &str = "TLS settings could not be applied, still using old configuration";

/// Why nothing has changed.
pub(super) enum Refused {
    /// The values do not fit each other.
    Settings(String),
    /// No TLS can be made of them. It may be of the next SET: a key and its certificate change one by one.
    Keys(String),
}

impl Refused {
    /// Says so in the log.
    pub(super) fn tell(&self) {
        match self {
            Refused::Settings(why) => why.lines().for_each(|line| tracing::error!("{line}")),
            Refused::Keys(why) => {
                why.lines().for_each(|why| tracing::error!(%why, "TLS setup failed"));
            }
        }
    }
}

impl Process {
    /// Puts a setting in force; returns what the operator should know.
    ///
    /// # Errors
    /// Why nothing has changed.
    pub(super) async fn set(&self, key: &str, value: &str) -> Result<Vec<String>, String> {
        let _alone = self.changing.lock().await;
        let origin = Arc::clone(&self.origin.read()).with(key, value)?;
        let is_tls = ["_tls_", "_tls13_"].iter().any(|part| key.contains(part));
        let notes = match self.change_to(&origin, is_tls) {
            Ok(notes) => notes,
            Err(Refused::Settings(why)) if is_tls => {
                Refused::Keys(why).tell();
                return Ok(vec![KEPT.to_owned()]);
            }
            Err(Refused::Settings(why)) => return Err(why),
            Err(refused @ Refused::Keys(_)) => {
                refused.tell();
                vec![KEPT.to_owned()]
            }
        };
        *self.origin.write() = Arc::new(origin);
        Ok(notes)
    }

    fn change_to(&self, origin: &Origin, is_tls: bool) -> Result<Vec<String>, Refused> {
        let config = origin.resolve().map_err(Refused::Settings)?;
        let kept = &self.gate.identities().kept;
        let identities = Identities::load(&config, kept).map_err(Refused::Settings)?;
        if is_tls {
            let keys = Keys::load(&config).map_err(|error| Refused::Keys(error.to_string()))?;
            self.keyring.replace(keys);
        }
        Ok(self.put_in_force(config, identities))
    }
}
