//! Orders from outside to one client's task.

use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Waker};

use parking_lot::Mutex;

/// What a client's task is told to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Order {
    /// Nothing.
    #[default]
    None,
    /// Say goodbye when the client holds no server and wants none.
    CloseWhenIdle,
    /// Say goodbye now: an administrator asked for it.
    CloseNow,
    /// Say goodbye now: the process ends.
    CloseForShutdown,
}

/// The way to give orders. Orders only become more urgent.
#[derive(Debug, Default)]
pub struct Control {
    order: AtomicU8,
    waker: Mutex<Option<Waker>>,
}

impl Control {
    /// Gives an order and wakes the task.
    pub fn give(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::Release);
        if let Some(waker) = &*self.waker.lock() {
            waker.wake_by_ref();
        }
    }

    /// The order in force.
    pub fn order(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::None,
            1 => Order::CloseWhenIdle,
            2 => Order::CloseNow,
            _ => Order::CloseForShutdown,
        }
    }

    /// Remembers whom to wake.
    pub fn watch(&self, cx: &Context<'_>) {
        *self.waker.lock() = Some(cx.waker().clone());
    }
}

/// Something a cancel request can take out of a queue.
pub trait Dequeue: Send + Sync {
    /// Ends the wait as cancelled.
    fn dequeue(&self);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_only_become_more_urgent() {
        let control = Control::default();
        control.give(Order::CloseNow);
        control.give(Order::CloseWhenIdle);
        assert_eq!(control.order(), Order::CloseNow);
    }
}
