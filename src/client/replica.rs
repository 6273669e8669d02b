//! A replication client and the server made for it: bytes pass as they are, until one of the two leaves.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::disconnect::{Goodbye, linger};
use super::frames::Frames;
use super::limits::{Counted, Guest, Present};
use super::log;
use super::replies;
use super::worker::Worker;
use crate::cancel::Issued;
use crate::control::Order;
use crate::net::{Buffer, Stream, Suspended};
use crate::pool::{Lease, Pool, PoolError};
use crate::stats::{ClientRecord, ClientState, Entered, ServerState};
use crate::wire::tag::{backend as tag, frontend};
use crate::wire::{ErrorFields, Severity};

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

/// Waits for the server of a client that has logged in; meanwhile orders are heard.
pub(super) async fn wait_for_server(
    pool: &Arc<Pool>,
    parameters: BTreeMap<String, String>,
    client: &ClientRecord,
    makers: &Handle,
) -> Result<Lease, ErrorFields> {
    client.enter(ClientState::Waiting, 0);
    let maker = Arc::clone(pool);
    // Not here: a login on a server may keep a processor busy. A client that is sent away waits no longer.
    let mut made = JoinSet::new();
    made.spawn_on(async move { maker.make_own(parameters).await }, makers);
    let made = std::future::poll_fn(|cx| {
        client.control.watch(cx);
        if let Some(fields) = last_words(client.control.order()) {
            return Poll::Ready(Err(fields));
        }
        if client.control.is_suspended() {
            client.control.stand_still();
            return Poll::Pending;
        }
        made.poll_join_next(cx).map(|made| {
            let made = made.and_then(Result::ok).unwrap_or(Err(PoolError::ShuttingDown));
            made.map_err(|error| replies::no_server(&error).severity(Severity::Fatal))
        })
    });
    made.await
}

/// What a client that is told to go hears; `None` while it may stay until it rests.
fn last_words(order: Order) -> Option<ErrorFields> {
    match order {
        Order::None | Order::CloseWhenIdle => None,
        Order::CloseNow => Some(replies::killed()),
        Order::CloseRemoved => Some(replies::removed()),
        Order::CloseForShutdown => Some(replies::shutting_down()),
    }
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
        let order = self.record.client.control.order();
        let may_go = self.rests || self.streams;
        let fields = match order {
            Order::CloseWhenIdle if may_go => Some(replies::shutting_down()),
            _ => last_words(order),
        };
        fields.map(Goodbye::Told)
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
