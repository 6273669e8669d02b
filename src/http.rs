//! The HTTP port: metrics and health.

use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

/// A page that is being made: its media type and its text; `None` when it could not be.
pub type Made = Pin<Box<dyn Future<Output = Option<(&'static str, String)>> + Send>>;

/// What the pages show.
pub trait Pages: Send + Sync + 'static {
    /// The media type and the text of `/metrics`.
    fn metrics(&self) -> Made;

    /// Whether new clients are served.
    ///
    /// # Errors
    /// Why not, one reason per line.
    fn readiness(&self) -> Result<(), String>;
}

/// A port that listens and does not answer yet.
pub struct Http {
    listener: TcpListener,
    pages: Arc<dyn Pages>,
    more: Router,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// Takes the port.
///
/// # Errors
/// It cannot be had; the text names the address.
pub async fn bind(listen: SocketAddr, pages: Arc<dyn Pages>) -> Result<Http, String> {
    let listener = TcpListener::bind(listen).await;
    let listener =
        listener.map_err(|error| format!("cannot listen on {listen} (http): {error}"))?;
    Ok(Http { listener, pages, more: Router::new() })
}

impl Http {
    /// Where it listens.
    ///
    /// # Errors
    /// The socket's.
    pub fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves more pages than its own; they may ask who connects.
    #[must_use]
    pub fn with(self, more: Router) -> Self {
        Http { more, ..self }
    }

    /// Answers until `shutdown` comes back and the answers under way are sent.
    ///
    /// # Errors
    /// The listener's.
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> std::io::Result<()> {
        let app = Router::new()
            .route("/metrics", get(metrics))
            .route("/healthz", get(|| async { "ok\n" }))
            .route("/readyz", get(readiness))
            .with_state(self.pages)
            .merge(self.more)
            .into_make_service_with_connect_info::<SocketAddr>();
        axum::serve(self.listener, app).with_graceful_shutdown(shutdown).await
    }
}

async fn metrics(State(pages): State<Arc<dyn Pages>>) -> Response {
    match pages.metrics().await {
        Some((media_type, text)) => ([(CONTENT_TYPE, media_type)], text).into_response(),
        None => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn readiness(State(pages): State<Arc<dyn Pages>>) -> Response {
    match pages.readiness() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use parking_lot::Mutex;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;

    #[derive(Default)]
    struct Fixed(Mutex<Option<&'static str>>);

    impl Pages for Fixed {
        fn metrics(&self) -> Made {
            Box::pin(async { Some(("text/plain; version=0.0.4", "up 1\n".to_owned())) })
        }

        fn readiness(&self) -> Result<(), String> {
            self.0.lock().map_or(Ok(()), |reason| Err(reason.to_owned()))
        }
    }

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connect");
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("write");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("read");
        answer
    }

    #[tokio::test]
    async fn pages_are_served_until_shutdown() {
        let pages = Arc::new(Fixed::default());
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let http = bind(any, Arc::clone(&pages) as Arc<dyn Pages>).await.expect("bind");
        let address = http.local_addr().expect("address");
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(http.serve(async { drop(stopped.await) }));
        let metrics = get(address, "/metrics").await;
        assert!(
            metrics.starts_with("HTTP/1.1 200") && metrics.ends_with("\r\n\r\nup 1\n"),
            "{metrics}"
        );
        assert!(metrics.contains("content-type: text/plain; version=0.0.4\r\n"), "{metrics}");
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/").await.starts_with("HTTP/1.1 404"));
        *pages.0.lock() = Some("draining");
        let ready = get(address, "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 503") && ready.ends_with("draining\n"), "{ready}");
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"), "still alive");
        drop(stop);
        serving.await.expect("no panic").expect("no error");
    }

    #[tokio::test]
    async fn a_port_in_use_is_an_error_that_names_it() {
        let pages: Arc<dyn Pages> = Arc::new(Fixed::default());
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let first = bind(any, Arc::clone(&pages)).await.expect("bind");
        let address = first.local_addr().expect("address");
        let error = bind(address, pages).await.expect_err("in use");
        assert!(error.contains(&address.to_string()), "{error}");
    }
}
