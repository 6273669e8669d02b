//! A client holds a server: for a transaction, or for its session.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use super::disconnect::Goodbye;
use super::held::Held;
use super::replies;
use super::serve::Client;
use crate::pool::{CloseReason, Lease, Pool};
use crate::relay::{Clock, Conversation, Keeping, MakeWay, Names, Outcome, Release};
use crate::server::strike;
use crate::stats::{ClientState, ServerState};
use crate::types::{PoolMode, Timeout, TransactionStatus};

impl MakeWay for Pool {
    fn make_way(&self, database: &[u8]) {
        self.close_idle_of(database);
    }
}

/// What a holder is waiting for; each has its timeout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The server works (`query_timeout`).
    Running,
    /// `query_timeout` has passed and the server was asked to cancel.
    Cancelling,
    /// The client is silent in its transaction (`idle_transaction_timeout`).
    IdleInTransaction,
    /// The client is silent outside of a transaction, in session mode (`client_idle_timeout`).
    Idle,
}

/// Measures a hold.
struct Watch {
    clock: Clock,
    phase: Option<Phase>,
    /// When the phase began, or was noticed.
    entered: Instant,
    /// The beginning of the requests that the server was asked to cancel: others after them have their own time.
    cancelled: Option<Instant>,
    /// The cancel request of ours on its way.
    cancel: Option<JoinHandle<bool>>,
    /// Ends with all cancel requests on their way.
    cancels: Option<JoinHandle<()>>,
}

/// How a hold ended.
enum End {
    Relay(Outcome),
    TimedOut(Phase),
    TransactionTooLong,
    Ordered(Goodbye),
}

impl Client {
    /// Relays until the server is not needed any more.
    pub(super) fn hold(&mut self, lease: Lease) -> impl Future<Output = Result<(), Goodbye>> {
        let since = lease.since();
        let restores = !Arc::ptr_eq(&self.session.params, &lease.applied);
        let mut held = Held::new(&self.key.target, lease, restores);
        self.note_active(&held);
        let mut watch = Watch {
            clock: Clock {
                requests_since: Some(since),
                idle_since: None,
                transaction_since: Some(since),
                silent: 0,
            },
            phase: None,
            entered: since,
            cancelled: None,
            cancel: None,
            cancels: None,
        };
        if self.mode() == PoolMode::Session {
            held.needs_reset = true;
        }
        async move {
            let mut restored = false;
            let end =
                std::future::poll_fn(|cx| self.poll_hold(cx, &mut held, &mut watch, &mut restored))
                    .await;
            self.disarm();
            self.end_hold(held, watch, end)
        }
    }

    fn note_active(&self, lease: &Lease) {
        let (client, server) = (&self.record.client, &lease.record);
        client.enter(ClientState::Active, server.id);
        server.enter(ServerState::Active, client.id);
        server.request_at(lease.since());
        // What the client before asked is none of this one's.
        server.statement.write(b"");
    }

    fn poll_hold(
        &mut self,
        cx: &mut Context<'_>,
        held: &mut Held,
        watch: &mut Watch,
        restored: &mut bool,
    ) -> Poll<End> {
        if held.progress.waits_for_client()
            && let Some(cancel) = &mut watch.cancel
        {
            // PostgreSQL signals twice: the second one may come behind the end of the query, and strike the next.
            if Pin::new(cancel).poll(cx).is_pending() {
                return self.check_hold(held, watch);
            }
            watch.cancel = None;
        }
        if held.stream.is_sent() && self.stands_still() {
            return self
                .ordered(false)
                .map_or(Poll::Pending, |word| Poll::Ready(End::Ordered(word)));
        }
        let mode = self.mode();
        let mut talk = Conversation {
            session: &mut self.session,
            server: held,
            names: names(&self.settings, mode),
            release: release(mode),
            cells: self.pool.stats.of(self.worker.id),
            errors: &self.pool.errors,
            clock: &mut watch.clock,
            keeping: Keeping {
                policy: self.settings.unsharable_state,
                max_pinned: self.settings.max_pinned.of(self.settings.pool_size),
                pins: &self.pool.pins,
                records: &self.record.records,
                record: &self.record.client,
                join: &|| self.pool.listener(),
                words: replies::unsharable,
                waker: cx.waker(),
            },
            state_limit: self.settings.max_session_state,
            packet_limit: self.settings.max_packet_size,
            way: self.pool.as_ref(),
        };
        if !std::mem::replace(restored, true) {
            self.relay.restore_session(&mut talk);
        }
        if let Some(listening) = &talk.session.listening {
            listening.listener.watch(cx.waker());
        }
        let mut side = self.worker.side(&mut self.stream);
        if let Poll::Ready(outcome) = self.relay.poll(cx, &mut side, &mut talk) {
            return Poll::Ready(End::Relay(outcome));
        }
        if held.stream.is_sent() && self.stands_still() {
            return Poll::Pending;
        }
        if self.await_cancels(cx, held, watch) {
            cx.waker().wake_by_ref();
        }
        self.check_hold(held, watch)
    }

