//! A client light enough to have thousands of.

use pgusher_testkit::frontend;
use std::io;
use std::net::Ipv4Addr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Longest wait for an answer; the demo must come to its end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that knows no more of the protocol than where an answer ends.
#[derive(Debug)]
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// Why an answer was not the one hoped for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The server reported an error: its SQLSTATE.
    Error(String),
    /// The connection is gone.
    Lost(io::ErrorKind),
}

impl Failure {
    /// A word to count by.
    pub(crate) fn name(&self) -> String {
        match self {
            Failure::Error(code) => code.clone(),
            Failure::Lost(kind) => kind.to_string(),
        }
    }

    /// Whether nothing more can be asked on this connection.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(self, Failure::Lost(_))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Failure::Lost(error.kind())
    }
}

impl Client {
    /// Connects to a port of 127.0.0.1 and logs in, without a password.
    pub(crate) async fn login(port: u16, database: &str, user: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
        stream.set_nodelay(true)?;
        let mut client = Client { stream, buffer: Vec::with_capacity(512) };
        let startup = frontend::startup(0, &[("user", user), ("database", database)]);
        client.ask(&startup).await?;
        Ok(client)
    }

    /// Runs a query and waits for the end of its answer.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<(), Failure> {
        self.ask(&frontend::query(sql)).await
    }

    /// Says goodbye.
    pub(crate) async fn leave(mut self) {
        // The other side may be gone already: then there is nobody to tell.
        let _ = self.stream.write_all(&frontend::terminate()).await;
    }

    async fn ask(&mut self, request: &[u8]) -> Result<(), Failure> {
        let answer = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
        answer.unwrap_or(Err(Failure::Lost(io::ErrorKind::TimedOut)))
    }

    async fn exchange(&mut self, request: &[u8]) -> Result<(), Failure> {
        self.stream.write_all(request).await?;
        let mut error = None;
        loop {
            let mut rest = self.buffer.as_slice();
            let mut ready = false;
            while let Some((tag, body, after)) = split_message(rest) {
                match tag {
                    b'E' => error = Some(Failure::Error(sqlstate(body))),
                    b'Z' => ready = true,
                    _ => {}
                }
                rest = after;
            }
            let seen = self.buffer.len() - rest.len();
            self.buffer.drain(..seen);
            if ready {
                return error.map_or(Ok(()), Err);
            }
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                // An error that ends the session is followed by the end, not by ReadyForQuery.
                Ok(0) => return Err(error.unwrap_or(Failure::Lost(io::ErrorKind::UnexpectedEof))),
                Err(cause) => return Err(error.unwrap_or_else(|| cause.into())),
            }
        }
    }
}

/// The first message: its tag, its body and what follows; `None` until it is whole.
fn split_message(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let body = (u32::from_be_bytes(*length) as usize).saturating_sub(4);
    let (body, after) = rest.split_at_checked(body)?;
    Some((tag, body, after))
}

/// The field `C` of an ErrorResponse.
fn sqlstate(body: &[u8]) -> String {
    let mut fields = body.split(|&byte| byte == 0);
    let code = fields.find_map(|field| field.strip_prefix(b"C"));
    String::from_utf8_lossy(code.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::{Client, Failure, split_message};
    use pgusher_testkit::{FakeConn, FakeServer, backend};
    use std::io;

    #[test]
    fn splits_whole_messages_only() {
        let bytes = [backend::ready_for_query(b'I'), backend::message(b'N', b"abc")].concat();
        let (tag, body, rest) = split_message(&bytes).unwrap();
        assert_eq!((tag, body), (b'Z', &b"I"[..]));
        assert_eq!(split_message(rest), Some((b'N', &b"abc"[..], &b""[..])));
        assert_eq!(split_message(&rest[..7]), None);
        assert_eq!(split_message(b"Z\0\0"), None);
    }

    #[tokio::test]
    async fn tells_errors_from_a_lost_connection() {
        let server = FakeServer::start(async |mut conn: FakeConn| {
            conn.login_trust(&[("server_version", "99.1")], 1, b"key").await;
            conn.recv_until(b'Q').await;
            conn.error("ERROR", "42601", "what?").await;
            conn.ready(b'I').await;
            conn.recv_until(b'Q').await;
            conn.complete("SELECT 0").await;
            conn.ready(b'I').await;
            conn.recv_until(b'Q').await;
            conn.close().await;
        })
        .await;
        let mut client = Client::login(server.port(), "db", "me").await.unwrap();
        let refused = client.query("selec").await.unwrap_err();
        assert_eq!((refused.name().as_str(), refused.is_lost()), ("42601", false));
        assert_eq!(client.query("select").await, Ok(()));
        let lost = client.query("select").await;
        assert_eq!(lost, Err(Failure::Lost(io::ErrorKind::UnexpectedEof)));
    }

    #[tokio::test]
    async fn tells_why_a_login_was_refused() {
        let server = FakeServer::start(async |mut conn: FakeConn| {
            conn.error("FATAL", "53300", "sorry, too many clients already").await;
            conn.close().await;
        })
        .await;
        let refused = Client::login(server.port(), "db", "me").await.unwrap_err();
        assert_eq!(refused, Failure::Error("53300".to_owned()));
    }
}
