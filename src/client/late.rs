//! Visitors that take too long.
//!
//! A timer of the runtime for every wait of a login would cost more than most of these waits: one deadline of the
//! worker's serves for the whole login.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use super::entry::{Resident, Visit};
use crate::net::{Deadline, Deadlines};

/// Whether a visitor is late. Its worker tells, when it wakes the visitor's task.
#[derive(Clone, Debug, Default)]
pub struct Late(Arc<AtomicBool>);

impl Late {
    /// Waits for the visitor, but not for ever. `None`: it is late.
    pub(super) async fn or<T>(&self, what: impl Future<Output = T>) -> Option<T> {
        let mut what = pin!(what);
        poll_fn(|cx| match what.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending if self.0.load(Ordering::Relaxed) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }
}

/// A visitor that is heard out by its worker.
pub(super) struct Hearing {
    visit: Visit,
    deadline: Deadline,
}

impl Hearing {
    /// Its time begins.
    pub(super) fn begin(visit: Visit, deadlines: &std::rc::Rc<Deadlines>) -> Self {
        let mut deadline = deadlines.register();
        deadline.arm(visit.limit);
        Hearing { visit, deadline }
    }
}

impl Future for Hearing {
    type Output = Option<Resident>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.deadline.is_over() {
            self.visit.late.0.store(true, Ordering::Relaxed);
            self.deadline.arm(None);
        }
        self.deadline.watch(cx);
        self.visit.hearing.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::rc::Rc;
    use std::task::Waker;
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_is_late_is_waited_for_no_longer_and_may_still_finish() {
        let deadlines = Rc::<Deadlines>::default();
        let late = Late::default();
        let own = late.clone();
        let hearing = Box::pin(async move {
            assert_eq!(own.or(ready(1)).await, Some(1), "in time");
            assert_eq!(own.or(pending::<()>()).await, None, "too late");
            assert_eq!(own.or(ready(2)).await, Some(2), "what is done is done");
            None
        });
        let visit = Visit { hearing, limit: Some(Duration::ZERO), late };
        let mut hearing = pin!(Hearing::begin(visit, &deadlines));
        let mut cx = Context::from_waker(Waker::noop());
        assert!(hearing.as_mut().poll(&mut cx).is_pending());
        std::thread::sleep(2 * crate::net::TICK);
        deadlines.tick();
        assert!(hearing.as_mut().poll(&mut cx).is_ready());
        assert!(!hearing.deadline.is_armed(), "it is told once");
    }
}
