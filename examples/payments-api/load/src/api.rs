//! One user's connection to the API.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time;

/// No answer is waited for longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection that is made when it is needed, and kept.
pub struct Api {
    address: &'static str,
    token: String,
    sender: Option<SendRequest<Full<Bytes>>>,
}

/// What is asked for.
pub struct Ask {
    pub method: Method,
    pub path: String,
    pub body: Option<Value>,
    /// By which the service knows that it was asked before.
    pub key: Option<String>,
}

impl Api {
    /// For the holder of `token`.
    pub fn new(address: &'static str, token: &str) -> Self {
        Self { address, token: format!("Token {token}"), sender: None }
    }

    /// Gives the body of a good answer.
    pub async fn ask(&mut self, ask: &Ask) -> Result<Bytes> {
        let outcome = time::timeout(PATIENCE, self.attempt(ask)).await;
        match outcome.context("no answer in time").flatten() {
            Ok((status, body)) if status.is_success() => Ok(body),
            Ok((status, _)) => bail!("HTTP {status}"),
            Err(error) => {
                self.sender = None;
                Err(error)
            }
        }
    }

    async fn attempt(&mut self, ask: &Ask) -> Result<(StatusCode, Bytes)> {
        let mut request = Request::builder()
            .method(&ask.method)
            .uri(&ask.path)
            .header(header::HOST, "payments.example")
            .header(header::AUTHORIZATION, &self.token);
        if let Some(key) = &ask.key {
            request = request.header("Idempotency-Key", key);
        }
        if ask.body.is_some() {
            request = request.header(header::CONTENT_TYPE, "application/json");
        }
        let body = ask.body.as_ref().map(Value::to_string).unwrap_or_default();
        let sender = self.connected().await?;
        let answer = sender
            .send_request(request.body(Full::from(body))?)
            .await
            .context("connection lost")?;
        let status = answer.status();
        let body = answer.into_body().collect().await.context("answer cut off")?.to_bytes();
        Ok((status, body))
    }

    async fn connected(&mut self) -> Result<&mut SendRequest<Full<Bytes>>> {
        if let Some(sender) = &mut self.sender
            && sender.ready().await.is_err()
        {
            self.sender = None;
        }
        if self.sender.is_none() {
            let stream = TcpStream::connect(self.address).await.context("cannot connect")?;
            stream.set_nodelay(true)?;
            let (sender, connection) =
                http1::handshake(TokioIo::new(stream)).await.context("cannot connect")?;
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        self.sender.as_mut().context("just made")
    }
}
