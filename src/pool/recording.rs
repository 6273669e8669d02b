//! What a pool's clients ask for is written down for a while.

use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Pool;
use crate::stats::{ClientRecord, Recording, Request, ServerState};
use crate::types::WorkerId;

impl Pool {
    /// Writes down a request that has ended, if the pool's requests are being recorded.
    pub fn record(&self, worker: WorkerId, ended: Instant, request: impl FnOnce() -> Request) {
        let recording = self.recording.load(Ordering::Relaxed);
        if recording != 0 {
            self.context.tape.write(recording, worker, ended, request());
        }
    }

    /// Begins to write down. Only one pool is recorded at a time.
    pub fn begin_recording(&self, now: Instant) {
        self.recording.store(self.context.tape.begin(now), Ordering::Relaxed);
    }

    /// True when there is no room to write down more.
    pub fn is_recorded_enough(&self) -> bool {
        self.context.tape.is_full(self.recording.load(Ordering::Relaxed))
    }

    /// Ends what began at `since`; gives what was written down, and the requests that have not ended yet.
    pub fn end_recording(&self, since: Instant, now: Instant) -> (Recording, Vec<Request>) {
        let number = self.recording.swap(0, Ordering::Relaxed);
        let open = self.open_requests(since, now);
        (self.context.tape.read(number), open)
    }

    /// Requests whose clients have a server or wait for one; those without a server have no hold.
    fn open_requests(&self, since: Instant, now: Instant) -> Vec<Request> {
        let request = |client: &ClientRecord, wait, hold| Request {
            ended: micros(since, now),
            wait,
            hold,
            idle: 0,
            client: (client.id & u64::from(u32::MAX)) as u32,
            application: client.application(),
            is_open: true,
        };
        let census = self.census();
        let busy = census.servers.iter().filter(|server| server.state() == ServerState::Active);
        let holders = busy.filter_map(|server| {
            let client = self.context.records.client(server.link())?;
            let lent = server.requested_at();
            let (wait, hold) = (micros(client.requested_at(), lent), micros(lent, now).max(1));
            Some(request(&client, wait, hold))
        });
        let waiters = self.waiters();
        let waiters = waiters.iter().map(|waiter| {
            let waited = u32::try_from(waiter.waited.as_micros()).unwrap_or(u32::MAX);
            request(&waiter.client, waited, 0)
        });
        holders.chain(waiters).collect()
    }
}

fn micros(from: Instant, to: Instant) -> u32 {
    u32::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u32::MAX)
}
