//! A replication client and the server made for it: bytes pass as they are, until one of the two leaves.

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use super::disconnect::{Goodbye, linger};
use super::frames::Frames;
use super::limits::{Counted, Guest, Present};
use super::log;
use super::replies;
use super::worker::Worker;
use crate::cancel::Issued;
use crate::control::Order;
use crate::net::{Buffer, Stream, Suspended};
use crate::pool::{Lease, Pool};
use crate::stats::{ClientState, Entered, ServerState};
use crate::wire::tag::{backend as tag, frontend};

/// How long last words may take.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A replication client on its way to a worker.
#[derive(Debug)]
pub struct Replica {
    pub(super) socket: Suspended,
    pub(super) buffer: Buffer,
    pub(super) pool: Arc<Pool>,
    pub(super) record: Entered,
    pub(super) key: Issued,
    pub(super) lease: Lease,
    pub(super) counted: [Counted; 3],
}

/// One direction.
#[derive(Debug, Default)]
struct Flow {
    buffer: Buffer,
    /// Bytes that have passed since they were last counted.
    passed: u64,
}

/// Two connections that are one.
struct Session {
    worker: Rc<Worker>,
    stream: Stream,
    lease: Lease,
    pool: Guest,
    record: Entered,
    requests: Flow,
    replies: Flow,
    frames: Frames,
    asked: Frames,
    /// The client has said goodbye.
    leaves: bool,
    /// The server has answered everything.
    rests: bool,
    /// It streams, for as long as it likes.
    streams: bool,
    _key: Issued,
    _counted: [Counted; 3],
    _present: Present,
}

/// Serves a replication client until it leaves.
pub(super) async fn serve(worker: Rc<Worker>, replica: Replica, present: Present) {
    let Replica { socket, buffer, pool, record, key, mut lease, counted } = replica;
    let Ok(stream) = socket.resume(Some(&worker.sends)) else { return };
    if lease.rehome(worker.id, &worker.sends).is_err() {
        return;
    }
    record.client.enter(ClientState::Active, lease.record.id);
    lease.record.enter(ServerState::Active, record.client.id);
    key.target.aim_at_server(&lease.backend);
    pool.stats.of(worker.id).logins.add(1);
    let session = Session {
        worker,
        stream,
        lease,
        pool: Guest::new(pool),
        record,
        requests: Flow { buffer, passed: 0 },
        replies: Flow::default(),
        frames: Frames::default(),
        asked: Frames::default(),
        leaves: false,
        rests: true,
        streams: false,
        _key: key,
        _counted: counted,
        _present: present,
    };
    session.run().await;
}

impl Session {
    async fn run(mut self) {
        let goodbye = std::future::poll_fn(|cx| {
            self.record.client.control.watch(cx);
            self.poll(cx)
        })
        .await;
        self.worker.log.disconnections.load(Ordering::Relaxed).then(|| {
            log::departure(&self.record.client, &goodbye, self.worker.manners);
        });
        // The server is not needed for the last words.
        let Session { mut stream, lease, worker, frames, replies, .. } = self;
        drop(lease);
        if let Goodbye::Told(fields) = goodbye
            && frames.at_boundary()
            && replies.buffer.is_empty()
        {
            let mut bytes = Vec::new();
            worker.manners.told(fields).put_error(&mut bytes);
            // A client that does not read does not hear it.
            let _ = tokio::time::timeout(LAST_WORDS, stream.send_all(&bytes)).await;
        }
        linger(stream).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Goodbye> {
        if let Some(goodbye) = self.ordered() {
            return Poll::Ready(goodbye);
        }
        if self.stands_still() {
            return Poll::Pending;
        }
        let Session { stream, lease, requests, replies, frames, asked, worker, .. } = self;
        let (mut rests, mut streams, mut leaves) = (self.rests, self.streams, self.leaves);
        let server = &mut lease.stream;
        let toward_server = requests.poll(cx, stream, server, &worker.buffers, &mut |bytes| {
            rests = false;
            asked.walk(bytes, |tag| leaves |= tag == frontend::TERMINATE);
        });
        let toward_client = replies.poll(cx, server, stream, &worker.buffers, &mut |bytes| {
            frames.walk(bytes, |tag| match tag {
                tag::READY_FOR_QUERY => rests = true,
                tag::COPY_BOTH_RESPONSE => streams = true,
                tag::COMMAND_COMPLETE => streams = false,
                _ => {}
            });
        });
        (self.rests, self.streams, self.leaves) = (rests, streams, leaves);
        self.count();
        match (toward_client, toward_server) {
            (Poll::Ready(_), _) | (_, Poll::Ready(End::From)) if leaves => {
                Poll::Ready(Goodbye::Terminated)
            }
            (Poll::Ready(End::From), _) => Poll::Ready(Goodbye::ByServer),
            (Poll::Ready(End::To), _) | (_, Poll::Ready(End::From)) => Poll::Ready(Goodbye::Closed),
            // What the server has to say of it is still to come.
            (Poll::Pending, Poll::Ready(End::To) | Poll::Pending) => Poll::Pending,
        }
    }

    /// While everything is suspended, nothing moves once no byte is under way. Resuming wakes it.
    fn stands_still(&mut self) -> bool {
        let control = &self.record.client.control;
        let is_still = self.frames.at_boundary()
            && self.asked.at_boundary()
            && [&self.requests, &self.replies].iter().all(|flow| flow.buffer.is_empty())
            && self.stream.is_sent()
            && self.lease.stream.is_sent();
        if !control.is_suspended() || !is_still {
            return false;
        }
        control.stand_still();
        true
    }

    fn count(&mut self) {
        let cells = self.pool.stats.of(self.worker.id);
        let asked = std::mem::take(&mut self.requests.passed);
        let answered = std::mem::take(&mut self.replies.passed);
        cells.client_received.add(asked);
        cells.server_sent.add(asked);
        cells.server_received.add(answered);
        cells.client_sent.add(answered);
    }

    fn ordered(&self) -> Option<Goodbye> {
        if self.lease.record.close_needed.load(Ordering::Relaxed) {
            return Some(Goodbye::Told(replies::reconfigured()));
        }
        match self.record.client.control.order() {
            Order::None => None,
            Order::CloseWhenIdle if !self.rests && !self.streams => None,
            Order::CloseNow => Some(Goodbye::Told(replies::killed())),
            Order::CloseRemoved => Some(Goodbye::Told(replies::removed())),
            Order::CloseWhenIdle | Order::CloseForShutdown => {
                Some(Goodbye::Told(replies::shutting_down()))
            }
        }
    }
}

/// Which side of a flow is over.
enum End {
    From,
    To,
}

impl Flow {
    /// Moves bytes until nothing moves; `see` looks at what comes.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
        pool: &crate::net::BufferPool,
        see: &mut dyn FnMut(&[u8]),
    ) -> Poll<End> {
        loop {
            while !self.buffer.is_empty() {
                match to.poll_send(cx, self.buffer.filled()) {
                    Poll::Ready(Ok(count)) => {
                        self.buffer.consume(count);
                        self.passed += count as u64;
                    }
                    Poll::Ready(Err(_)) => return Poll::Ready(End::To),
                    Poll::Pending => return Poll::Pending,
                }
            }
            match to.poll_sent(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Poll::Ready(End::To),
                Poll::Pending => return Poll::Pending,
            }
            match from.poll_recv(cx, &mut self.buffer, pool) {
                Poll::Ready(Ok(1..)) => see(self.buffer.filled()),
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(End::From),
                Poll::Pending => {
                    self.buffer.release(pool);
                    return Poll::Pending;
                }
            }
        }
    }
}
