//! The schedule against a naive model.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use crate::pool::class::OVERTAKE_TIME;

const HERE: WorkerId = WorkerId(0);
const THERE: WorkerId = WorkerId(1);

fn limits(size: usize) -> Limits {
    Limits { size, reserve: 0, reserve_after: None, min: 0, oldest_first: false }
}

fn filled(size: usize, servers: u32, now: Instant) -> Core<u32, u32> {
    let mut core = Core::new(limits(size));
    for server in 0..servers {
        core.busy += 1;
        assert_eq!(core.give_back(server, HERE, now), Offer::Kept);
    }
    core
}

fn take(core: &mut Core<u32, u32>, now: Instant) -> Option<u32> {
    core.checkout(ClassId::EVERYBODY, HERE, now).map(|(server, _)| server)
}

/// Who got the server, and which.
fn taken(offer: Offer<u32, u32>) -> Option<(u32, u32)> {
    match offer {
        Offer::Taken(waiter, server, _) => Some((waiter, server)),
        Offer::Kept | Offer::Surplus(_) => None,
    }
}

#[test]
fn the_warmest_server_is_used_again_own_ones_first() {
    let now = Instant::now();
    let mut core = filled(4, 2, now);
    core.busy += 1;
    core.give_back(7, THERE, now);
    assert_eq!(take(&mut core, now), Some(1));
    assert_eq!(take(&mut core, now), Some(0));
    assert_eq!(take(&mut core, now), Some(7), "another worker's is better than none");
    assert_eq!(take(&mut core, now), None);
}

#[test]
fn servers_go_to_waiters_in_order_and_newcomers_do_not_overtake() {
    let now = Instant::now();
    let mut core = filled(1, 1, now);
    let server = take(&mut core, now).expect("free");
    core.enqueue(ClassId::EVERYBODY, 10, HERE, now);
    core.enqueue(ClassId::EVERYBODY, 11, HERE, now);
    assert_eq!(taken(core.give_back(server, HERE, now)), Some((10, 0)));
    assert_eq!(take(&mut core, now), None);
    assert_eq!(taken(core.give_back(server, HERE, now)), Some((11, 0)));
    assert_eq!(core.give_back(server, HERE, now), Offer::Kept);
}

#[test]
fn a_local_waiter_overtakes_only_while_the_first_is_fresh() {
    let now = Instant::now();
    let mut core = filled(1, 1, now);
    let server = take(&mut core, now).expect("free");
    core.enqueue(ClassId::EVERYBODY, 10, THERE, now);
    core.enqueue(ClassId::EVERYBODY, 11, HERE, now);
    core.enqueue(ClassId::EVERYBODY, 12, HERE, now);
    assert_eq!(taken(core.give_back(server, HERE, now)), Some((11, 0)));
    let later = now + OVERTAKE_TIME * 2;
    assert_eq!(taken(core.give_back(server, HERE, later)), Some((10, 0)));
}

#[test]
fn a_cold_pool_dials_for_every_waiter_and_never_beyond_its_size() {
    let now = Instant::now();
    let mut core: Core<u32, u32> = Core::new(limits(3));
    core.enqueue(ClassId::EVERYBODY, 1, HERE, now);
    core.enqueue(ClassId::EVERYBODY, 2, HERE, now);
    assert_eq!(core.start_dials(now), 2);
    assert_eq!(core.start_dials(now), 0, "they are on their way");
    for waiter in 3..9 {
        core.enqueue(ClassId::EVERYBODY, waiter, HERE, now);
    }
    assert_eq!(core.start_dials(now), 1);
    assert_eq!(core.total(), 3);
}