    /// What pgusher itself wants of a server that rests waits for the end of cancel requests on their way, since they
    /// are not meant for that. True when that end has come.
    fn await_cancels(&self, cx: &mut Context<'_>, held: &Held, watch: &mut Watch) -> bool {
        if watch.cancels.is_none() && held.progress.waits_for_client() && held.backend.has_cancels()
        {
            let backend = Arc::clone(&held.backend);
            let over = async move { backend.cancels_over().await };
            watch.cancels = Some(self.worker.control.spawn(over));
        }
        let Some(over) = &mut watch.cancels else { return false };
        let is_over = Pin::new(over).poll(cx).is_ready();
        if is_over {
            watch.cancels = None;
        }
        is_over
    }

    /// Timeouts and orders, while nothing moves.
    fn check_hold(&mut self, held: &Held, watch: &mut Watch) -> Poll<End> {
        let phase = phase(held, watch);
        let idle = phase == Phase::Idle;
        if let Some(goodbye) = self.ordered(idle) {
            return Poll::Ready(End::Ordered(goodbye));
        }
        let fast = idle && self.settings.server_fast_close;
        if fast && held.record.close_needed.load(Ordering::Relaxed) {
            return Poll::Ready(End::Ordered(Goodbye::Told(replies::reconfigured())));
        }
        if watch.phase != Some(phase) {
            self.enter_phase(phase, watch);
        }
        if !self.deadline.is_over() {
            return Poll::Pending;
        }
        let is_over = |left: Timeout| left.is_some_and(|left| left.is_zero());
        if is_over(self.left_of_transaction(phase, watch)) {
            return Poll::Ready(End::TransactionTooLong);
        }
        if !is_over(self.left_of_phase(phase, watch)) {
            self.arm_phase(phase, watch);
            return Poll::Pending;
        }
        if phase != Phase::Running || self.worker.manners.like_pgbouncer {
            return Poll::Ready(End::TimedOut(phase));
        }
        self.ask_to_cancel(held, watch);
        Poll::Pending
    }

    fn enter_phase(&mut self, phase: Phase, watch: &mut Watch) {
        watch.phase = Some(phase);
        watch.entered = began(phase, &watch.clock).unwrap_or_else(Instant::now);
        if phase != Phase::Running {
            self.note_name();
        }
        self.record.client.set_idle_in_transaction(phase == Phase::IdleInTransaction);
        self.arm_phase(phase, watch);
    }

    fn arm_phase(&mut self, phase: Phase, watch: &Watch) {
        let own = self.left_of_phase(phase, watch);
        let transaction = self.left_of_transaction(phase, watch);
        self.deadline.arm(own.into_iter().chain(transaction).min());
    }

    /// What is left of the phase's own time. Requests end and others begin without a moment's rest in between, so the
    /// clock is asked where it knows.
    fn left_of_phase(&self, phase: Phase, watch: &Watch) -> Timeout {
        let limit = match phase {
            Phase::Running => self.settings.query_timeout,
            Phase::Cancelling => Some(CANCEL_PATIENCE),
            Phase::IdleInTransaction => self.settings.idle_transaction_timeout,
            Phase::Idle => self.settings.client_idle_timeout,
        };
        let since = began(phase, &watch.clock).unwrap_or(watch.entered);
        limit.map(|limit| limit.saturating_sub(since.elapsed()))
    }

    fn left_of_transaction(&self, phase: Phase, watch: &Watch) -> Timeout {
        let limit = self.settings.transaction_timeout.filter(|_| phase != Phase::Idle);
        let since = watch.clock.transaction_since.unwrap_or(watch.entered);
        limit.map(|limit| limit.saturating_sub(since.elapsed()))
    }

    /// `query_timeout`: the server itself ends the query, so the client stays.
    fn ask_to_cancel(&mut self, held: &Held, watch: &mut Watch) {
        watch.cancelled = watch.clock.requests_since;
        self.enter_phase(Phase::Cancelling, watch);
        if self.relay.can_speak() {
            let mut bytes = Vec::new();
            let limit = self.settings.query_timeout.unwrap_or_default();
            replies::cancelling(limit).put_notice(&mut bytes);
            self.relay.say(&bytes);
            // It is sent now, not with the server's next word.
            self.record.client.control.wake();
        }
        let guard = held.backend.begin_cancel();
        watch.cancel = Some(self.worker.control.spawn(strike(guard, CANCEL_PATIENCE)));
    }

