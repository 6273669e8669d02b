//! One connection of a fake server, in the hands of its script.

use crate::error_fields::ErrorFields;
use crate::fake_server::Shared;
use crate::message::{Message, Reader};
use crate::wire::Wire;
use crate::{backend, wire};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// A startup message that came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Startup {
    /// Protocol 3.`minor`.
    pub minor: u16,
    /// The parameters, `user` and `database` among them.
    pub params: BTreeMap<String, String>,
}

/// One connection of a fake server: reads the client's messages, sends any bytes.
///
/// A client that goes away is no failure of a script: receiving then gives `None`, sending does nothing.
#[derive(Debug)]
pub struct FakeConn {
    wire: Wire,
    index: usize,
    startup: Startup,
    shared: Arc<Shared>,
}

impl Startup {
    pub(crate) fn parse(version: u32, mut packet: Reader) -> Self {
        let mut params = BTreeMap::new();
        loop {
            let name = packet.cstr();
            if name.is_empty() {
                return Startup { minor: (version & 0xffff) as u16, params };
            }
            params.insert(name, packet.cstr());
        }
    }
}

impl FakeConn {
    pub(crate) fn new(mut wire: Wire, index: usize, startup: Startup, shared: Arc<Shared>) -> Self {
        // A pooler may keep an idle connection for long; the script ends with the test's runtime.
        wire.time_limit = Duration::from_secs(600);
        FakeConn { wire, index, startup, shared }
    }

    /// Which of the accepted connections this is, from 0.
    pub fn index(&self) -> usize {
        self.index
    }

    /// The startup message; empty in a script that reads from the first byte on.
    pub fn startup(&self) -> &Startup {
        &self.startup
    }

    /// The next message; `None` once the client is gone.
    pub async fn recv(&mut self) -> Option<Message> {
        self.wire.recv().await.ok()
    }

    /// The next message, or why there is none.
    pub async fn try_recv(&mut self) -> Result<Message, wire::NoMessage> {
        self.wire.recv().await
    }

    /// Exactly so many bytes, for what has no tag; `None` once the client is gone.
    pub async fn recv_bytes(&mut self, count: usize) -> Option<bytes::Bytes> {
        self.wire.recv_bytes(count).await.ok()
    }

    /// Reads and drops messages up to one of that tag; `None` once the client is gone.
    pub async fn recv_until(&mut self, tag: u8) -> Option<Message> {
        loop {
            let message = self.recv().await?;
            if message.tag == tag {
                return Some(message);
            }
        }
    }

    /// Sends any bytes, such as those of [`backend`]'s functions.
    pub async fn send(&mut self, bytes: &[u8]) {
        // A client that is gone shows at the next receive.
        let _ = self.wire.send(bytes).await;
    }

    /// Lets the client in: AuthenticationOk, these parameters, BackendKeyData, ReadyForQuery.
    pub async fn login_trust(&mut self, params: &[(&str, &str)], pid: u32, key: &[u8]) {
        let mut reply = backend::authentication_ok();
        for (name, value) in params {
            reply.extend(backend::parameter_status(name, value));
        }
        reply.extend(backend::backend_key_data(pid, key));
        reply.extend(backend::ready_for_query(b'I'));
        self.send(&reply).await;
    }

    /// Asks for the password in clear text and gives it; the script goes on with [`FakeConn::login_trust`].
    pub async fn ask_password(&mut self) -> Option<String> {
        self.send(&backend::authentication_cleartext()).await;
        self.recv_until(b'p').await?.texts().pop()
    }

    /// Sends ReadyForQuery; `status` is `b'I'`, `b'T'` or `b'E'`.
    pub async fn ready(&mut self, status: u8) {
        self.send(&backend::ready_for_query(status)).await;
    }

    /// Sends RowDescription, the rows and CommandComplete, all in one write; no ReadyForQuery.
    pub async fn rows(&mut self, columns: &[&str], rows: &[&[Option<&str>]]) {
        let mut reply = backend::row_description(columns);
        for row in rows {
            reply.extend(backend::data_row(row));
        }
        reply.extend(backend::command_complete(&format!("SELECT {}", rows.len())));
        self.send(&reply).await;
    }

    /// Sends CommandComplete.
    pub async fn complete(&mut self, tag: &str) {
        self.send(&backend::command_complete(tag)).await;
    }

    /// Sends an ErrorResponse; no ReadyForQuery.
    pub async fn error(&mut self, severity: &str, code: &str, message: &str) {
        self.send(&backend::error_response(&ErrorFields::new(severity, code, message))).await;
    }

    /// Waits until a cancel request names this process with this key; counts only requests after the call.
    pub async fn cancelled(&self, pid: u32, key: &[u8]) {
        let before = self.shared.cancels_of(pid, key);
        loop {
            let next = self.shared.cancelled.notified();
            if self.shared.cancels_of(pid, key) > before {
                return;
            }
            next.await;
        }
    }

    /// Waits until the client closes or resets; what it sends meanwhile is dropped.
    pub async fn until_gone(&mut self) {
        while self.recv().await.is_some() {}
    }

    /// Closes in order (FIN).
    pub async fn close(mut self) {
        self.wire.shutdown().await;
    }

    /// Closes with a reset (RST).
    pub fn reset(self) {
        self.wire.reset();
    }

    pub(crate) fn echo_delay(&self) -> Duration {
        self.shared.delay()
    }
}
