//! Whose turn it is.

use super::*;
use crate::stats::HistogramTotal;

const HERE: WorkerId = WorkerId(0);

fn rules(name: &str, weight: u32) -> ClassRules {
    ClassRules { name: name.into(), weight, ..ClassRules::default() }
}

fn queues(rules: &[ClassRules]) -> Queues<u32> {
    let mut queues = Queues::new();
    queues.set_rules(rules, &Buckets::new(&[]));
    queues
}

/// Serves whoever's turn it is `turns` times on one server, each for as long as its class takes; returns how long the
/// server worked for each class. Every class has waiters at all times.
fn busy(
    queues: &mut Queues<u32>,
    classes: &[(&str, Duration)],
    turns: usize,
) -> Vec<(ClassId, Duration)> {
    let mut now = Instant::now();
    let mut worked: Vec<_> =
        classes.iter().map(|(name, _)| (queues.id(name), Duration::ZERO)).collect();
    for &(class, _) in &worked {
        for waiter in 0..turns {
            queues.enqueue(class, waiter as u32, HERE, now);
        }
    }
    for _ in 0..turns {
        let (_, used) = queues.next(HERE, now).expect("somebody waits");
        let at = worked.iter().position(|(class, _)| *class == used.class).expect("known");
        now += classes[at].1;
        worked[at].1 += classes[at].1;
        queues.finish(used, classes[at].1);
    }
    worked
}

#[test]
fn time_is_shared_by_weight_however_long_a_turn_takes() {
    let mut queues = queues(&[rules("web", 3), rules("batch", 1)]);
    let classes = [("web", Duration::from_millis(2)), ("batch", Duration::from_millis(50))];
    let worked = busy(&mut queues, &classes, 4_000);
    let share = worked[0].1.as_secs_f64() / (worked[0].1 + worked[1].1).as_secs_f64();
    assert!((0.74..0.76).contains(&share), "{share}");
}

#[test]
fn classes_tell_what_they_have_had_and_one_alone_tells_nothing() {
    let start = Instant::now();
    assert_eq!(queues(&[]).classes(start), []);
    let mut queues = queues(&[rules("batch", 1)]);
    let batch = queues.id("batch");
    for waiter in 0..3 {
        queues.enqueue(batch, waiter, HERE, start);
    }
    let step = Duration::from_millis(5);
    for turn in 1..=2 {
        queues.next(HERE, start + turn * step).expect("somebody waits");
    }
    queues.lent_at_once(batch);
    let expected = ClassFacts {
        name: "batch".into(),
        waiting: 1,
        oldest_wait: 4 * step,
        servers: 2,
        assigned: 3,
        waits: HistogramTotal { counts: vec![3], sum_micros: 15_000 },
    };
    let waits = HistogramTotal { counts: vec![0], sum_micros: 0 };
    let idle = ClassFacts { name: "default".into(), waits, ..ClassFacts::default() };
    assert_eq!(queues.classes(start + 4 * step), [idle, expected]);
}

#[test]
fn a_class_that_was_away_neither_saves_up_nor_pays_for_others() {
    let mut queues = queues(&[rules("web", 1), rules("batch", 1)]);
    let step = Duration::from_millis(1);
    busy(&mut queues, &[("batch", step)], 1_000);
    let worked = busy(&mut queues, &[("web", step), ("batch", step)], 200);
    assert!((99..=101).contains(&worked[0].1.as_millis()), "half of 200 ms: {worked:?}");
}

#[test]
fn a_class_at_its_limit_is_passed_over() {
    let capped = ClassRules { max: Some(1), ..rules("batch", 1) };
    let mut queues = queues(&[capped]);
    let (now, batch) = (Instant::now(), queues.id("batch"));
    queues.enqueue(batch, 1, HERE, now);
    queues.enqueue(batch, 2, HERE, now);
    assert_eq!(queues.eligible(), 1);
    let (first, used) = queues.next(HERE, now).expect("room for one");
    assert_eq!(first, 1);
    assert_eq!((queues.eligible(), queues.next(HERE, now)), (0, None));
    assert!(queues.may_pass(ClassId::EVERYBODY), "others need not wait for it");
    assert!(!queues.may_pass(batch));
    queues.finish(used, Duration::ZERO);
    assert_eq!(queues.next(HERE, now).map(|(waiter, _)| waiter), Some(2));
}

#[test]
fn minimum_comes_before_priority_and_priority_before_weight() {
    let low = ClassRules { min: 1, ..rules("low", 1) };
    let high = ClassRules { priority: 5, ..rules("high", 1) };
    let mut queues = queues(&[low, high, rules("heavy", 1_000)]);
    let now = Instant::now();
    for (waiter, name) in [(1, "heavy"), (2, "heavy"), (3, "low"), (4, "low"), (5, "high")] {
        let class = queues.id(name);
        queues.enqueue(class, waiter, HERE, now);
    }
    let order: Vec<_> =
        std::iter::from_fn(|| queues.next(HERE, now)).map(|(waiter, _)| waiter).collect();
    assert_eq!(order[..2], [3, 5]);
    assert_eq!(order.len(), 5);
}

