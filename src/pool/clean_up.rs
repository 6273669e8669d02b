//! After a client that left in the middle: its query is cancelled, its transaction rolled back.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{CloseReason, Lease, Pool, Pooled};
use crate::server::{clean, deliver_cancel};
use crate::stats::ServerState;

/// A server that is not at rest after this long is closed. A fresh one is quicker than any longer wait.
const CLEAN_LIMIT: Duration = Duration::from_secs(5);

impl Pool {
    /// Brings a server to rest, away from the hot path, and offers it; or closes it.
    pub(super) fn clean_later(self: &Arc<Self>, pooled: Pooled) {
        let mut lease = Lease::new(pooled, Arc::clone(self), Instant::now());
        // Whatever happens to the task, an unclean server does not come back.
        lease.condemn(CloseReason::Unclean);
        let pool = Arc::clone(self);
        self.context.control.spawn(async move { pool.clean_up(lease).await });
    }

    async fn clean_up(self: Arc<Self>, mut lease: Lease) {
        let state = if lease.backend.is_being_canceled() {
            ServerState::BeingCanceled
        } else {
            ServerState::Tested
        };
        lease.record.enter(state, 0);
        if !lease.progress.waits_for_client() {
            let guard = lease.backend.begin_cancel();
            deliver_cancel(guard, self.context.cancel_wait()).await;
        }
        lease.backend.cancels_over().await;
        if lease.progress.is_out_of_sync() {
            tracing::warn!(pool = %self.key, server = lease.record.id, "server out of sync, closed");
            lease.condemn(CloseReason::OutOfSync);
        }
        if lease.progress.is_lost() || lease.backend.is_doubtful() {
            return;
        }
        let reset = self.reset_query(&lease);
        match tokio::time::timeout(CLEAN_LIMIT, clean(&mut lease, &reset)).await {
            Ok(Ok(())) => {
                if !reset.is_empty() {
                    let connect_query = self.blueprint().connect_query.clone();
                    self.greet(&connect_query, &mut lease).await;
                }
                lease.needs_reset = false;
                lease.is_reset = true;
                lease.pardon();
            }
            Ok(Err(error)) => {
                tracing::debug!(pool = %self.key, server = lease.record.id, %error, "server not reusable")
            }
            Err(_) => {
                tracing::debug!(pool = %self.key, server = lease.record.id, "server did not come to rest")
            }
        }
    }

    /// What the next client must not find is discarded. In session mode the operator says how; elsewhere a client that
    /// was pinned leaves what nobody can list.
    fn reset_query(&self, lease: &Lease) -> String {
        let settings = self.settings();
        match (lease.needs_reset, self.is_session_mode()) {
            (true, true) => settings.server_reset_query.clone(),
            (true, false) => "DISCARD ALL".to_owned(),
            (false, _) if settings.server_reset_query_always => settings.server_reset_query.clone(),
            (false, _) => String::new(),
        }
    }
}
