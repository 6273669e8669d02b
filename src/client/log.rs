//! What is logged of clients that come and go.

use super::disconnect::Goodbye;
use crate::stats::ClientRecord;

/// A client has come (`log_connections`).
pub(super) fn arrival(client: &ClientRecord) {
    tracing::info!(
        client = client.id,
        database = %client.database,
        user = %client.user,
        peer = %client.peer.map_or_else(|| "unix".to_owned(), |peer| peer.to_string()),
        application_name = %client.application_name.lock(),
        "client connected"
    );
}

/// A client has left (`log_disconnections`).
pub(super) fn departure(client: &ClientRecord, goodbye: &Goodbye) {
    tracing::info!(
        client = client.id,
        database = %client.database,
        user = %client.user,
        age_seconds = client.since.elapsed().as_secs(),
        reason = %goodbye,
        "client disconnected"
    );
}
