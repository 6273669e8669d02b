//! Streams over pairs of sockets.

use std::io::{Read, Write};
use std::task::Context;

use socket2::Socket;

use super::{Buffer, BufferPool, Stream};

fn pair() -> (Stream, std::os::unix::net::UnixStream) {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("socketpair");
    (Stream::new(Socket::from(std::os::fd::OwnedFd::from(ours))).expect("stream"), theirs)
}

#[tokio::test]
async fn bytes_go_both_ways_and_the_end_is_seen() {
    let (mut ours, mut theirs) = pair();
    let mut buffer = Buffer::new();
    theirs.write_all(b"one").expect("write");
    assert_eq!(ours.recv(&mut buffer).await.expect("recv"), 3);
    ours.send_all(b"two").await.expect("send");
    let mut got = [0; 3];
    theirs.read_exact(&mut got).expect("read");
    assert_eq!(&got, b"two");
    drop(theirs);
    assert_eq!(ours.recv(&mut buffer).await.expect("end"), 0);
}

#[tokio::test]
async fn waiting_for_the_end_loses_no_bytes() {
    let (mut ours, mut theirs) = pair();
    let (mut buffer, pool) = (Buffer::new(), BufferPool::default());
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(ours.poll_recv(&mut cx, &mut buffer, &pool).is_pending());
    theirs.write_all(b"early").expect("write");
    tokio::task::yield_now().await;
    assert!(ours.poll_peer_closed(&mut cx).is_pending());
    assert_eq!(ours.recv(&mut buffer).await.expect("recv"), 5);
    drop(theirs);
    std::future::poll_fn(|cx| ours.poll_peer_closed(cx)).await.expect("closed");
}

#[tokio::test]
async fn what_arrives_while_suspended_is_read() {
    let (mut ours, mut theirs) = pair();
    assert!(ours.can_suspend());
    let suspended = ours.suspend();
    theirs.write_all(b"meanwhile").expect("write");
    let mut ours = suspended.resume(None).expect("resume");
    let mut buffer = Buffer::new();
    assert_eq!(ours.recv(&mut buffer).await.expect("recv"), 9);
    theirs.write_all(b"later").expect("write");
    assert_eq!(ours.recv(&mut buffer).await.expect("recv"), 5);
}

#[tokio::test]
async fn more_than_the_kernel_takes_arrives_in_order() {
    let (mut ours, mut theirs) = pair();
    let sent: Vec<u8> = (0..4_000_000_u32).map(|n| (n % 251) as u8).collect();
    let copy = sent.clone();
    let reader = std::thread::spawn(move || {
        let mut got = Vec::new();
        theirs.read_to_end(&mut got).expect("read");
        got
    });
    ours.send_all(&sent).await.expect("send");
    drop(ours);
    assert!(reader.join().expect("reader") == copy);
}
