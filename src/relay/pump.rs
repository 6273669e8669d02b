//! Moving bytes between a client and its server.

use std::io;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use super::answers::notifications;
use super::replies::Replies;
use super::requests::Requests;
use super::{Conversation, Release, ReplyError, RequestError};
use crate::net::{BufferPool, Nudges, Stream};
use crate::server::Fate;
use crate::server::progress::Purpose;
use crate::types::TransactionStatus;

/// The bytes in flight of one client.
#[derive(Debug, Default)]
pub struct Relay {
    pub(super) requests: Requests,
    pub(super) replies: Replies,
    /// A batch was refused; its messages are dropped up to Sync.
    pub(super) refusing: bool,
}

/// The client's socket, and where memory for bytes is borrowed.
#[derive(Debug)]
pub struct ClientSide<'a> {
    /// The socket.
    pub stream: &'a mut Stream,
    /// The thread's spare memory.
    pub pool: &'a BufferPool,
    /// Who looks again at sockets that fill.
    pub nudges: &'a Nudges,
}

/// How holding a server ends.
#[derive(Debug)]
pub enum Outcome {
    /// The transaction is over; replies may still have to be sent.
    Settled(Instant),
    /// The server was not given the client's session. The client has been told, and stays.
    Unserved,
    /// The client said goodbye.
    ClientLeft,
    /// The client went away.
    ClientGone,
    /// The client's connection failed.
    ClientLost(io::Error),
    /// The client began a transaction block in statement mode.
    TransactionRefused,
    /// The server went away. `farewell`: it said why, and the client has been told.
    ServerGone {
        /// The server's last message was a FATAL error.
        farewell: bool,
    },
    /// The client broke the protocol.
    BadRequest(RequestError),
    /// The server broke the protocol.
    BadReply(ReplyError),
}

impl Relay {
    /// From now on simple queries are an error, or are none.
    pub fn refuses_simple(&mut self, refuses: bool) {
        self.requests.refuses_simple = refuses;
    }

    /// From now on wrong names of statements end the session, or do not.
    pub fn ends_on_wrong_names(&mut self, ends: bool) {
        self.requests.ends_on_wrong_names = ends;
    }

    /// Makes the server's parameters the client's, if they are not.
    pub fn restore_session(&mut self, talk: &mut Conversation<'_>) {
        (self.requests.barrier, self.requests.changing) = (false, false);
        talk.server.fate = Fate::Good;
        if talk.differs() {
            self.requests.restore(talk);
        }
    }

    /// Moves bytes until nothing moves any more, or the server is not needed any more.
    ///
    /// # Cancel safety
    /// All state is in `self` and the conversation; the poll can be given up at any time.
    pub fn poll(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut ClientSide<'_>,
        talk: &mut Conversation<'_>,
    ) -> Poll<Outcome> {
        loop {
            match self.turn(cx, client, talk) {
                Ok(true) => {}
                Ok(false) => return Poll::Pending,
                Err(outcome) => return Poll::Ready(outcome),
            }
        }
    }

