//! Streams that share a batch.

use std::io::Read;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use socket2::Socket;

use super::{Sends, Stream};
use crate::config::SendEngine;

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicUsize);

impl Woken {
    fn count(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A stream of a batch, and its peer.
fn pair(sends: &Arc<Sends>) -> (Stream, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let stream = Stream::new(Socket::from(std::os::fd::OwnedFd::from(ours))).expect("stream");
    theirs.set_nonblocking(true).expect("nonblocking");
    (stream.rehome(Some(sends)).expect("rehome"), theirs)
}

fn batch() -> Arc<Sends> {
    Arc::new(Sends::new(SendEngine::Auto).expect("engine"))
}

/// Sends all of it as a task would: again when the socket took a part.
async fn send(stream: &mut Stream, bytes: &[u8]) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let count = std::future::poll_fn(|cx| stream.poll_send(cx, rest)).await.expect("send");
        rest = &rest[count..];
    }
}

fn arrived(peer: &mut UnixStream) -> Vec<u8> {
    let mut got = Vec::new();
    let end = peer.read_to_end(&mut got);
    assert!(end.is_ok() || end.is_err_and(|e| e.kind() == std::io::ErrorKind::WouldBlock));
    got
}

#[tokio::test]
async fn small_sends_wait_for_the_end_of_the_turn() {
    let sends = batch();
    let (mut one, mut peer_of_one) = pair(&sends);
    let (mut two, mut peer_of_two) = pair(&sends);
    send(&mut one, b"one").await;
    send(&mut two, b"two").await;
    assert!(arrived(&mut peer_of_one).is_empty());
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    one.wake_when_submitted(&Context::from_waker(&waker));
    assert!(!one.has_submitted() && woken.count() == 0);
    sends.end_turn();
    assert!(one.has_submitted() && woken.count() == 1);
    assert_eq!(
        (arrived(&mut peer_of_one), arrived(&mut peer_of_two)),
        (b"one".into(), b"two".into())
    );
}

#[tokio::test]
async fn order_is_kept_whatever_the_sizes() {
    let sends = batch();
    let (mut stream, mut peer) = pair(&sends);
    let mut sent = Vec::new();
    for size in [1, 4_096, 4_097, 2, 20_000, 3, 4] {
        let bytes = vec![size as u8; size];
        send(&mut stream, &bytes).await;
        sent.extend(bytes);
    }
    drop(stream);
    assert!(arrived(&mut peer) == sent, "dropping a stream flushes it");
}

#[tokio::test]
async fn what_the_kernel_refuses_is_sent_before_anything_else() {
    let sends = batch();
    let (mut full, mut peer) = pair(&sends);
    let (mut other, mut peer_of_other) = pair(&sends);
    let mut sent = 0;
    let block = [b'x'; 8 * 1024];
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(count) = full.poll_send(&mut cx, &block) {
        sent += count.expect("send");
    }
    // Both count as sent, and stand in one submission.
    send(&mut other, b"fine").await;
    send(&mut full, b"first").await;
    send(&mut other, b"!").await;
    assert!(!full.is_sent() && other.is_sent());
    assert!(full.poll_send(&mut cx, b"second").is_pending());
    let reader = std::thread::spawn(move || {
        peer.set_nonblocking(false).expect("blocking");
        let mut got = Vec::new();
        peer.read_to_end(&mut got).expect("read");
        got
    });
    send(&mut full, b"second").await;
    drop((full, other));
    let got = reader.join().expect("reader");
    assert_eq!(got.len(), sent + 11);
    assert!(got.ends_with(b"firstsecond"));
    assert_eq!(arrived(&mut peer_of_other), b"fine!");
}

#[tokio::test]
async fn an_error_reaches_the_stream_it_belongs_to() {
    let sends = batch();
    let (mut broken, peer) = pair(&sends);
    let (mut other, mut peer_of_other) = pair(&sends);
    drop(peer);
    send(&mut broken, b"lost").await;
    send(&mut other, b"fine").await;
    drop(other);
    assert_eq!(arrived(&mut peer_of_other), b"fine");
    assert!(std::future::poll_fn(|cx| broken.poll_sent(cx)).await.is_err());
}

#[tokio::test]
async fn a_stream_takes_its_rest_along() {
    let (here, there) = (batch(), batch());
    let (mut stream, mut peer) = pair(&here);
    let mut cx = Context::from_waker(Waker::noop());
    let mut sent = 0;
    while let Poll::Ready(count) = stream.poll_send(&mut cx, &[b'x'; 8 * 1024]) {
        sent += count.expect("send");
    }
    send(&mut stream, b"rest").await;
    let mut stream = stream.rehome(Some(&there)).expect("rehome");
    assert!(!stream.is_sent());
    let mut got = arrived(&mut peer);
    send(&mut stream, b"more").await;
    drop(stream);
    got.extend(arrived(&mut peer));
    assert_eq!((got.len(), &got[sent..]), (sent + 8, &b"restmore"[..]));
}
