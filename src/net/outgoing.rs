//! One socket's share in its thread's batch of sends.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::task::Context;

use super::sends::{Rest, Sends};

/// What a socket has planned to send, and what of it the kernel did not take.
///
/// It is dropped before its socket is closed: until its sends are submitted the batch knows the socket by number only.
#[derive(Debug)]
pub(super) struct Outgoing {
    sends: Option<Arc<Sends>>,
    fd: RawFd,
    /// The turn of the last send; 0 before the first.
    planned_in: u32,
    rest: Option<Box<Rest>>,
}

impl Outgoing {
    /// Of a socket whose sends go out by themselves.
    pub(super) fn alone(fd: RawFd) -> Self {
        Outgoing { sends: None, fd, planned_in: 0, rest: None }
    }

    /// Of a socket whose sends go out with those of its thread, after the rest of those before.
    pub(super) fn with(sends: Option<&Arc<Sends>>, fd: RawFd, rest: Option<Box<Rest>>) -> Self {
        Outgoing { sends: sends.cloned(), fd, planned_in: 0, rest }
    }

    /// Plans a send; false: the caller sends the bytes itself, and nothing is before them but a rest.
    pub(super) fn plan(&mut self, cx: &Context<'_>, bytes: &[u8]) -> bool {
        let Some(sends) = &self.sends else { return false };
        match sends.plan(self.fd, self.planned_in, bytes, cx.waker()) {
            Some(turn) => {
                self.planned_in = turn;
                true
            }
            None => false,
        }
    }

    /// True when nothing is planned that has not been submitted.
    pub(super) fn has_submitted(&self) -> bool {
        self.planned_in == 0
            || self.sends.as_ref().is_none_or(|sends| !sends.is_turn(self.planned_in))
    }

    /// Has the task woken when everything planned has been submitted.
    pub(super) fn wake_when_submitted(&self, cx: &Context<'_>) {
        match &self.sends {
            Some(sends) => sends.wake_after(self.planned_in, cx.waker()),
            None => cx.waker().wake_by_ref(),
        }
    }

    /// Has everything planned submitted.
    pub(super) fn settle(&mut self) {
        if let Some(sends) = &self.sends
            && self.planned_in != 0
        {
            sends.settle(self.planned_in);
        }
    }

    /// What the kernel did not take, to be sent before anything else.
    #[inline]
    pub(super) fn rest(&mut self) -> &mut Option<Box<Rest>> {
        if let Some(sends) = &self.sends
            && sends.has_rests()
            && self.rest.is_none()
        {
            self.rest = sends.take_rest(self.fd).map(Box::new);
        }
        &mut self.rest
    }
}

impl Drop for Outgoing {
    fn drop(&mut self) {
        self.settle();
        // Nobody is left to send it.
        self.rest().take();
    }
}
