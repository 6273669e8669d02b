//! Who hears what, and when.

use super::*;

fn name(text: &str) -> Ident {
    text.as_bytes().into()
}

fn set(names: &[&str]) -> BTreeSet<Ident> {
    names.iter().map(|text| name(text)).collect()
}

#[test]
fn a_channel_is_ready_when_the_server_says_so() {
    let exchange = Arc::<Exchange>::default();
    let mut listener = exchange.join(100);
    assert_eq!(listener.readiness(b"a", Waker::noop()), Readiness::Waiting);
    assert_eq!(exchange.plan(), Plan { listen: vec![name("a")], unlisten: vec![] });
    assert_eq!(exchange.plan(), Plan::default(), "asked once");
    assert_eq!(listener.readiness(b"a", Waker::noop()), Readiness::Waiting);
    exchange.listens(&[name("a")]);
    assert_eq!(listener.readiness(b"a", Waker::noop()), Readiness::Ready);
    drop(listener);
    assert_eq!(exchange.plan(), Plan { listen: vec![], unlisten: vec![name("a")] });
    assert!(exchange.is_unused());
}

#[test]
fn what_comes_before_the_commit_waits_for_it() {
    let exchange = Arc::<Exchange>::default();
    let (mut stays, mut goes) = (exchange.join(100), exchange.join(100));
    for listener in [&mut stays, &mut goes] {
        listener.readiness(b"a", Waker::noop());
    }
    exchange.deliver(b"a", b"1");
    assert_eq!(stays.take(), Post::default());
    stays.settle(&set(&["a"]));
    goes.settle(&set(&[]));
    exchange.deliver(b"a", b"2");
    assert_eq!(stays.take().messages, b"12");
    assert_eq!(goes.take().messages, b"");
}

#[test]
fn a_fence_is_reached_by_an_answer_and_given_up_when_there_is_none() {
    let exchange = Arc::<Exchange>::default();
    let listener = exchange.join(100);
    assert!(listener.is_past(listener.fence()), "there is nobody to wait for");
    exchange.connected();
    let (one, two) = (listener.fence(), listener.fence());
    assert_eq!(exchange.fence(), Some(two));
    exchange.fenced(one);
    assert!(listener.is_past(one) && !listener.is_past(two));
    exchange.expire_fences(Duration::from_secs(60));
    assert!(!listener.is_past(two));
    exchange.expire_fences(Duration::ZERO);
    assert!(listener.is_past(two));
    let three = listener.fence();
    exchange.lost();
    assert!(listener.is_past(three));
    assert_eq!(exchange.fence(), None);
}

#[test]
fn a_slow_client_is_told_that_it_missed_something() {
    let exchange = Arc::<Exchange>::default();
    let mut listener = exchange.join(4);
    listener.readiness(b"a", Waker::noop());
    listener.settle(&set(&["a"]));
    exchange.deliver(b"a", b"123");
    exchange.deliver(b"a", b"45");
    assert_eq!(listener.take(), Post { messages: vec![], overflow: true });
}

#[test]
fn a_lost_server_is_asked_for_everything_and_waiting_clients_are_told() {
    let exchange = Arc::<Exchange>::default();
    let (mut old, mut new) = (exchange.join(100), exchange.join(100));
    old.readiness(b"a", Waker::noop());
    old.settle(&set(&["a"]));
    exchange.plan();
    exchange.listens(&[name("a")]);
    exchange.lost();
    let fields = ErrorFields::read(b"");
    exchange.failed(fields.clone());
    assert_eq!(new.readiness(b"b", Waker::noop()), Readiness::Refused(fields));
    new.settle(&set(&[]));
    exchange.try_again();
    exchange.plan();
    exchange.listens(&[name("a")]);
    exchange.tell_all(b"!");
    assert_eq!(old.take().messages, b"!");
    assert_eq!(new.take().messages, b"");
}