#[test]
fn the_expected_wait_follows_the_queue() {
    let mut queues: Queues<u32> = Queues::new();
    let mut now = Instant::now();
    let class = ClassId::EVERYBODY;
    assert_eq!(queues.outlook(class, now), (0, None), "nothing is known yet");
    for waiter in 0..300 {
        queues.enqueue(class, waiter, HERE, now);
    }
    for _ in 0..200 {
        now += Duration::from_millis(5);
        let (_, used) = queues.next(HERE, now).expect("waiting");
        queues.finish(used, Duration::from_millis(20));
    }
    let (ahead, expected) = queues.outlook(class, now);
    let expected = expected.expect("known").as_secs_f64();
    assert_eq!(ahead, 100);
    assert!((0.45..0.56).contains(&expected), "101 turns of 5 ms: {expected}");
    let stalled = queues.outlook(class, now + Duration::from_secs(3)).1.expect("known");
    assert!(stalled > Duration::from_secs(3), "a queue in which nothing moves: {stalled:?}");
    let places = queues.places(now);
    assert_eq!((places.len(), places[0].waiter, places[99].ahead), (100, 200, 99));
}

#[test]
fn a_server_that_was_not_lent_after_all_counts_for_nothing() {
    let capped = ClassRules { max: Some(1), ..rules("batch", 1) };
    let mut queues = queues(&[capped]);
    let (now, batch) = (Instant::now(), queues.id("batch"));
    let lent = queues.serve(batch);
    queues.finish(lent, Duration::from_millis(8));
    let lent = queues.serve(batch);
    assert!(!queues.may_pass(batch));
    queues.revoke(lent);
    assert!(queues.may_pass(batch));
    assert_eq!(queues.outlook(batch, now).1, Some(Duration::from_millis(8)), "the usual hold");
}

/// While the first connections were made everything took long.
#[test]
fn a_slow_start_is_forgotten_with_its_queue() {
    let mut queues: Queues<u32> = Queues::new();
    let (mut now, class) = (Instant::now(), ClassId::EVERYBODY);
    for waiter in 0..10 {
        queues.enqueue(class, waiter, HERE, now);
    }
    for _ in 0..10 {
        now += Duration::from_millis(400);
        let (_, used) = queues.next(HERE, now).expect("waiting");
        queues.finish(used, Duration::from_millis(10));
    }
    let (_, alone) = queues.outlook(class, now);
    assert_eq!(alone, Some(Duration::from_millis(10)));
    for waiter in 10..15 {
        queues.enqueue(class, waiter, HERE, now);
    }
    let (_, sixth) = queues.outlook(class, now);
    assert_eq!(sixth, Some(Duration::from_millis(60)));
}

#[test]
fn waiters_keep_their_places_when_the_rules_change() {
    let mut queues = queues(&[rules("a", 1), rules("b", 1)]);
    let (now, b) = (Instant::now(), queues.id("b"));
    let ticket = queues.enqueue(b, 7, HERE, now);
    queues.enqueue(b, 8, HERE, now);
    queues.set_rules(&[rules("c", 1)], &Buckets::new(&[]));
    assert_eq!(queues.id("b"), b);
    assert_eq!(queues.name(b).as_ref(), "b");
    assert_eq!((queues.forget(ticket), queues.waiting()), (Some(7), 1));
    assert_eq!(queues.next(HERE, now).map(|(waiter, _)| waiter), Some(8));
}

/// Offered twice what the server can do, a queue in which those who would come too late are turned away loses nothing
/// of what the server can do, and those who are let in come in time.
#[test]
fn who_would_come_too_late_is_told_by_the_expected_wait() {
    let (service, deadline) = (Duration::from_millis(5), Duration::from_millis(100));
    let arrival = service / 2;
    let mut queues: Queues<Instant> = Queues::new();
    let start = Instant::now();
    let (mut now, mut free_at, mut used) = (start, start, None);
    let (mut served, mut late) = (0, 0);
    while now < start + Duration::from_secs(60) {
        while free_at <= now {
            if let Some(over) = used.take() {
                queues.finish(over, service);
            }
            let Some((came, next)) = queues.next(HERE, free_at) else {
                free_at = now + Duration::from_nanos(1);
                break;
            };
            served += 1;
            late += usize::from(free_at - came > deadline + service);
            used = Some(next);
            free_at += service;
        }
        let (_, expected) = queues.outlook(ClassId::EVERYBODY, now);
        if expected.is_none_or(|expected| expected <= deadline) {
            queues.enqueue(ClassId::EVERYBODY, now, HERE, now);
        }
        now += arrival;
    }
    assert!(served > 11_400, "{served} of 12,000 that the server can do");
    assert!(late * 100 < served, "{late} came late");
}
