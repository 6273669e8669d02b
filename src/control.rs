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

/// Beside the order: the client is to stand still (SUSPEND).
const SUSPENDED: u8 = 0x80;
/// Beside the order: it does.
const STILL: u8 = 0x40;
/// The order itself.
const ORDER: u8 = 0x3f;

/// The way to give orders. Orders only become more urgent; standing still is for a while.
#[derive(Debug, Default)]
pub struct Control {
    /// An [`Order`], [`SUSPENDED`] and [`STILL`]: one load tells all of it.
    word: AtomicU8,
    keeper: Mutex<Keeper>,
}

impl Control {
    /// Gives an order and wakes the client.
    pub fn give(&self, order: Order) {
        let more = |word: u8| Some((word & !ORDER) | (word & ORDER).max(order as u8));
        // Every word becomes another one.
        let _ = self.word.fetch_update(Ordering::Release, Ordering::Relaxed, more);
        self.wake();
    }

    /// From now on the client is to send what it has, and then to stand still.
    pub fn suspend(&self) {
        self.word.fetch_or(SUSPENDED, Ordering::Release);
        self.wake();
    }

    /// The client goes on.
    pub fn resume(&self) {
        self.word.fetch_and(ORDER, Ordering::Release);
        self.wake();
    }

    /// True while the client is to stand still.
    pub fn is_suspended(&self) -> bool {
        self.word.load(Ordering::Acquire) & SUSPENDED != 0
    }

    /// The client says that it stands still.
    pub fn stand_still(&self) {
        self.word.fetch_or(STILL, Ordering::Release);
    }

    /// True when it is suspended and nothing moves any more.
    pub fn is_still(&self) -> bool {
        let is_parked = || matches!(&*self.keeper.lock(), Keeper::Lot(..));
        self.word.load(Ordering::Acquire) & STILL != 0 || is_parked()
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
        match self.word.load(Ordering::Acquire) & ORDER {
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
    fn suspension_is_for_a_while_and_orders_stay() {
        let control = Control::default();
        control.give(Order::CloseWhenIdle);
        control.suspend();
        assert!(control.is_suspended() && !control.is_still());
        control.stand_still();
        control.give(Order::CloseNow);
        assert!(control.is_suspended() && control.is_still());
        control.resume();
        assert!(!control.is_suspended() && !control.is_still());
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
