//! What is logged of clients that go.

use super::disconnect::Goodbye;
use super::manners::Manners;
use crate::stats::ClientRecord;
use crate::wire::ErrorFields;

/// A client has left (`log_disconnections`).
pub(super) fn departure(client: &ClientRecord, goodbye: &Goodbye, manners: Manners) {
    tracing::info!(
        client = client.id,
        database = %client.database,
        user = %client.user,
        peer = %peer(client),
        tls = client.tls.map_or("off", |tls| tls.version),
        method = client.method.as_str(),
        age_seconds = client.since.elapsed().as_secs(),
        reason = %goodbye,
        words = goodbye.words(manners),
        "client disconnected"
    );
}

/// A client is told of an error by pgusher itself (`log_pooler_errors`).
pub(super) fn error(client: &ClientRecord, fields: &ErrorFields, manners: Manners) {
    tracing::warn!(
        client = client.id,
        database = %client.database,
        user = %client.user,
        peer = %peer(client),
        code = %fields.code,
        reason = %fields.message,
        words = manners.log_words(fields),
        "error told to the client"
    );
}

fn peer(client: &ClientRecord) -> String {
    client.peer.map_or_else(|| "unix".to_owned(), |peer| peer.to_string())
}
