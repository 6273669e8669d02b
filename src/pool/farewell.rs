//! Closing servers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::caps::Permit;
use super::dial::Slot;
use super::{CloseReason, Pool, Pooled};
use crate::net::{Buffer, Stream};
use crate::server::Server;
use crate::wire::frontend;

impl Pool {
    /// Closes a server that the schedule counts as leaving. Its place is free once it has gone: until then it is one of
    /// PostgreSQL's connections.
    pub(super) fn close(&self, pooled: Pooled, reason: CloseReason) {
        let (server, mut permit) = self.say_goodbye(pooled, reason);
        permit.leave();
        let pool = self.this();
        self.context.control.spawn(async move {
            see_off(server.stream).await;
            drop(permit);
            if let Some(pool) = pool.upgrade() {
                pool.core.lock().gone();
                pool.pump();
            }
        });
    }

    /// Closes a server that was lent, and keeps its place for another: comes back when it has gone.
    pub(super) async fn replace(self: &Arc<Self>, pooled: Pooled) -> (Slot, Permit) {
        self.core.lock().needs_test(Instant::now());
        let slot = Slot::new(self);
        let (server, permit) = self.say_goodbye(pooled, CloseReason::Evicted);
        see_off(server.stream).await;
        (slot, permit)
    }

    fn say_goodbye(&self, pooled: Pooled, reason: CloseReason) -> (Box<Server>, Permit) {
        self.closes.count(reason);
        let record = &pooled.server.record;
        self.servers.lock().remove(&record.id);
        let age_seconds = record.since.elapsed().as_secs();
        tracing::debug!(target: super::SERVERS, pool = %self.key, server = record.id, pid = record.pid, address = %record.address, age_seconds, reason = reason.as_str(), "server closed");
        let mut pooled = pooled;
        pooled.server.stream.farewell(&frontend::TERMINATE);
        let Pooled { server, permit, .. } = pooled;
        (server, permit)
    }

    /// Closes idle servers for which `unfit` says so.
    pub(super) fn close_idle(
        &self,
        reason: CloseReason,
        mut unfit: impl FnMut(&Server) -> bool,
    ) -> usize {
        let removed = self.core.lock().remove_idle(Instant::now(), |pooled| unfit(&pooled.server));
        let count = removed.len();
        removed.into_iter().for_each(|pooled| self.close(pooled, reason));
        count
    }

    /// Closes one idle server to make room for another pool's.
    pub(super) fn evict_idle(&self) -> bool {
        let evicted = self.core.lock().evict_idle();
        evicted.map(|pooled| self.close(pooled, CloseReason::Evicted)).is_some()
    }
}

/// Waits until a server that was told goodbye has closed, within reason.
async fn see_off(stream: Stream) {
    let gone = async {
        let Ok(mut stream) = stream.rehome(None) else { return };
        let mut buffer = Buffer::new();
        while let Ok(1..) = stream.recv(&mut buffer).await {
            buffer.consume(buffer.filled().len());
        }
    };
    // A server that does not close in time has most likely gone without a word.
    let _ = tokio::time::timeout(SEEN_OFF, gone).await;
}

/// PostgreSQL takes milliseconds to end a session.
const SEEN_OFF: Duration = Duration::from_secs(1);