    /// One look at each socket; true when another might find something.
    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut ClientSide<'_>,
        talk: &mut Conversation<'_>,
    ) -> Result<bool, Outcome> {
        self.requests.scan(talk).map_err(Outcome::BadRequest)?;
        self.replies.may_heal = self.requests.may_heal();
        let given = self.replies.ready;
        let mut again = self.replies.answer_locals(talk);
        if again {
            talk.cells.client_sent.add((self.replies.ready - given) as u64);
        }
        let moved = self.send_requests(cx, talk);
        again |= self.resume_replies(talk)?;
        again |= self.receive_replies(cx, client, talk)?;
        again |= self.send_replies(cx, client)?;
        if self.requests.leaving
            && talk.server.progress.waits_for_client()
            && self.requests.is_drained()
        {
            return Err(Outcome::ClientLeft);
        }
        again |= self.receive_requests(cx, client, talk)?;
        again |= self.resolve_doubt(talk) || self.ask(talk) || self.do_chore(talk);
        again |= self.deliver(talk)?;
        if again || moved {
            self.check_settled(talk, None)?;
        }
        Ok(again)
    }

    /// Asks an empty query where only its answer shows whether the server has said its last word.
    fn resolve_doubt(&mut self, talk: &mut Conversation<'_>) -> bool {
        let wanted = talk.server.progress.wants_probe()
            && talk.release != Release::Never
            && self.requests.at_boundary()
            && talk.server.backend.shield();
        if wanted {
            self.requests.inject(talk, "", Purpose::Other);
        }
        wanted
    }

    /// Asks for values that only the server knows, before it is let go.
    fn ask(&mut self, talk: &mut Conversation<'_>) -> bool {
        let wanted = talk.must_ask() && self.requests.at_boundary() && talk.server.backend.shield();
        if wanted {
            self.requests.ask(talk);
        }
        wanted
    }

    /// Sees to it that what the server holds for the client is known before it is let go.
    fn do_chore(&mut self, talk: &mut Conversation<'_>) -> bool {
        let wanted = talk.has_chore()
            && talk.release != Release::Never
            && talk.server.progress.is_settled()
            && self.requests.at_boundary()
            && talk.server.backend.shield();
        if wanted {
            match talk.chore() {
                Some((sql, purpose)) => self.requests.inject(talk, &sql, purpose),
                None => talk.server.backend.expose(),
            }
        }
        wanted
    }

    /// Hands notifications on to a client that keeps its server and asks nothing of it.
    fn deliver(&mut self, talk: &mut Conversation<'_>) -> Result<bool, Outcome> {
        if talk.session.listening.is_none()
            || !talk.server.progress.is_quiet()
            || !self.replies.at_boundary()
        {
            return Ok(false);
        }
        let bytes = notifications(talk).map_err(Outcome::BadReply)?;
        self.replies.say(&bytes);
        Ok(!bytes.is_empty())
    }

    /// Lets the server go when nothing is outstanding, nothing is half sent in either direction, and nothing pins it.
    fn check_settled(
        &self,
        talk: &mut Conversation<'_>,
        now: Option<Instant>,
    ) -> Result<(), Outcome> {
        let whole = self.requests.at_boundary()
            && self.requests.is_drained()
            && self.replies.is_clean()
            && talk.server.stream.is_sent();
        let progress = &talk.server.progress;
        // Elsewhere a postponed request would be postponed again, for ever.
        if !whole
            || !progress.is_quiet()
            || self.requests.postponed
            || talk.must_ask()
            || talk.has_chore()
        {
            return Ok(());
        }
        match talk.release {
            Release::Never => Ok(()),
            Release::Statement if progress.status() != TransactionStatus::Idle => {
                Err(Outcome::TransactionRefused)
            }
            _ if !progress.is_settled() || talk.session.is_pinned() => Ok(()),
            _ => Err(Outcome::Settled(now.unwrap_or_else(Instant::now))),
        }
    }

    /// Sends what is ready for the server; true when it took something.
    fn send_requests(&mut self, cx: &mut Context<'_>, talk: &mut Conversation<'_>) -> bool {
        let mut moved = false;
        loop {
            let ready = self.requests.outgoing();
            if ready.is_empty() {
                // What the server did not take at once. An error shows when it is read from.
                let _ = talk.server.stream.poll_sent(cx);
                return moved;
            }
            match talk.server.stream.poll_send(cx, ready) {
                Poll::Ready(Ok(count @ 1..)) => {
                    self.requests.sent(count);
                    talk.cells.server_sent.add(count as u64);
                    moved = true;
                }
                // What the server had to say before it went is still to be read.
                Poll::Ready(Ok(0) | Err(_)) | Poll::Pending => return moved,
            }
        }
    }

    fn receive_replies(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut ClientSide<'_>,
        talk: &mut Conversation<'_>,
    ) -> Result<bool, Outcome> {
        if self.replies.buffer.is_full() {
            return Ok(false);
        }
        let server = &mut *talk.server;
        if server.bulk.is_waiting() {
            self.replies.buffer.expect_much(client.pool);
        }
        let before = self.replies.buffer.capacity();
        let received = server.stream.poll_recv(cx, &mut self.replies.buffer, client.pool);
        let count = match received {
            Poll::Pending => return Ok(server.bulk.dried(cx, client.nudges, &mut server.stream)),
            Poll::Ready(Ok(0) | Err(_)) => return Err(self.server_gone(talk)),
            Poll::Ready(Ok(count)) => count,
        };
        talk.cells.server_received.add(count as u64);
        let now = Instant::now();
        server.bulk.received(count, now, &mut server.stream);
        self.look_at_replies(talk, now)?;
        if before > 0 && self.replies.buffer.is_full() {
            self.replies.buffer.enlarge(client.pool);
        }
        // Before the replies are sent: the next client need not wait for that.
        self.check_settled(talk, Some(now))?;
        Ok(true)
    }

    fn look_at_replies(
        &mut self,
        talk: &mut Conversation<'_>,
        now: Instant,
    ) -> Result<(), Outcome> {
        let given = self.replies.ready;
        let scanned = self.replies.scan(talk, now);
        talk.cells.client_sent.add(self.replies.ready.saturating_sub(given) as u64);
        match scanned {
            Err(ReplyError::ReplayRefused(reason)) if talk.can_be_unserved(&reason) => {
                self.give_up(talk, reason);
                return Err(Outcome::Unserved);
            }
            scanned => scanned.map_err(Outcome::BadReply)?,
        }
        self.heal(talk);
        Ok(())
    }

    /// Goes on where the client's own notifications had to be waited for.
    fn resume_replies(&mut self, talk: &mut Conversation<'_>) -> Result<bool, Outcome> {
        let resumes = talk.has_own_post();
        if resumes {
            self.look_at_replies(talk, Instant::now())?;
        }
        Ok(resumes)
    }

    fn server_gone(&mut self, talk: &mut Conversation<'_>) -> Outcome {
        talk.server.progress.lose();
        self.replies.forget_unseen();
        Outcome::ServerGone { farewell: self.replies.farewell }
    }

    /// True when there is room now for more replies, where there was none.
    fn send_replies(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut ClientSide<'_>,
    ) -> Result<bool, Outcome> {
        let was_full = self.replies.buffer.is_full();
        match self.poll_flush(cx, client) {
            Poll::Ready(Err(error)) => Err(Outcome::ClientLost(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(was_full && !self.replies.buffer.is_full()),
        }
    }

    /// Sends what is ready for the client; ready when nothing is left.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_flush(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut ClientSide<'_>,
    ) -> Poll<io::Result<()>> {
        while self.replies.ready > 0 {
            let ready = self.replies.buffer.filled().get(..self.replies.ready).unwrap_or_default();
            let count = ready!(client.stream.poll_send(cx, ready))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.replies.sent(count);
        }
        self.replies.release(client.pool);
        client.stream.poll_sent(cx)
    }

    fn receive_requests(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut ClientSide<'_>,
        talk: &mut Conversation<'_>,
    ) -> Result<bool, Outcome> {
        if !self.requests.wants_bytes(talk.server.progress.outstanding()) {
            return Ok(false);
        }
        match self.poll_requests(cx, client) {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(0)) => Err(Outcome::ClientGone),
            Poll::Ready(Ok(count)) => {
                talk.cells.client_received.add(count as u64);
                Ok(true)
            }
            Poll::Ready(Err(error)) => Err(Outcome::ClientLost(error)),
        }
    }

    /// Receives from the client; `Ready(0)` is the end of the stream.
    ///
    /// # Errors
    /// The socket's.
    pub fn poll_requests(
        &mut self,
        cx: &mut Context<'_>,
        client: &mut ClientSide<'_>,
    ) -> Poll<io::Result<usize>> {
        self.requests.release(client.pool);
        let received = client.stream.poll_recv(cx, &mut self.requests.buffer, client.pool);
        if matches!(received, Poll::Ready(Ok(_))) && self.requests.buffer.is_full() {
            self.requests.buffer.enlarge(client.pool);
        }
        received
    }

    /// True when the client can be told something: no message to it is half sent.
    pub fn can_speak(&self) -> bool {
        self.replies.at_boundary()
    }

    /// Says something to the client in pgusher's own name.
    pub fn say(&mut self, bytes: &[u8]) {
        self.replies.say(bytes);
    }

    /// True when a message to the server is half sent: its rest cannot come from anybody else.
    pub fn is_mid_request(&self) -> bool {
        !self.requests.at_boundary() || !self.requests.is_drained()
    }

    /// True when there are bytes of the client that nobody has looked at.
    pub fn has_requests(&self) -> bool {
        !self.requests.unseen().is_empty()
    }

    /// The client's next messages, as far as they have come.
    pub fn wanted(&self) -> &[u8] {
        self.requests.unseen()
    }

    /// The bytes of the client that arrived with its login.
    pub fn preload(&mut self, bytes: &[u8]) {
        self.requests.buffer.push(bytes);
    }

    /// Gives idle memory back.
    pub fn release(&mut self, pool: &BufferPool) {
        self.requests.release(pool);
        self.replies.release(pool);
    }

    /// Gives all memory back: the conversation is over.
    pub fn discard(&mut self, pool: &BufferPool) {
        self.requests.discard(pool);
        self.replies.discard(pool);
    }

    /// True when nothing is under way: a relay made anew would go on in the same way.
    pub fn is_blank(&self) -> bool {
        !self.refusing && self.requests.is_blank() && self.replies.is_blank()
    }

    /// True when every byte that came in has gone out, in either direction.
    pub fn is_still(&self) -> bool {
        self.is_flushed() && self.replies.is_clean() && self.requests.is_still()
    }

    /// True when the client's last words have all been sent.
    pub fn is_flushed(&self) -> bool {
        self.replies.ready == 0
    }
}
