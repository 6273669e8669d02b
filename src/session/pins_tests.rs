use proptest::prelude::*;

use super::*;
use crate::sql::{Quoting, read};

fn pieces(sql: &str) -> Vec<Piece> {
    read(sql.as_bytes(), Quoting::default()).pieces
}

fn causes(sql: &str) -> Vec<Cause> {
    pieces(sql).iter().fold(Causes::NONE, |all, piece| all.or(causes_of(piece))).iter().collect()
}

#[test]
fn each_statement_has_its_cause() {
    for (sql, cause) in [
        ("prepare p as select 1", Cause::Prepare),
        ("select pg_advisory_lock(1)", Cause::AdvisoryLock),
        ("select 1 where pg_try_advisory_lock_shared($1, 2)", Cause::AdvisoryLock),
        ("create temp table t (a int)", Cause::TempObject),
        ("select 1 as a into temporary t", Cause::TempObject),
        ("create view pg_temp.v as select 1", Cause::TempObject),
        ("declare c cursor with hold for select 1", Cause::HoldCursor),
        ("load 'auto_explain'", Cause::Load),
        ("select setseed(0.5)", Cause::Seed),
        ("select pg_replication_origin_session_setup('x')", Cause::ReplicationOrigin),
        ("set session authorization somebody", Cause::SessionAuthorization),
        ("select 'without end", Cause::Unknown),
        ("do $$ begin perform pg_advisory_lock(1); end $$", Cause::AdvisoryLock),
    ] {
        assert_eq!(causes(sql), [cause], "{sql}");
    }
    for sql in [
        "select pg_advisory_xact_lock(1)",
        "declare c cursor without hold for select 1",
        "set session authorization default",
        "select pg_advisory_unlock(1)",
        "set local session authorization somebody",
        "select nextval('s')",
    ] {
        assert_eq!(causes(sql), [], "{sql}");
    }
}

#[test]
fn what_the_catalog_does_not_know_ends_at_once() {
    let mut pins = Pins::default();
    pins.begin(Cause::AdvisoryLock.into());
    assert!(!pins.is_empty());
    assert_eq!(pins.question(), Some(Cause::AdvisoryLock.into()));
    pins.answered(Cause::AdvisoryLock.into(), Causes::NONE);
    assert!(pins.is_empty());
    assert_eq!(pins.question(), None);
}

#[test]
fn what_no_catalog_shows_is_believed_when_it_succeeds() {
    let [load] = &pieces("load 'x'")[..] else { panic!("one piece") };
    let mut pins = Pins::default();
    pins.begin(causes_of(load));
    assert_eq!(pins.question(), None);
    assert!(pins.is_empty(), "it failed");
    pins.begin(causes_of(load));
    pins.completed(load);
    assert_eq!(pins.question(), None);
    assert_eq!(pins.causes(), Cause::Load.into());
}

/// What a session really holds, and what a server would say about it.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// A statement with this text; it may fail.
    Run(&'static str, bool),
    /// The server is at rest; it may refuse to answer.
    Rest,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let sql = proptest::sample::select(vec![
        "select pg_advisory_lock(1)",
        "select pg_advisory_unlock(1)",
        "create temp table t (a int)",
        "drop table t",
        "prepare p as select 1",
        "deallocate p",
        "declare c cursor with hold for select 1",
        "close all",
        "load 'x'",
        "discard all",
        "select 1",
    ]);
    let step = prop_oneof![
        4 => (sql, any::<bool>()).prop_map(|(sql, works)| Step::Run(sql, works)),
        3 => Just(Step::Rest),
    ];
    proptest::collection::vec(step, 0..40)
}

/// The naive model: the set of what the session holds, by the text of the statement that makes or ends it.
fn run(held: &mut std::collections::BTreeSet<&'static str>, sql: &str) {
    match sql {
        "select pg_advisory_lock(1)" => drop(held.insert("lock")),
        "select pg_advisory_unlock(1)" => drop(held.remove("lock")),
        "create temp table t (a int)" => drop(held.insert("temp")),
        "drop table t" => drop(held.remove("temp")),
        "prepare p as select 1" => drop(held.insert("prepare")),
        "deallocate p" => drop(held.remove("prepare")),
        "declare c cursor with hold for select 1" => drop(held.insert("cursor")),
        "close all" => drop(held.remove("cursor")),
        "load 'x'" => drop(held.insert("load")),
        "discard all" => held.retain(|what| *what == "load"),
        _ => {}
    }
}

fn as_causes(held: &std::collections::BTreeSet<&'static str>) -> Causes {
    let cause = |what: &&str| match *what {
        "lock" => Cause::AdvisoryLock,
        "temp" => Cause::TempObject,
        "prepare" => Cause::Prepare,
        "cursor" => Cause::HoldCursor,
        _ => Cause::Load,
    };
    held.iter().map(cause).fold(Causes::NONE, |all, cause| all.or(cause.into()))
}

proptest! {
    /// At rest, after the server's answer, the ties are what the session holds: no less, so that nothing vanishes or
    /// leaks, and no more, so that a pin ends with its cause. In between they are never less.
    #[test]
    fn ties_agree_with_a_naive_model(steps in steps()) {
        let (mut pins, mut held) = (Pins::default(), std::collections::BTreeSet::new());
        for step in steps.into_iter().chain([Step::Rest]) {
            match step {
                Step::Run(sql, works) => {
                    let piece = &pieces(sql)[0];
                    pins.begin(causes_of(piece));
                    if works {
                        run(&mut held, sql);
                        pins.completed(piece);
                    }
                    let missing = as_causes(&held).without(pins.causes());
                    prop_assert!(missing.is_empty(), "{missing:?} is missing after {sql}");
                }
                Step::Rest => {
                    if let Some(asked) = pins.question() {
                        pins.answered(asked, as_causes(&held));
                    }
                    prop_assert_eq!(pins.causes(), as_causes(&held));
                }
            }
        }
    }
}
