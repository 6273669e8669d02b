//! What a hold was, in numbers.

use std::time::Instant;

use super::serve::Client;
use crate::relay::Clock;
use crate::stats::Request;

impl Client {
    /// Enters a hold that has ended: the client is done, or the hold is cut short.
    pub(super) fn measure(&self, since: Instant, ended: Instant, clock: &Clock, is_cut: bool) {
        let cells = self.cells();
        let hold = ended.saturating_duration_since(since);
        cells.hold.observe(hold);
        let mut silent = clock.silent;
        if is_cut {
            cells.cut_short(clock.transaction_since, clock.idle_since);
            silent += clock.idle_since.map_or(0, |idle| micros(idle, ended));
        }
        let (client, hold) = (&self.record.client, micros(since, ended));
        let application = client.application();
        cells.applications.add(application, hold, silent);
        self.pool.record(self.worker.id, ended, || Request {
            wait: narrow(micros(client.requested_at(), since)),
            hold: narrow(hold),
            idle: narrow(silent),
            // Whoever comes back is known again; numbers that are far apart may be taken for one.
            client: (client.id & u64::from(u32::MAX)) as u32,
            application,
            ..Request::default()
        });
    }
}

fn micros(from: Instant, to: Instant) -> u64 {
    u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX)
}

fn narrow(micros: u64) -> u32 {
    u32::try_from(micros).unwrap_or(u32::MAX)
}
