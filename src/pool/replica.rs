//! Servers for replication: each is made for one client and closed behind it. They count like the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::caps::Permit;
use super::dial::Slot;
use super::{CloseReason, Lease, Pool, PoolError, Pooled};
use crate::server;
use crate::stats::Role;

/// How often it is looked whether there is a place.
const LOOK: Duration = Duration::from_millis(20);

impl Pool {
    /// Makes a server for one client alone, with these parameters in its start-up packet. Where there is no place for
    /// it an idle server gives way, or it is waited for as for any server.
    ///
    /// # Errors
    /// No place came within `query_wait_timeout`, or the server refuses.
    pub async fn make_own(
        self: &Arc<Self>,
        parameters: BTreeMap<String, String>,
    ) -> Result<Lease, PoolError> {
        let (slot, permit) = self.find_place().await?;
        let mut blueprint = self.blueprint().as_ref().clone();
        blueprint.startup_parameters.extend(parameters);
        let limit = self.settings().server_connect_timeout;
        let (id, began) = (self.context.records.ids.next(), Instant::now());
        let turn = self.turns.fetch_add(1, Ordering::Relaxed);
        let means = self.context.means();
        let connected = server::connect(&blueprint, limit, &means, id, turn).await;
        match connected {
            Ok(server) => {
                let (database, address) = (&self.key.database, &server.record.address);
                let role = Role::of(server.reported.get("in_hot_standby"));
                self.context.connects.succeeded(database, address, began.elapsed(), role);
                let generation = self.generation();
                let pooled = Pooled { server, permit, generation, since: began, used: None };
                let mut lease = slot.seat(pooled);
                lease.condemn(CloseReason::Replication);
                Ok(lease)
            }
            Err(error) => {
                self.context.connects.failed(&self.key.database, error.address.as_ref());
                drop((slot, permit));
                self.note_failed_login(&error);
                Err(PoolError::ServerDown(Arc::new(error)))
            }
        }
    }

    async fn find_place(self: &Arc<Self>) -> Result<(Slot, Permit), PoolError> {
        let began = Instant::now();
        loop {
            if let Some(found) = self.claim_place() {
                return Ok(found);
            }
            let waited = began.elapsed();
            if self.settings().query_wait_timeout.is_some_and(|limit| waited >= limit) {
                return Err(PoolError::WaitTimeout(Box::new(self.facts(waited))));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// A place, under every limit; or room is being made for one.
    fn claim_place(self: &Arc<Self>) -> Option<(Slot, Permit)> {
        if !self.core.lock().claim_place(Instant::now()) {
            if !self.is_paused() && !self.is_one_leaving() {
                self.evict_idle();
            }
            return None;
        }
        let slot = Slot::new(self);
        let permit = self.caps.acquire(self);
        if permit.is_none() && !self.evict_idle() {
            self.caps.make_room(self);
        }
        permit.map(|permit| (slot, permit))
    }

    fn is_one_leaving(&self) -> bool {
        let core = self.core.lock();
        core.total() > core.staying()
    }
}
