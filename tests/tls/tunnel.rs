//! TLS put around clients and servers that know none: what they say passes through unchanged.

use std::net::Ipv4Addr;
use std::pin::Pin;

use openssl::ssl::{Ssl, SslContext, SslContextBuilder, SslFiletype, SslMethod};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_openssl::SslStream;

use pgusher_testkit::Pair;

const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// A port behind which every connection gets TLS, or loses it. Lives in the runtime that started it.
pub(crate) struct Tunnel {
    port: u16,
    task: JoinHandle<()>,
}

impl Tunnel {
    /// Connections to it reach `port` inside of TLS.
    pub(crate) async fn to(port: u16) -> Self {
        Self::start(move |inner| async move {
            let outer = connect(port).await?;
            Ok((inner, outer))
        })
        .await
    }

    /// A server with TLS: what it hears reaches the plain server on `port`.
    pub(crate) async fn before(port: u16, pair: &Pair) -> Self {
        let context = server_context(pair).build();
        Self::start(move |mut outer: TcpStream| {
            let context = context.clone();
            async move {
                let mut request = [0; 8];
                outer.read_exact(&mut request).await?;
                assert_eq!(request, SSL_REQUEST, "not a request for TLS");
                outer.write_all(b"S").await?;
                let mut outer =
                    SslStream::new(Ssl::new(&context)?, outer).map_err(std::io::Error::other)?;
                Pin::new(&mut outer).accept().await.map_err(std::io::Error::other)?;
                let inner = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
                Ok((inner, outer))
            }
        })
        .await
    }

    async fn start<F, Fut>(open: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + Clone + 'static,
        Fut: Future<Output = std::io::Result<(TcpStream, SslStream<TcpStream>)>> + Send + 'static,
    {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let open = open.clone();
                tokio::spawn(async move {
                    stream.set_nodelay(true).unwrap();
                    // A peer that goes away shows on the other side.
                    if let Ok((mut plain, mut tls)) = open(stream).await {
                        let _ = copy_bidirectional(&mut plain, &mut tls).await;
                    }
                });
            }
        });
        Tunnel { port, task }
    }

    /// Where to connect to.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A connection with TLS, begun as PostgreSQL begins it.
pub(crate) async fn connect(port: u16) -> std::io::Result<SslStream<TcpStream>> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    stream.write_all(&SSL_REQUEST).await?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await?;
    assert_eq!(&answer, b"S", "TLS was refused");
    let context = SslContext::builder(SslMethod::tls()).unwrap().build();
    let mut stream = SslStream::new(Ssl::new(&context)?, stream).map_err(std::io::Error::other)?;
    Pin::new(&mut stream).connect().await.map_err(std::io::Error::other)?;
    Ok(stream)
}

/// What a server with this certificate accepts with.
pub(crate) fn server_context(pair: &Pair) -> SslContextBuilder {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let mut context = SslContext::builder(SslMethod::tls()).unwrap();
    context.set_certificate_file(path("crt", &pair.certificate), SslFiletype::PEM).unwrap();
    context.set_private_key_file(path("key", &pair.key), SslFiletype::PEM).unwrap();
    context
}
