//! Session mode on request: a client of a transaction pool that asked for a server of its own.

use std::time::Instant;

use super::disconnect::Goodbye;
use super::replies;
use super::serve::Client;
use crate::pool::Lease;
use crate::session::pins::{Pinned, Pins};
use crate::stats::{Cause, PinFacts};
use crate::types::PoolMode;

impl Client {
    /// The pool's mode, or the client's own.
    pub(super) fn mode(&self) -> PoolMode {
        let own = self.session.wants_session();
        if own { PoolMode::Session } else { self.settings.pool_mode }
    }

    /// A client that asked for a server of its own is one of those that keep theirs.
    pub(super) fn enter_session(&mut self, held: &Lease) -> Result<(), Goodbye> {
        if !self.session.wants_session() || self.settings.pool_mode == PoolMode::Session {
            return Ok(());
        }
        let limit = self.settings.max_pinned.of(self.settings.pool_size);
        let facts = PinFacts {
            client: self.record.client.id,
            server: held.record.id,
            causes: Cause::Session.into(),
            statement: "".into(),
            since: Instant::now(),
        };
        let guard = self.pool.pins.pin(&self.record.records, limit, facts);
        let guard = guard.ok_or_else(|| Goodbye::Told(replies::too_many_sessions(limit)))?;
        let mut pinned = Pinned { pins: Pins::default(), guard, asked: None };
        pinned.pins.hold(Cause::Session.into());
        self.session.pins = Some(Box::new(pinned));
        Ok(())
    }
}
