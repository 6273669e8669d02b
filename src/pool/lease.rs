//! A server in somebody's hands.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Instant;

use super::caps::Permit;
use super::dial::Slot;
use super::{CloseReason, Pool, Pooled};
use crate::net::Sends;
use crate::server::Server;
use crate::types::WorkerId;

/// A server lent to one client. Dropping it is the only way back: a server at rest goes to the next waiter, one that
/// is not is brought to rest first, and one that cannot be accounted for is closed.
#[derive(Debug)]
pub struct Lease {
    pooled: Option<Pooled>,
    pool: Arc<Pool>,
    condemned: Option<CloseReason>,
}

impl Lease {
    pub(super) fn new(pooled: Pooled, pool: Arc<Pool>, since: Instant) -> Self {
        Lease { pooled: Some(Pooled { since, ..pooled }), pool, condemned: None }
    }

    /// When it was lent.
    pub fn since(&self) -> Instant {
        self.pooled.as_ref().map_or_else(Instant::now, |pooled| pooled.since)
    }

    /// Moves the server's socket to the current thread, and its sends to that thread's.
    ///
    /// # Errors
    /// When it cannot be registered; the server is closed then.
    pub fn rehome(&mut self, home: WorkerId, sends: &Arc<Sends>) -> std::io::Result<()> {
        if self.home == home {
            return Ok(());
        }
        let Some(Pooled { server, permit, generation, since, used }) = self.pooled.take() else {
            return Ok(());
        };
        match server.rehome(home, sends) {
            Ok(server) => {
                self.pooled = Some(Pooled { server, permit, generation, since, used });
                Ok(())
            }
            Err(error) => {
                self.pool.forget_server(used, since);
                Err(error)
            }
        }
    }

    /// Its use ended then; it is about to be dropped.
    pub fn end(&mut self, at: Instant) {
        self.last_used = at;
    }

    /// The server will be closed instead of going back.
    pub fn condemn(&mut self, reason: CloseReason) {
        self.condemned = Some(reason);
    }

    /// Gives the server up for its place in the pool; `None` if there is none.
    pub(super) async fn trade_in(mut self) -> Option<(Slot, Permit)> {
        let mut pooled = self.pooled.take()?;
        self.pool.finish(&mut pooled, Instant::now());
        Some(self.pool.replace(pooled).await)
    }

    /// Takes a [condemnation](Lease::condemn) back.
    pub(super) fn pardon(&mut self) {
        self.condemned = None;
    }
}

impl Deref for Lease {
    type Target = Server;

    fn deref(&self) -> &Server {
        // Only `drop` and a failed `rehome` take the server out, and both end the lease.
        match &self.pooled {
            Some(pooled) => &pooled.server,
            None => unreachable!("a lease without its server"),
        }
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Server {
        match &mut self.pooled {
            Some(pooled) => &mut pooled.server,
            None => unreachable!("a lease without its server"),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(pooled) = self.pooled.take() {
            match self.condemned {
                Some(reason) => self.pool.retire(pooled, reason),
                None => self.pool.take_back(pooled),
            }
        }
    }
}
