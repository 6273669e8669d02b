//! A client that speaks the protocol byte by byte.

use crate::error_fields::ErrorFields;
use crate::frontend;
use crate::login::authenticate;
use crate::message::{Message, Reader};
use crate::query_result::QueryResult;
use crate::wait::STEP;
use crate::wire::{NoMessage, Socket, Wire};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, UnixStream};

/// A NegotiateProtocolVersion that came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The newest minor version the server speaks.
    pub minor: u32,
    /// The protocol options it does not know.
    pub unknown_options: Vec<String>,
}

/// A client that sends any bytes and shows every message; panics where a wait passes its time limit (10 s).
///
/// It remembers what a driver would: BackendKeyData, ParameterStatus, the negotiated version.
#[derive(Debug)]
pub struct RawClient {
    wire: Wire,
    pid: u32,
    key: Bytes,
    params: BTreeMap<String, String>,
    negotiated: Option<Negotiated>,
}

impl RawClient {
    /// Connects to a port of 127.0.0.1; nothing is sent.
    pub async fn connect(port: u16) -> Self {
        Self::connect_to((Ipv4Addr::LOCALHOST, port)).await
    }

    /// Connects over TCP; nothing is sent.
    pub async fn connect_to(address: impl Into<SocketAddr>) -> Self {
        let address = address.into();
        let stream = TcpStream::connect(address)
            .await
            .unwrap_or_else(|error| panic!("connect to {address}: {error}"));
        Self::over(Socket::Tcp(stream))
    }

    /// Connects to the unix socket of a port in a folder; nothing is sent.
    pub async fn connect_unix(folder: impl AsRef<Path>, port: u16) -> Self {
        let path = folder.as_ref().join(format!(".s.PGSQL.{port}"));
        let stream = UnixStream::connect(&path)
            .await
            .unwrap_or_else(|error| panic!("connect to {}: {error}", path.display()));
        Self::over(Socket::Unix(stream))
    }

    fn over(socket: Socket) -> Self {
        let wire = Wire::new(socket);
        RawClient { wire, pid: 0, key: Bytes::new(), params: BTreeMap::new(), negotiated: None }
    }

    /// Connects to a port of 127.0.0.1 and logs in; panics with the error when it may not.
    pub async fn login(port: u16, database: &str, user: &str, password: &str) -> Self {
        Self::try_login(port, database, user, password).await.unwrap_or_else(|error| {
            panic!("login of {user} to {database} on port {port}: {error:?}")
        })
    }

    /// Connects to a port of 127.0.0.1 and logs in; gives the error when it may not.
    pub async fn try_login(
        port: u16,
        database: &str,
        user: &str,
        password: &str,
    ) -> Result<Self, ErrorFields> {
        let mut client = Self::connect(port).await;
        client.startup(0, &[("user", user), ("database", database)]).await;
        client.authenticate(user, password).await.map(|()| client)
    }

    /// Sends a startup message of protocol 3.`minor`.
    pub async fn startup(&mut self, minor: u16, params: &[(&str, &str)]) {
        self.send(&frontend::startup(minor, params)).await;
    }

    /// Answers the server's requests (trust, cleartext, md5, SCRAM) up to ReadyForQuery, or gives its error.
    pub async fn authenticate(&mut self, user: &str, password: &str) -> Result<(), ErrorFields> {
        authenticate(self, user, password).await
    }

    /// Sends a cancel request over a connection of its own and waits until the server closes that.
    pub async fn cancel(port: u16, pid: u32, key: &[u8]) {
        let mut client = Self::connect(port).await;
        client.send(&frontend::cancel_request(pid, key)).await;
        client.expect_closed().await;
    }

    /// How long each wait may last from now on.
    pub fn set_time_limit(&mut self, limit: Duration) {
        self.wire.time_limit = limit;
    }

    /// Sends any bytes.
    pub async fn send(&mut self, bytes: &[u8]) {
        self.try_send(bytes)
            .await
            .unwrap_or_else(|error| panic!("send {} bytes: {error}", bytes.len()));
    }

    /// [`RawClient::send`] that gives the failure.
    pub async fn try_send(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.wire.send(bytes).await
    }

    /// The next message.
    pub async fn recv(&mut self) -> Message {
        self.try_recv().await.unwrap_or_else(|reason| {
            panic!("no message: {reason:?}, unread: {:?}", self.wire.unread())
        })
    }

    /// The next message, or why there is none.
    pub async fn try_recv(&mut self) -> Result<Message, NoMessage> {
        let message = self.wire.recv().await?;
        self.remember(&message);
        Ok(message)
    }

