//! Sending to the collector: HTTP/1.1, over TLS where the address says so, on a connection that is kept.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use hyper::rt::{Read, Write};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use openssl::ssl::{SslConnector, SslMethod};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

use crate::config::Otlp;

/// Sends to one address.
pub(super) struct Poster {
    uri: Uri,
    headers: HeaderMap,
    tls: Option<SslConnector>,
    timeout: Duration,
    connection: Option<SendRequest<Full<Bytes>>>,
    /// The last one failed: said once.
    is_failing: bool,
}

impl Poster {
    pub(super) fn new(settings: &Otlp, path: &str) -> Result<Self, String> {
        let uri: Uri = format!("{}{path}", settings.endpoint)
            .parse()
            .map_err(|error| format!("otlp: endpoint: {error}"))?;
        let tls = (uri.scheme_str() == Some("https")).then(connector).transpose()?;
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-protobuf"));
        let host = uri.authority().map_or("", |authority| authority.as_str());
        headers.insert(HOST, value(host)?);
        for (name, text) in settings.headers() {
            let name = HeaderName::from_bytes(name.as_bytes());
            let name = name.map_err(|error| format!("otlp: headers: {error}"))?;
            let mut text = value(text)?;
            text.set_sensitive(name == AUTHORIZATION);
            headers.insert(name, text);
        }
        let timeout = settings.timeout;
        Ok(Poster { uri, headers, tls, timeout, connection: None, is_failing: false })
    }

    /// Sends; true when it was taken. Says in the log when that changes.
    pub(super) async fn send(&mut self, body: Bytes) -> bool {
        let limit = self.timeout;
        let late = || format!("no answer within {limit:?} (timeout of [otlp])");
        let sent = tokio::time::timeout(limit, self.try_send(body)).await;
        let sent = sent.unwrap_or_else(|_| Err(late()));
        if sent.is_err() {
            self.connection = None;
        }
        match &sent {
            Err(error) if !self.is_failing => {
                tracing::warn!(endpoint = %self.uri, error, "exports fail; this is said once");
            }
            Ok(()) if self.is_failing => {
                tracing::info!(endpoint = %self.uri, "exports succeed again");
            }
            _ => {}
        }
        self.is_failing = sent.is_err();
        sent.is_ok()
    }

    async fn try_send(&mut self, body: Bytes) -> Result<(), String> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request =
            Request::post(path).body(Full::new(body)).map_err(|error| error.to_string())?;
        *request.headers_mut() = self.headers.clone();
        let connection = self.connection().await?;
        let sent = connection.send_request(request).await;
        let mut answer = sent.map_err(|error| chain(&error))?;
        // The connection is free again when the answer was read.
        while let Some(frame) = answer.body_mut().frame().await {
            frame.map_err(|error| chain(&error))?;
        }
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(format!("the collector answers {status}")) }
    }

    /// The connection that is open, or a new one.
    async fn connection(&mut self) -> Result<&mut SendRequest<Full<Bytes>>, String> {
        let usable = match &mut self.connection {
            Some(connection) => connection.ready().await.is_ok(),
            None => false,
        };
        if !usable {
            self.connection = Some(self.connect().await?);
        }
        self.connection.as_mut().ok_or_else(|| "no connection".to_owned())
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, String> {
        let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let port = self.uri.port_u16().unwrap_or(if self.tls.is_some() { 443 } else { 80 });
        let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
        let Some(tls) = &self.tls else { return open(TokioIo::new(stream)).await };
        let session = tls.configure().and_then(|tls| tls.into_ssl(host));
        let session = session.map_err(|error| error.to_string())?;
        let mut stream = SslStream::new(session, stream).map_err(|error| error.to_string())?;
        std::pin::Pin::new(&mut stream).connect().await.map_err(|error| error.to_string())?;
        open(TokioIo::new(stream)).await
    }
}

async fn open<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, String>
where
    S: Read + Write + Send + Unpin + 'static,
{
    let (requests, connection) = handshake(stream).await.map_err(|error| chain(&error))?;
    // It ends with the requests' end, or with the collector's.
    tokio::spawn(connection);
    Ok(requests)
}

/// TLS that trusts those whom the system trusts.
fn connector() -> Result<SslConnector, String> {
    let text = |error: openssl::error::ErrorStack| format!("otlp: TLS: {error}");
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(text)?;
    let found = openssl_probe::probe();
    if let Some(file) = &found.cert_file {
        builder.set_ca_file(file).map_err(text)?;
    }
    Ok(builder.build())
}

fn value(text: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(text).map_err(|error| format!("otlp: headers: {error}"))
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {}", chain(cause)),
        None => error.to_string(),
    }
}

impl fmt::Debug for Poster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Poster").field("uri", &self.uri).finish_non_exhaustive()
    }
}