    /// Lets the server go, and says what becomes of the client.
    fn end_hold(&mut self, mut held: Held, watch: Watch, end: End) -> Result<(), Goodbye> {
        held.calm();
        if self.relay.is_mid_request() {
            // The server waits for the rest of a message that will not come.
            held.progress.lose();
        }
        // A stray statement has a client's name; its Sync did not come.
        let open = self.session.changes.take().is_some();
        let stray = self.session.portals.take().is_some_and(|portals| portals.stray.is_some());
        if self.session.is_pinned() || stray || open || held.listens {
            held.needs_reset = true;
        }
        self.session.let_go();
        if held.is_spent {
            held.condemn(CloseReason::Unclean);
        }
        let result = match end {
            End::Relay(outcome) => self.judge(&mut held, outcome),
            End::TimedOut(phase) => Err(timed_out(phase)),
            End::TransactionTooLong => Err(Goodbye::Told(replies::transaction_timeout())),
            End::Ordered(goodbye) => Err(goodbye),
        };
        let ended = result.as_ref().copied().unwrap_or_else(|_| Instant::now());
        if result.is_err() {
            self.trace_cut_short(&mut held);
        }
        self.measure(held.since(), ended, &watch.clock, result.is_err());
        // Before the last replies are sent: whoever waits need not wait for that.
        held.end(ended);
        drop(held);
        self.record.client.set_idle_in_transaction(false);
        self.note_idle();
        result.map(drop)
    }

    /// A transaction that its client or its server did not live to see the end of.
    fn trace_cut_short(&self, held: &mut Held) {
        let traced = std::mem::take(&mut held.traced);
        if traced.is_open() {
            let (client, server) = (&self.record.client, &held.record);
            self.record.records.tracer.transaction(traced, client, server, "aborted");
        }
    }

    fn judge(&self, held: &mut Held, outcome: Outcome) -> Result<Instant, Goodbye> {
        Err(match outcome {
            Outcome::Settled(now) => return Ok(now),
            Outcome::Unserved => {
                held.progress.lose();
                return Ok(Instant::now());
            }
            Outcome::ClientLeft => Goodbye::Terminated,
            Outcome::ClientGone => Goodbye::Closed,
            Outcome::ClientLost(error) => Goodbye::Failed(error.kind()),
            Outcome::TransactionRefused => Goodbye::Told(replies::transaction_refused()),
            Outcome::BadRequest(error) => {
                held.progress.lose();
                Goodbye::Told(replies::bad_request(error))
            }
            Outcome::BadReply(error) => {
                held.progress.lose();
                if held.progress.is_out_of_sync() {
                    held.condemn(CloseReason::OutOfSync);
                }
                tracing::warn!(server = held.record.id, %error, "server broke the protocol");
                Goodbye::Told(replies::bad_reply(&error))
            }
            Outcome::ServerGone { farewell } => {
                held.condemn(CloseReason::Error);
                // PgBouncer hands a server's last words on, and adds its own.
                if farewell && !self.worker.manners.like_pgbouncer {
                    Goodbye::ByServer
                } else {
                    Goodbye::Told(replies::server_gone())
                }
            }
        })
    }
}

/// When the phase began, where the conversation's clock knows.
fn began(phase: Phase, clock: &Clock) -> Option<Instant> {
    match phase {
        Phase::Running => clock.requests_since,
        Phase::Cancelling => None,
        Phase::IdleInTransaction | Phase::Idle => clock.idle_since,
    }
}

/// How long a server may take to react to a cancel request.
const CANCEL_PATIENCE: Duration = Duration::from_secs(10);

fn phase(held: &Held, watch: &Watch) -> Phase {
    let progress = &held.progress;
    if !progress.waits_for_client() {
        let cancelling = watch.cancelled.is_some() && watch.cancelled == watch.clock.requests_since;
        return if cancelling { Phase::Cancelling } else { Phase::Running };
    }
    if progress.status() == TransactionStatus::Idle && progress.is_quiet() {
        Phase::Idle
    } else {
        Phase::IdleInTransaction
    }
}

fn timed_out(phase: Phase) -> Goodbye {
    Goodbye::Told(match phase {
        Phase::Running | Phase::Cancelling => replies::query_timeout(),
        Phase::IdleInTransaction => replies::idle_transaction_timeout(),
        Phase::Idle => replies::idle_timeout(),
    })
}

fn names(settings: &crate::config::PoolSettings, mode: PoolMode) -> Names {
    match settings.max_prepared_statements {
        limit @ 1.. if mode != PoolMode::Session => Names::Virtual { limit },
        _ => Names::Raw,
    }
}

fn release(mode: PoolMode) -> Release {
    match mode {
        PoolMode::Transaction => Release::Transaction,
        PoolMode::Statement => Release::Statement,
        PoolMode::Session => Release::Never,
    }
}
