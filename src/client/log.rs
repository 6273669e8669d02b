//! What is logged of clients that go.

use super::disconnect::Goodbye;
use crate::stats::ClientRecord;

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
