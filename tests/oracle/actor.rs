//! One client of the oracle, from login to login.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pgusher_testkit::frontend;

use crate::conversation::{Conversation, Over};
use crate::expect::Phase;
use crate::ledger::Ledger;
use crate::peer::{Lost, Peer, Refused};
use crate::script::Writer;

/// What a client does besides asking.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Habits {
    /// The longest pause between two scripts.
    pub(crate) pause: Duration,
    /// Of a hundred scripts, how many are left in the middle.
    pub(crate) vanish: u32,
    /// Of a hundred scripts, how many are to be cancelled.
    pub(crate) cancel: u32,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Actor {
    /// pgusher's port.
    pub(crate) port: u16,
    /// What it asks.
    pub(crate) writer: Writer,
    /// How it behaves.
    pub(crate) habits: Habits,
    /// Where it counts.
    pub(crate) ledger: Arc<Ledger>,
}

impl Actor {
    /// Comes, asks, leaves and comes again until all is over.
    pub(crate) async fn live(mut self) {
        while !self.ledger.is_over() {
            if let Some(conversation) = self.come().await {
                let _ = self.talk(conversation).await;
            }
        }
    }

    async fn come(&mut self) -> Option<Conversation> {
        self.writer.forget();
        let name = self.writer.nonce();
        let params = [("user", "app"), ("database", "app"), ("application_name", &*name)];
        match Peer::login(self.port, &params).await {
            Ok(peer) => {
                self.ledger.count(&self.ledger.logins);
                return Some(Conversation::new(peer, self.writer.sign(), &self.ledger));
            }
            // A pool without any server cannot welcome anybody, and says so.
            Err(Refused::Told(message)) if excused(message.error().code()) => {}
            Err(Refused::Told(message)) => self.ledger.fail(format!("login: {message:?}")),
            Err(Refused::Lost(Lost::Silence)) => self.ledger.fail("login: no answer".to_owned()),
            Err(Refused::Lost(lost)) => self.ledger.fail(format!("login: {lost:?}")),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        None
    }

    async fn talk(&mut self, mut conversation: Conversation) -> Result<(), Over> {
        while !self.ledger.is_over() {
            let pause = self.habits.pause.mul_f64(self.writer.rng.f64());
            tokio::time::sleep(pause).await;
            let chance = self.writer.rng.u32(..100);
            if chance < self.habits.vanish {
                self.vanish(conversation).await;
                return Err(Over);
            }
            let whole = if chance < self.habits.vanish + self.habits.cancel {
                self.cancelled(&mut conversation).await?
            } else {
                let script = self.writer.script();
                conversation.run(&script).await?
            };
            if !whole {
                self.recover(&mut conversation).await?;
            }
        }
        let _ = conversation.peer.send(&frontend::terminate()).await;
        match conversation.peer.recv().await {
            Err(Lost::Silence) => Err(conversation.wrong("not closed after Terminate")),
            _ => Ok(()),
        }
    }

    /// Makes sure that no name is taken.
    async fn recover(&mut self, conversation: &mut Conversation) -> Result<(), Over> {
        let phase = self.writer.close_all();
        while !conversation.run(std::slice::from_ref(&phase)).await? {}
        Ok(())
    }

    /// Leaves in the middle: anywhere in what it sends, or while the answer is on its way.
    async fn vanish(&mut self, mut conversation: Conversation) {
        let script =
            if self.writer.rng.u32(..4) == 0 { self.writer.slow() } else { self.writer.script() };
        let phases = self.writer.rng.usize(1..=script.len());
        let Some((last, whole)) = script[..phases].split_last() else { return };
        if conversation.run_open(whole).await.is_err() {
            return;
        }
        let cut = match self.writer.rng.bool() {
            true => last.bytes.len(),
            false => self.writer.rng.usize(..last.bytes.len()),
        };
        let _ = conversation.peer.send(&last.bytes[..cut]).await;
        if self.writer.rng.bool() {
            tokio::time::sleep(Duration::from_micros(self.writer.rng.u64(..5000))).await;
        }
        self.ledger.count(&self.ledger.vanished);
        conversation.peer.vanish(self.writer.rng.bool());
    }

    /// Asks with a cancel request at some moment: with the right key, or with one that is not.
    async fn cancelled(&mut self, conversation: &mut Conversation) -> Result<bool, Over> {
        let right = self.writer.rng.u32(..3) > 0;
        let mut key = conversation.peer.key.to_vec();
        if right {
            conversation.cancels += 1;
        } else {
            key[0] ^= 1;
        }
        let after = Duration::from_micros(self.writer.rng.u64(..30_000));
        let (pid, port) = (conversation.peer.pid, self.port);
        self.ledger.cancels.fetch_add(1, Ordering::Relaxed);
        let request = tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let Ok(mut peer) = Peer::connect(port).await else { return };
            let _ = peer.send(&frontend::cancel_request(pid, &key)).await;
            let _ = peer.recv().await;
        });
        let script: Vec<Phase> =
            if self.writer.rng.bool() { self.writer.slow() } else { self.writer.script() };
        let whole = conversation.run(&script).await?;
        if self.writer.rng.bool() {
            let _ = request.await;
            // It is over: what it did not strike by now it never will.
            conversation.cancels = 0;
        }
        Ok(whole)
    }
}

fn excused(code: &str) -> bool {
    matches!(code, "08006" | "08001" | "57P03" | "57P01" | "53300")
}
