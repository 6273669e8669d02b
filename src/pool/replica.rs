//! Servers for replication: each is made for one client and closed behind it. They count like the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::caps::Permit;
use super::dial::Slot;
use super::{Checkout, CloseReason, Lease, Pool, PoolError, Pooled, Standing, Waiting};
use crate::server;
use crate::stats::Role;
use crate::types::WorkerId;

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

    /// A place, under every limit. Where none is free it is waited for in the queue, as one of everybody; the server
    /// that comes is closed for its place.
    async fn find_place(self: &Arc<Self>) -> Result<(Slot, Permit), PoolError> {
        let began = Instant::now();
        if let Some(found) = self.claim_place(began) {
            return Ok(found);
        }
        let turn = async {
            loop {
                if let Some(found) = self.take_turn().await?.trade_in().await {
                    return Ok(found);
                }
            }
        };
        match self.settings().query_wait_timeout {
            None => turn.await,
            Some(limit) => tokio::time::timeout(limit, turn)
                .await
                .unwrap_or_else(|_| Err(PoolError::WaitTimeout(Box::new(self.facts(limit))))),
        }
    }

    /// A free place, unless somebody waits for it.
    fn claim_place(self: &Arc<Self>, now: Instant) -> Option<(Slot, Permit)> {
        {
            let mut core = self.core.lock();
            if core.waiting() > 0 || !core.claim_place(now) {
                return None;
            }
        }
        let slot = Slot::new(self);
        self.caps.acquire(self).map(|permit| (slot, permit))
    }

    async fn take_turn(self: &Arc<Self>) -> Result<Lease, PoolError> {
        let place = || Arc::new(Waiting::default());
        match self.checkout(Standing::default(), WorkerId::CONTROL, Instant::now(), place) {
            Checkout::Now(lease) => Ok(lease),
            Checkout::Later(mut ticket) => std::future::poll_fn(|cx| ticket.poll(cx)).await,
            Checkout::Never(error) => Err(error),
        }
    }
}