    /// The answer to [`frontend::ssl_request`] or [`frontend::gss_request`], which is no message.
    pub async fn recv_byte(&mut self) -> u8 {
        self.wire.recv_bytes(1).await.unwrap_or_else(|reason| panic!("no byte: {reason:?}"))[0]
    }

    /// All messages up to the first one of that tag, which is the last of them.
    pub async fn recv_until(&mut self, tag: u8) -> Vec<Message> {
        let mut messages = Vec::new();
        loop {
            let reason = match self.try_recv().await {
                Ok(message) => {
                    messages.push(message);
                    if messages.last().is_some_and(|message| message.tag == tag) {
                        return messages;
                    }
                    continue;
                }
                Err(reason) => reason,
            };
            panic!("no message {:?}: {reason:?} after {messages:?}", char::from(tag));
        }
    }

    /// All messages up to ReadyForQuery, which is the last of them.
    pub async fn read_ready(&mut self) -> Vec<Message> {
        self.recv_until(b'Z').await
    }

    /// All messages up to ReadyForQuery, sorted.
    pub async fn read_result(&mut self) -> QueryResult {
        QueryResult::from_messages(&self.read_ready().await)
    }

    /// Runs a simple query; the caller looks for an error. Not for COPY FROM STDIN.
    pub async fn query(&mut self, sql: &str) -> QueryResult {
        self.send(&frontend::query(sql)).await;
        self.read_result().await
    }

    /// Runs a simple query again and again until its result is as wanted, which it gives; panics with the last one when
    /// `timeout` passed first.
    pub async fn query_until(
        &mut self,
        sql: &str,
        timeout: Duration,
        mut holds: impl FnMut(&QueryResult) -> bool,
    ) -> QueryResult {
        let deadline = Instant::now() + timeout;
        loop {
            let result = self.query(sql).await;
            if holds(&result) {
                return result;
            }
            assert!(Instant::now() < deadline, "{sql} still says {result:?}");
            tokio::time::sleep(STEP).await;
        }
    }

    /// Runs a query by the extended protocol, through the unnamed statement and portal.
    pub async fn query_extended(&mut self, sql: &str, params: &[Option<&str>]) -> QueryResult {
        let messages = [
            frontend::parse("", sql, &[]),
            frontend::bind("", "", params),
            frontend::describe(b'P', ""),
            frontend::execute("", 0),
            frontend::sync(),
        ];
        self.send(&messages.concat()).await;
        self.read_result().await
    }

    /// Waits for the server to close, by FIN or RST; panics when a message or nothing comes.
    pub async fn expect_closed(&mut self) {
        match self.try_recv().await {
            Err(NoMessage::Closed | NoMessage::Reset) => {}
            other => panic!("not closed: {other:?}"),
        }
    }

    /// Waits for an error and for the server to close after it.
    pub async fn expect_fatal(&mut self) -> ErrorFields {
        let messages = self.recv_until(b'E').await;
        self.expect_closed().await;
        messages.last().expect("the error itself").error()
    }

    /// Says goodbye and waits for the server to close.
    pub async fn terminate(mut self) {
        self.send(&frontend::terminate()).await;
        self.expect_closed().await;
    }

    /// Says that nothing more will be sent (FIN), and goes on receiving.
    pub async fn shutdown_write(&mut self) {
        self.wire.shutdown().await;
    }

    /// Closes with a reset (RST).
    pub fn reset(self) {
        self.wire.reset();
    }

    /// The process id of BackendKeyData; 0 when none came.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// The key of BackendKeyData; empty when none came.
    pub fn key(&self) -> &[u8] {
        &self.key
    }

    /// The latest value of a parameter the server reports.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).map(String::as_str)
    }

    /// All parameters the server has reported.
    pub fn params(&self) -> &BTreeMap<String, String> {
        &self.params
    }

    /// What the server said about the protocol version, if anything.
    pub fn negotiated(&self) -> Option<&Negotiated> {
        self.negotiated.as_ref()
    }

    fn remember(&mut self, message: &Message) {
        let mut reader = Reader::new(&message.body);
        match message.tag {
            b'K' => {
                self.pid = reader.uint32();
                self.key = reader.rest();
            }
            b'S' => {
                self.params.insert(reader.cstr(), reader.cstr());
            }
            b'v' => {
                let (minor, count) = (reader.uint32(), reader.uint32());
                let unknown_options = (0..count).map(|_| reader.cstr()).collect();
                self.negotiated = Some(Negotiated { minor, unknown_options });
            }
            _ => {}
        }
    }
}
