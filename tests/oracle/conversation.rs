//! One client's conversation, checked message by message.

use std::sync::Arc;

use pgusher_testkit::{Message, frontend};

use crate::expect::{Phase, Segment, Want};
use crate::ledger::Ledger;
use crate::peer::{Lost, Peer};

/// A client that knows what it must be told.
#[derive(Debug)]
pub(crate) struct Conversation {
    /// The connection.
    pub(crate) peer: Peer,
    ledger: Arc<Ledger>,
    sign: String,
    /// Cancel requests with the right key that may still strike.
    pub(crate) cancels: u64,
    status: u8,
    /// An error that nobody asked for came in the present script: what depends on the failed part may fail as well.
    disturbed: bool,
}

/// The conversation is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Over;

impl Conversation {
    /// A conversation over a connection that is logged in; `sign` is in every value the client asks for.
    pub(crate) fn new(peer: Peer, sign: String, ledger: &Arc<Ledger>) -> Self {
        let ledger = Arc::clone(ledger);
        Conversation { peer, ledger, sign, cancels: 0, status: b'I', disturbed: false }
    }

    /// Runs a script; false when it was disturbed, and then the session is outside of a transaction again.
    pub(crate) async fn run(&mut self, phases: &[Phase]) -> Result<bool, Over> {
        self.play(phases).await?;
        if self.disturbed && self.status != b'I' {
            return self.roll_back().await.map(|()| false);
        }
        if !self.disturbed && self.status != b'I' {
            return Err(self.wrong("in a transaction that the script has ended"));
        }
        Ok(!self.disturbed)
    }

    /// Runs the first part of a script that goes on.
    pub(crate) async fn run_open(&mut self, phases: &[Phase]) -> Result<(), Over> {
        self.play(phases).await?;
        if self.disturbed { Err(Over) } else { Ok(()) }
    }

    /// Sends and reads, phase by phase, until something disturbs it.
    async fn play(&mut self, phases: &[Phase]) -> Result<(), Over> {
        self.disturbed = false;
        for phase in phases {
            let _ = self.peer.send(&phase.bytes).await;
            for segment in &phase.segments {
                self.segment(segment).await?;
            }
            if self.disturbed {
                break;
            }
        }
        Ok(())
    }

    /// Ends a transaction that was disturbed.
    async fn roll_back(&mut self) -> Result<(), Over> {
        let mut phase = Phase::default();
        phase.ready(&[frontend::query("rollback")], vec![Want::Tag(b'C')]);
        for _ in 0..5 {
            let _ = self.peer.send(&phase.bytes).await;
            self.segment(&phase.segments[0]).await?;
            if self.status == b'I' {
                return Ok(());
            }
        }
        Err(self.wrong("a transaction that does not end"))
    }

    async fn segment(&mut self, segment: &Segment) -> Result<(), Over> {
        let mut wants = segment.wants.iter();
        let mut next = wants.next();
        loop {
            if next.is_none() && !segment.ready {
                return Ok(());
            }
            let message = self.hear().await?;
            if next.is_some_and(|want| want.is(&message)) {
                next = wants.next();
            } else if next.is_none() && message.tag == b'Z' {
                self.ready(&message);
                return Ok(());
            } else if message.tag == b'E' {
                self.excuse(&message, next).await?;
                return self.resume(segment).await;
            } else if self.disturbed && segment.ready && self.is_own(&message) {
                // A request that failed may have left the client's own older statement or portal in its place.
                next = None;
                wants = [].iter();
            } else {
                return Err(self.wrong(&format!("{message:?} instead of {next:?}")));
            }
        }
    }

    /// Whether a message can only be the client's: it has no content, or the client's sign in it.
    fn is_own(&self, message: &Message) -> bool {
        match message.tag {
            b'D' | b'd' | b'V' => {
                let sign = self.sign.as_bytes();
                message.body.windows(sign.len()).any(|part| part == sign)
            }
            tag => tag != b'E' && tag != b'Z',
        }
    }

    /// After an error nobody asked for: nothing but ReadyForQuery may come.
    async fn resume(&mut self, segment: &Segment) -> Result<(), Over> {
        self.disturbed = true;
        if segment.needs_sync {
            let _ = self.peer.send(&frontend::sync()).await;
        }
        let message = self.hear().await?;
        if message.tag != b'Z' {
            return Err(self.wrong(&format!("{message:?} behind an error")));
        }
        self.ready(&message);
        Ok(())
    }

    fn ready(&mut self, message: &Message) {
        self.status = message.body[0];
        self.ledger.count(&self.ledger.checked);
    }

    /// The next message that is an answer.
    async fn hear(&mut self) -> Result<Message, Over> {
        loop {
            match self.peer.recv().await {
                Ok(message) if matches!(message.tag, b'N' | b'S') => {}
                Ok(message) => return Ok(message),
                // The end of a server within a message leaves no room for words.
                Err(Lost::Within | Lost::Reset) => {
                    self.ledger.count(&self.ledger.lost);
                    return Err(Over);
                }
                Err(lost) => return Err(self.wrong(&format!("no answer: {lost:?}"))),
            }
        }
    }

    /// Whether an error is one of those that chaos brings.
    async fn excuse(&mut self, message: &Message, wanted: Option<&Want>) -> Result<(), Over> {
        let error = message.error();
        let fatal = matches!(error.severity(), "FATAL" | "PANIC");
        match error.code() {
            "57P01" | "57P02" | "57P03" | "08006" | "08001" | "08000" if fatal => {
                self.ledger.count(&self.ledger.lost);
                match self.peer.recv().await {
                    Err(Lost::Closed | Lost::Reset | Lost::Within) => Err(Over),
                    other => Err(self.wrong(&format!("{other:?} behind a fatal error"))),
                }
            }
            "57014" if !fatal && self.cancels > 0 => {
                self.cancels -= 1;
                self.ledger.count(&self.ledger.cancelled);
                Ok(())
            }
            "53300" if !fatal && error.message().contains("query_wait_timeout") => {
                self.ledger.count(&self.ledger.timeouts);
                Ok(())
            }
            // The server cannot be reached at the moment.
            "08006" | "08001" | "57P03" | "57P01" if !fatal => Ok(()),
            // Consequences: a failed transaction, a statement or portal that was not made.
            "25P02" | "26000" | "34000" | "08P01" if self.disturbed && !fatal => Ok(()),
            // The client's own older statement, bound to the new one's value.
            _ if self.disturbed && !fatal && error.message().contains(&self.sign) => Ok(()),
            _ => Err(self.wrong(&format!("{error:?} instead of {wanted:?}"))),
        }
    }

    /// Reports what must not be.
    pub(crate) fn wrong(&mut self, words: &str) -> Over {
        self.ledger.fail(format!("{words}\n{}", self.peer.transcript()));
        Over
    }
}