#[test]
fn the_reserve_opens_for_those_who_wait_long_and_closes_again() {
    let now = Instant::now();
    let mut core: Core<u32, u32> = Core::new(Limits {
        size: 1,
        reserve: 1,
        reserve_after: Some(Duration::from_secs(1)),
        min: 0,
        oldest_first: false,
    });
    core.enqueue(ClassId::EVERYBODY, 1, HERE, now);
    assert_eq!(core.start_dials(now), 1);
    core.arrived(now);
    assert_eq!(taken(core.give_back(100, HERE, now)), Some((1, 100)));
    core.enqueue(ClassId::EVERYBODY, 2, HERE, now);
    assert_eq!(core.start_dials(now + Duration::from_millis(999)), 0);
    let late = now + Duration::from_millis(1001);
    assert_eq!(core.start_dials(late), 1);
    core.arrived(late);
    assert_eq!(taken(core.give_back(101, HERE, late)), Some((2, 101)));
    assert_eq!(core.give_back(100, HERE, late), Offer::Surplus(100), "two is one too many");
    assert_eq!(core.give_back(101, HERE, late), Offer::Kept);
}

#[test]
fn a_paused_pool_keeps_nothing_and_serves_nobody() {
    let now = Instant::now();
    let mut core = filled(2, 2, now);
    let server = take(&mut core, now).expect("free");
    core.set_paused(true);
    assert_eq!(take(&mut core, now), None);
    core.enqueue(ClassId::EVERYBODY, 1, HERE, now);
    assert_eq!(core.start_dials(now), 0);
    assert_eq!(core.give_back(server, HERE, now), Offer::Surplus(server));
    core.set_paused(false);
    assert_eq!(core.waiting(), 1);
}

#[test]
fn integrals_are_exact() {
    let now = Instant::now();
    let mut core = filled(1, 1, now);
    take(&mut core, now);
    core.enqueue(ClassId::EVERYBODY, 1, HERE, now);
    let census = core.census(now + Duration::from_secs(2));
    let sums = (census.integrals.queue, census.integrals.busy, census.integrals.saturated);
    assert_eq!(sums, (2_000_000, 2_000_000, 2_000_000));
    assert_eq!(census.oldest_wait, Duration::from_secs(2));
}

#[derive(Clone, Debug)]
enum Step {
    Checkout(u16),
    Enqueue(u16),
    Forget(usize),
    GiveBack(usize, u16),
    Dial,
    Arrive,
    DialFails,
    Lose(usize),
    Resize(usize),
    Pause(bool),
    Evict,
    Retire(usize),
    Gone,
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u16).prop_map(Step::Checkout),
        4 => (0..3_u16).prop_map(Step::Enqueue),
        2 => (0..20_usize).prop_map(Step::Forget),
        6 => (0..8_usize, 0..3_u16).prop_map(|(at, worker)| Step::GiveBack(at, worker)),
        4 => Just(Step::Dial),
        4 => Just(Step::Arrive),
        1 => Just(Step::DialFails),
        1 => (0..8_usize).prop_map(Step::Lose),
        1 => (1..6_usize).prop_map(Step::Resize),
        1 => any::<bool>().prop_map(Step::Pause),
        1 => Just(Step::Evict),
        1 => (0..8_usize).prop_map(Step::Retire),
        2 => Just(Step::Gone),
        2 => (0..3_000_u64).prop_map(Step::Wait),
    ]
}

/// Who waits and who is served, by counting only.
#[derive(Default)]
struct Model {
    idle: usize,
    held: Vec<u32>,
    incoming: usize,
    leaving: usize,
    waiting: VecDeque<(TicketNumber, u32)>,
    served: usize,
}

