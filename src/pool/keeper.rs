//! The keeper: looks after idle servers and waiting clients, away from the hot path.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{CloseReason, Pool, Pools};
use crate::server::{Server, drain_news};
use crate::stats::ServerState;

/// How often it makes its round.
const ROUND: Duration = Duration::from_millis(100);

/// Makes rounds for ever.
pub async fn keep(pools: Arc<Pools>) {
    let mut round = tokio::time::interval(ROUND);
    round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        round.tick().await;
        if pools.context.records.is_suspended() {
            continue;
        }
        for pool in pools.all() {
            pool.look_after();
        }
        pools.forget_unused();
        pools.auth_queries.tidy();
    }
}

impl Pool {
    /// Hears what idle servers have to say, closes those that are past their time, and dials for those who wait.
    pub(super) fn look_after(self: &Arc<Self>) {
        self.hear_idle();
        let now = Instant::now();
        let settings = self.settings();
        let (idle_timeout, minimum) = (settings.server_idle_timeout, settings.min_pool_size);
        self.close_idle(CloseReason::Lifetime, |server| self.is_too_old(server, now));
        let mut spare = self.core.lock().staying().saturating_sub(minimum);
        self.close_idle(CloseReason::Idle, |server| {
            let over = idle_timeout.is_some_and(|limit| idle_for(server, now) > limit) && spare > 0;
            spare -= usize::from(over);
            over
        });
        self.note_unchecked(now);
        self.pump();
    }

    /// Notes which idle servers have become such that they are to be checked first. Under the lock: whoever takes one
    /// enters what it is then.
    fn note_unchecked(&self, now: Instant) {
        let Some(delay) = self.settings().server_check_delay else { return };
        let core = self.core.lock();
        let unchecked = core.idle_servers().filter(|pooled| idle_for(&pooled.server, now) > delay);
        for record in unchecked.map(|pooled| &pooled.server.record) {
            if record.state() == ServerState::Idle {
                record.enter(ServerState::Used, 0);
            }
        }
    }

    /// An idle server with news is taken out, heard, and put back unless it said goodbye.
    fn hear_idle(self: &Arc<Self>) {
        let now = Instant::now();
        let talking = {
            let mut core = self.core.lock();
            let talking = core.remove_idle(now, |pooled| pooled.server.stream.has_news());
            talking.iter().for_each(|_| core.begin_test());
            talking
        };
        for mut pooled in talking {
            self.core.lock().arrived(now);
            match drain_news(&mut pooled.server) {
                Ok(()) => self.offer(pooled, now),
                Err(error) => {
                    let id = pooled.server.record.id;
                    tracing::info!(pool = %self.key, server = id, %error, "idle server lost");
                    self.retire(pooled, CloseReason::Error);
                }
            }
        }
    }
}

fn idle_for(server: &Server, now: Instant) -> Duration {
    now.saturating_duration_since(server.last_used)
}
