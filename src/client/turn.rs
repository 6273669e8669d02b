//! How many logins are worked on at a time.
//!
//! A login holds its place while there is work for it, and gives it up while it waits for its client: clients that say
//! nothing cannot take the places of those who do. What keeps a processor busy is done at the [desks](super::Desks).

use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Questions to LDAP and PAM at a time; a directory that hangs holds up nobody who does not need it.
const OUTSIDE: usize = 32;

/// Places for logins.
#[derive(Debug)]
pub(super) struct Turns {
    places: RwLock<(usize, Arc<Semaphore>)>,
    outside: Arc<Semaphore>,
}

impl Turns {
    /// `limit` places.
    pub(super) fn new(limit: usize) -> Self {
        Turns {
            places: RwLock::new((limit, Arc::new(Semaphore::new(limit)))),
            outside: Arc::new(Semaphore::new(OUTSIDE)),
        }
    }

    /// Another number of places, for logins from now on.
    pub(super) fn set_limit(&self, limit: usize) {
        let mut places = self.places.write();
        if places.0 != limit {
            *places = (limit, Arc::new(Semaphore::new(limit)));
        }
    }

    /// A turn that has not begun.
    pub(super) fn line_up(&self) -> Turn {
        Turn { places: Arc::clone(&self.places.read().1), permit: None }
    }

    /// Waits for leave to ask somebody outside.
    pub(super) async fn go_outside(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.outside).acquire_owned().await.ok()
    }
}

/// A login's turn. Dropping it makes room for the next.
#[derive(Debug)]
pub(super) struct Turn {
    places: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Turn {
    /// Waits for a place, first come, first served.
    pub(super) async fn begin(&mut self) {
        if self.permit.is_none() {
            // The semaphore is never closed.
            self.permit = Arc::clone(&self.places).acquire_owned().await.ok();
        }
    }

    /// Gives the place up.
    pub(super) fn pause(&mut self) {
        self.permit = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn places_are_limited_and_given_up_while_waiting() {
        let turns = Turns::new(1);
        let (mut first, mut second) = (turns.line_up(), turns.line_up());
        first.begin().await;
        first.begin().await;
        {
            let mut begin = std::pin::pin!(second.begin());
            assert!(poll(begin.as_mut()).is_pending());
            first.pause();
            begin.await;
        }
        let mut again = std::pin::pin!(first.begin());
        assert!(poll(again.as_mut()).is_pending());
        drop(second);
        again.await;
    }

    fn poll<F: Future>(future: std::pin::Pin<&mut F>) -> std::task::Poll<F::Output> {
        future.poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
    }
}
