//! What is known of a login, for the log and the metrics.

use super::entry::Pass;
use super::handshake::Incoming;
use super::manners::Manners;
use crate::config::Config;
use crate::types::{LoginMethod, Name};
use crate::wire::ErrorFields;
use crate::wire::startup::Startup;

/// What is known of a login so far, for the log and the metrics.
pub(super) struct Facts {
    pub(super) user: Name,
    pub(super) database: Name,
    pub(super) method: LoginMethod,
    /// The client's number.
    pub(super) id: u64,
    /// `replication` in PgBouncer's words.
    pub(super) replication: &'static str,
    /// It waits for a server to say what its session begins with.
    pub(super) waits_for_server: bool,
    pub(super) manners: Manners,
}

impl Facts {
    /// The database's name for the metrics: empty unless it is in the configuration, since strangers choose names.
    pub(super) fn counted_as(&self, config: &Config) -> Name {
        let known = config.databases.get_key_value(&self.database);
        known.map_or_else(|| "".into(), |(name, _)| Name::clone(name))
    }

    pub(super) fn new(id: u64, manners: Manners) -> Self {
        Facts {
            user: "".into(),
            database: "".into(),
            method: LoginMethod::default(),
            id,
            replication: "no",
            waits_for_server: false,
            manners,
        }
    }

    /// Who it says it is, as far as its packet can be read.
    pub(super) fn note_names(&mut self, startup: &Startup) {
        let text =
            |name: &str| startup.get(name).map(|value| Name::from(String::from_utf8_lossy(value)));
        self.user = text("user").unwrap_or_default();
        let database = text("database").filter(|name| !name.is_empty());
        self.database = database.unwrap_or_else(|| Name::clone(&self.user));
    }

    /// PgBouncer says so before it knows whether the client is who it says.
    pub(super) fn log_attempt(&self, incoming: &Incoming) {
        let Facts { user, database, id, replication, .. } = self;
        let tls = incoming.line.tls().map(crate::tls::label);
        let tls = tls.map_or_else(|| "no".to_owned(), |label| label.to_string());
        tracing::info!(client = id, ?database, ?user, peer = %incoming.peer, tls, replication, "login attempt");
    }

    pub(super) fn log_arrival(&self, incoming: &Incoming, pass: &Pass) {
        let Facts { user, database, replication, .. } = self;
        let method = self.method.as_str();
        if self.manners.log_in_brief {
            return;
        }
        let (peer, tls) = (&incoming.peer, incoming.tls_version());
        match pass {
            Pass::Client { record, .. } => {
                let application_name = record.client.application_name.lock();
                let client = record.client.id;
                tracing::info!(client, %database, %user, %peer, tls, method, %application_name, "client connected");
            }
            Pass::Replica(own) => {
                let client = own.record.client.id;
                tracing::info!(client, %database, %user, %peer, tls, method, replication, "replication client connected");
            }
            Pass::Console { .. } => {
                tracing::info!(%database, %user, %peer, tls, method, "console connected");
            }
        }
    }

    fn log_failure(&self, incoming: &Incoming, fields: &ErrorFields) {
        let Facts { user, database, id, .. } = self;
        let method = self.method.as_str();
        let (peer, tls) = (&incoming.peer, incoming.tls_version());
        let (code, reason) = (&fields.code, &fields.message);
        let words = self.manners.log_words(fields);
        // Strangers choose these names: quoted, so that no line of the log is theirs.
        tracing::info!(client = id, ?database, ?user, %peer, tls, method, %code, ?reason, words, "login failed");
    }

    /// A login that fails, as the settings have it.
    pub(super) fn log_refusal(&self, incoming: &Incoming, fields: &ErrorFields, config: &Config) {
        if config.process.log_pooler_errors {
            self.log_error(incoming, fields);
        }
        self.log_failure(incoming, fields);
    }

    fn log_error(&self, incoming: &Incoming, fields: &ErrorFields) {
        let Facts { user, database, id, .. } = self;
        let (code, reason) = (&fields.code, &fields.message);
        let words = self.manners.log_words(fields);
        tracing::warn!(client = id, ?database, ?user, peer = %incoming.peer, %code, ?reason, words, "error told to the client");
    }
}
