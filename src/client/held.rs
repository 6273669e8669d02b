//! A server in a client's hands, and what cancel requests may do to it.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::cancel::Target;
use crate::pool::Lease;

/// A server that the client's cancel key is aimed at. The aim is taken off before the server goes back.
pub(super) struct Held {
    target: Arc<Target>,
    lease: Lease,
}

impl Held {
    /// `restores`: the server is given the client's parameters first. A request that comes so early is for what the
    /// client asks behind that.
    pub(super) fn new(target: &Arc<Target>, lease: Lease, restores: bool) -> Self {
        if restores {
            lease.backend.shield();
        }
        lease.backend.begin();
        target.aim_at_server(&lease.backend);
        Held { target: Arc::clone(target), lease }
    }
}

impl Deref for Held {
    type Target = Lease;

    fn deref(&self) -> &Lease {
        &self.lease
    }
}

impl DerefMut for Held {
    fn deref_mut(&mut self) -> &mut Lease {
        &mut self.lease
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.target.aim_at_nothing();
        self.lease.backend.expose();
        self.lease.backend.answered();
    }
}
