//! What is known of a login, for the log and the metrics.

use super::entry::Pass;
use super::handshake::Incoming;
use crate::config::Config;
use crate::types::Name;
use crate::wire::ErrorFields;

/// What is known of a login so far, for the log and the metrics.
pub(super) struct Facts {
    pub(super) user: Name,
    pub(super) database: Name,
    pub(super) method: &'static str,
}

impl Default for Facts {
    fn default() -> Self {
        Facts { user: "".into(), database: "".into(), method: "none" }
    }
}

impl Facts {
    /// The database's name for the metrics: empty unless it is in the configuration, since strangers choose names.
    pub(super) fn counted_as(&self, config: &Config) -> Name {
        let known = config.databases.get_key_value(&self.database);
        known.map_or_else(|| "".into(), |(name, _)| Name::clone(name))
    }

    pub(super) fn log_arrival(&self, incoming: &Incoming, pass: &Pass) {
        let Facts { user, database, method } = self;
        let (peer, tls) = (&incoming.peer, incoming.tls_version());
        match pass {
            Pass::Client { record, .. } => {
                let application_name = record.client.application_name.lock();
                let client = record.client.id;
                tracing::info!(client, %database, %user, %peer, tls, method, %application_name, "client connected");
            }
            Pass::Console { .. } => {
                tracing::info!(%database, %user, %peer, tls, method, "console connected");
            }
        }
    }

    pub(super) fn log_failure(&self, incoming: &Incoming, fields: &ErrorFields) {
        let Facts { user, database, method } = self;
        let (peer, tls) = (&incoming.peer, incoming.tls_version());
        let (code, reason) = (&fields.code, &fields.message);
        // Strangers choose these names: quoted, so that no line of the log is theirs.
        tracing::info!(?database, ?user, %peer, tls, method, %code, ?reason, "login failed");
    }
}
