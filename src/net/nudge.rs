//! A second look, about a millisecond later, at sockets that were asked to fill first.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::sync::Notify;

/// The finest the runtime's clock can do.
const SOON: Duration = Duration::from_millis(1);

/// The tasks of one thread that want to be woken soon. Without any there is no timer.
#[derive(Debug, Default)]
pub struct Nudges {
    round: Cell<u64>,
    asked: RefCell<Vec<Waker>>,
    begun: Notify,
}

impl Nudges {
    /// Has the task woken in one or two milliseconds; [`round`](Nudges::round) is above the result then.
    pub fn ask(&self, cx: &Context<'_>) -> u64 {
        let mut asked = self.asked.borrow_mut();
        if asked.is_empty() {
            self.begun.notify_one();
        }
        asked.push(cx.waker().clone());
        self.round.get()
    }

    /// Counts up whenever those who asked are woken.
    pub fn round(&self) -> u64 {
        self.round.get()
    }

    /// Wakes those who ask, for ever.
    pub async fn run(&self) {
        loop {
            self.begun.notified().await;
            tokio::time::sleep(SOON).await;
            self.round.set(self.round.get() + 1);
            self.asked.take().into_iter().for_each(Waker::wake);
        }
    }
}