proptest! {
    /// Whatever happens in whatever order: no server is in two places, none is lost, nobody waits while a server is
    /// free, every waiter is served at most once, and dials never exceed the size in force.
    #[test]
    fn servers_and_waiters_are_conserved(size in 1_usize..6, steps in proptest::collection::vec(step(), 0..200)) {
        let mut now = Instant::now();
        let mut core: Core<u32, u32> = Core::new(limits(size));
        let (mut model, mut size, mut next, mut paused) = (Model::default(), size, 0_u32, false);
        for step in steps {
            match step {
                Step::Checkout(worker) => {
                    let got = core.checkout(ClassId::EVERYBODY, WorkerId(worker), now).map(|(server, _)| server);
                    prop_assert_eq!(got.is_some(), !paused && model.waiting.is_empty() && model.idle > 0);
                    if let Some(server) = got {
                        prop_assert!(!model.held.contains(&server), "handed out twice");
                        model.idle -= 1;
                        model.held.push(server);
                    }
                }
                Step::Enqueue(worker) => {
                    next += 1;
                    let ticket = core.enqueue(ClassId::EVERYBODY, next, WorkerId(worker), now);
                    model.waiting.push_back((ticket, next));
                }
                Step::Forget(at) => {
                    if let Some((ticket, waiter)) = model.waiting.remove(at) {
                        prop_assert_eq!(core.forget(ticket, now), Some(waiter));
                        prop_assert_eq!(core.forget(ticket, now), None);
                    }
                }
                Step::GiveBack(at, worker) if at < model.held.len() => {
                    let server = model.held.swap_remove(at);
                    match core.give_back(server, WorkerId(worker), now) {
                        Offer::Taken(waiter, same, _) => {
                            prop_assert_eq!(same, server);
                            let place = model.waiting.iter().position(|&(_, waits)| waits == waiter);
                            prop_assert!(place.is_some_and(|place| place < OVERTAKE_PLACES), "served twice or unfairly");
                            model.waiting.remove(place.expect("checked"));
                            model.held.push(server);
                            model.served += 1;
                        }
                        Offer::Kept => {
                            prop_assert!(model.waiting.is_empty() && !paused);
                            model.idle += 1;
                        }
                        Offer::Surplus(_) => {
                            model.leaving += 1;
                            prop_assert!(paused || model.idle + model.held.len() + model.incoming >= size);
                        }
                    }
                }
                Step::Dial => {
                    let dials = core.start_dials(now);
                    model.incoming += dials;
                    let total = model.idle + model.held.len() + model.incoming + model.leaving;
                    prop_assert!(dials == 0 || total <= size, "{total} of {size}");
                    prop_assert!(dials <= model.waiting.len());
                }
                Step::Arrive if model.incoming > 0 => {
                    model.incoming -= 1;
                    core.arrived(now);
                    next += 1;
                    model.held.push(next);
                }
                Step::DialFails if model.incoming > 0 => {
                    model.incoming -= 1;
                    core.dial_failed(now);
                }
                Step::Lose(at) if at < model.held.len() => {
                    model.held.swap_remove(at);
                    core.lost(now);
                }
                Step::Resize(to) => {
                    size = to;
                    core.set_limits(limits(to));
                }
                Step::Pause(to) => {
                    paused = to;
                    core.set_paused(to);
                }
                Step::Retire(at) if at < model.held.len() => {
                    model.held.swap_remove(at);
                    model.leaving += 1;
                    core.retire(now);
                }
                Step::Gone if model.leaving > 0 => {
                    model.leaving -= 1;
                    core.gone();
                }
                Step::Evict if core.evict_idle().is_some() => {
                    model.idle -= 1;
                    model.leaving += 1;
                }
                Step::Wait(micros) => now += Duration::from_micros(micros),
                _ => {}
            }
            let census = core.census(now);
            prop_assert_eq!(
                (census.idle, census.busy, census.incoming, census.waiting),
                (model.idle, model.held.len(), model.incoming, model.waiting.len())
            );
            prop_assert_eq!(core.total() - core.staying(), model.leaving);
        }
    }
}

#[test]
fn a_smaller_pool_sends_idle_servers_away_the_coldest_first() {
    let now = Instant::now();
    let mut core = filled(4, 4, now);
    assert_eq!(take(&mut core, now), Some(3));
    core.set_limits(limits(2));
    assert_eq!(core.remove_surplus(now), [0, 1]);
    assert_eq!((core.staying(), core.remove_surplus(now).len()), (2, 0));
    assert_eq!(core.total(), 4, "until they have gone they are PostgreSQL's connections");
    core.gone();
    assert_eq!(core.total(), 3);
    core.set_limits(limits(0));
    assert_eq!(core.remove_surplus(now), [2], "a server in use goes when it is given back");
    assert_eq!(core.give_back(3, HERE, now), Offer::Surplus(3));
}
