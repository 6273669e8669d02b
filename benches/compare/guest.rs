//! A client that comes in by the door there is, and stays.

use crate::contestant::{Contestant, Door};
use crate::stage::{DATABASE, PASSWORD, USER};
use openssl::ssl::{Ssl, SslContext, SslMethod};
use pgusher_testkit::RawClient;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_openssl::SslStream;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

/// How many log in at the same time.
const AT_ONCE: usize = 50;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What asks for TLS.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];

/// Somebody who has logged in.
pub(crate) enum Guest {
    Plain(Box<RawClient>),
    Tls(tokio_postgres::Client),
}

impl Guest {
    /// Logs in; panics when that fails.
    pub(crate) async fn log_in(port: u16, door: Door) -> Self {
        match door {
            Door::Trust | Door::Scram => Guest::Plain(Box::new(log_in_plainly(port).await)),
            Door::TlsScram => {
                let login = tokio::time::timeout(PATIENCE, log_in_over_tls(port)).await;
                let login = login.expect("a login within a minute");
                Guest::Tls(login.unwrap_or_else(|error| panic!("login over TLS: {error}")))
            }
        }
    }

    /// [`Guest::log_in`] at a contestant's door.
    pub(crate) async fn of(contestant: &Contestant) -> Self {
        Self::log_in(contestant.port(), contestant.door()).await
    }

    /// So many of them, at a contestant's door.
    pub(crate) async fn crowd(contestant: &Contestant, count: usize) -> Vec<Self> {
        let (port, door) = (contestant.port(), contestant.door());
        let mut guests = Vec::with_capacity(count);
        while guests.len() < count {
            let more = AT_ONCE.min(count - guests.len());
            let logins: JoinSet<Guest> = (0..more).map(|_| Guest::log_in(port, door)).collect();
            guests.extend(logins.join_all().await);
        }
        guests
    }

    /// Runs a short query.
    pub(crate) async fn ask(&mut self) {
        self.run("select 1").await;
    }

    /// Runs a query; the answer is forgotten.
    pub(crate) async fn run(&mut self, query: &str) {
        match self {
            Guest::Plain(client) => drop(client.query(query).await),
            Guest::Tls(client) => {
                client.simple_query(query).await.expect("a query");
            }
        }
    }
}

async fn log_in_plainly(port: u16) -> RawClient {
    let mut client = RawClient::connect(port).await;
    client.set_time_limit(PATIENCE);
    client.startup(0, &[("user", USER), ("database", DATABASE)]).await;
    let admitted = client.authenticate(USER, PASSWORD).await;
    admitted.unwrap_or_else(|error| panic!("login: {error:?}"));
    client
}

async fn log_in_over_tls(port: u16) -> Result<tokio_postgres::Client, String> {
    let text = |error: &dyn std::error::Error| error.to_string();
    let mut stream =
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| text(&error))?;
    stream.set_nodelay(true).map_err(|error| text(&error))?;
    stream.write_all(&SSL_REQUEST).await.map_err(|error| text(&error))?;
    let mut answer = [0];
    stream.read_exact(&mut answer).await.map_err(|error| text(&error))?;
    if answer != *b"S" {
        return Err("TLS was refused".to_owned());
    }
    let context = SslContext::builder(SslMethod::tls()).map_err(|error| text(&error))?.build();
    let ssl = Ssl::new(&context).map_err(|error| text(&error))?;
    let mut stream = SslStream::new(ssl, stream).map_err(|error| text(&error))?;
    Pin::new(&mut stream).connect().await.map_err(|error| text(&error))?;
    let mut config = Config::new();
    config.user(USER).dbname(DATABASE).password(PASSWORD).ssl_mode(SslMode::Disable);
    let (client, connection) =
        config.connect_raw(stream, NoTls).await.map_err(|error| text(&error))?;
    // It ends when the client is dropped.
    tokio::spawn(connection);
    Ok(client)
}
