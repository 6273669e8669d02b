//! Orders from outside to one client's task.

use std::sync::Arc;
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
    /// Say goodbye now: the database is not served any more.
    CloseRemoved,
    /// Say goodbye now: the process ends.
    CloseForShutdown,
}

/// Who looks after a client, and so is to be woken.
#[derive(Debug, Default)]
enum Keeper {
    /// Nobody yet.
    #[default]
    Nobody,
    /// A task of its own.
    Task(Waker),
    /// The keeper of a parking lot, by the client's place in it.
    Lot(Arc<Bell>, u32),
}

/// Rung for clients without a task, by their place.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Mutex<Rung>,
}

#[derive(Debug, Default)]
struct Rung {
    places: Vec<u32>,
    waker: Option<Waker>,
}

impl Bell {
    /// Rings for a place. Places change hands: whoever is there now is woken, which does no harm.
    pub fn ring(&self, place: u32) {
        let waker = {
            let mut rung = self.rung.lock();
            rung.places.push(place);
            rung.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Moves the places that it was rung for to `places`, and remembers whom to wake at the next ring.
    pub fn answer(&self, cx: &Context<'_>, places: &mut Vec<u32>) {
        let mut rung = self.rung.lock();
        places.append(&mut rung.places);
        rung.waker = Some(cx.waker().clone());
    }
}

/// The way to give orders. Orders only become more urgent.
#[derive(Debug, Default)]
pub struct Control {
    order: AtomicU8,
    keeper: Mutex<Keeper>,
}

impl Control {
    /// Gives an order and wakes the client.
    pub fn give(&self, order: Order) {
        self.order.fetch_max(order as u8, Ordering::Release);
        self.wake();
    }

    /// Has the client look at what there is for it, whether it has a task or is parked.
    pub fn wake(&self) {
        match &*self.keeper.lock() {
            Keeper::Nobody => {}
            Keeper::Task(waker) => waker.wake_by_ref(),
            Keeper::Lot(bell, place) => bell.ring(*place),
        }
    }

    /// The order in force.
    pub fn order(&self) -> Order {
        match self.order.load(Ordering::Acquire) {
            0 => Order::None,
            1 => Order::CloseWhenIdle,
            2 => Order::CloseNow,
            3 => Order::CloseRemoved,
            _ => Order::CloseForShutdown,
        }
    }

    /// From now on this task is woken. An order given before is seen by [`Control::order`] after this.
    pub fn watch(&self, cx: &Context<'_>) {
        *self.keeper.lock() = Keeper::Task(cx.waker().clone());
    }

    /// From now on the bell is rung for this place. An order given before is seen by [`Control::order`] after this.
    pub fn park(&self, bell: &Arc<Bell>, place: u32) {
        *self.keeper.lock() = Keeper::Lot(Arc::clone(bell), place);
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

    #[test]
    fn a_parked_client_is_woken_by_its_place() {
        let (control, bell) = (Control::default(), Arc::new(Bell::default()));
        let cx = Context::from_waker(Waker::noop());
        let mut places = Vec::new();
        control.park(&bell, 7);
        bell.answer(&cx, &mut places);
        assert!(places.is_empty());
        control.give(Order::CloseNow);
        bell.answer(&cx, &mut places);
        assert_eq!(places, [7]);
        control.watch(&cx);
        control.wake();
        bell.answer(&cx, &mut places);
        assert_eq!(places, [7], "it has a task again");
    }
}
