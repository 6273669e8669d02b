//! The process as the page for browsers knows it.
//!
//! Somebody who signs in there gets a session at the console, over a pair of sockets within the process: logins are
//! checked, slowed down and logged as those of clients from the browser's address, and the console itself says who may
//! give which order.

use std::net::SocketAddr;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::Arc;
use std::time::Duration;

use socket2::Socket;
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, NoTls};

use super::host::Hosted;
use super::process::Process;
use super::serve;
use crate::admin;
use crate::glance::{Glance, Load, Row};
use crate::net::{Arrival, Peer};
use crate::web::{Answer, Desk, House};

/// Nobody waits longer for a login: failed ones are slowed down.
const LOGIN: Duration = Duration::from_secs(30);
/// What clients must do is asked of browsers as well, and the page's own port has no TLS.
const NO_TLS: &str = "clients must use TLS here (sslmode in [tls.client]), which this page does not have: \
                      give orders at the console, with psql";
/// An order that takes longer goes on, and the page says so.
const PATIENCE: Duration = Duration::from_secs(3);

impl House for Hosted {
    fn glance(&self) -> Glance {
        admin::glance(self)
    }

    fn loads(&self) -> Vec<Load> {
        admin::loads(self)
    }

    fn settings(&self) -> Vec<Row> {
        admin::settings(self)
    }

    fn log(&self, after: u64) -> (Vec<String>, u64) {
        self.0.log.tail(after)
    }

    fn enter<'a>(
        &'a self,
        from: SocketAddr,
        user: &'a str,
        password: &'a str,
    ) -> Answer<'a, Result<Box<dyn Desk>, String>> {
        Box::pin(async move {
            let desk = tokio::time::timeout(LOGIN, AtPage::open(&self.0, from, user, password));
            let desk = desk.await.map_err(|_| "no answer".to_owned())??;
            Ok(Box::new(desk) as Box<dyn Desk>)
        })
    }
}

/// A session at the console that belongs to somebody at the page.
struct AtPage {
    process: Arc<Process>,
    from: SocketAddr,
    user: String,
    client: Arc<Client>,
    driver: JoinHandle<()>,
    /// An order that is not done yet.
    pending: Mutex<Option<JoinHandle<Result<(), String>>>>,
}

impl Drop for AtPage {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A line to our own door, as if from an address.
fn ring(process: &Arc<Process>, from: SocketAddr) -> std::io::Result<UnixStream> {
    let (ours, theirs) = StdUnixStream::pair()?;
    ours.set_nonblocking(true)?;
    theirs.set_nonblocking(true)?;
    let arrival = Arrival { socket: Socket::from(theirs), peer: Peer::Tcp(from), local: None };
    serve::receive_one(process, arrival);
    UnixStream::from_std(ours)
}

/// What a client would read.
fn words(error: &tokio_postgres::Error) -> String {
    let Some(fields) = error.as_db_error() else { return error.to_string() };
    let more = [fields.detail(), fields.hint()].into_iter().flatten();
    let more: String = more.map(|text| format!(" {text}")).collect();
    format!("{}{}{more}", fields.message(), if more.is_empty() { "" } else { "." })
}

impl AtPage {
    async fn open(
        process: &Arc<Process>,
        from: SocketAddr,
        user: &str,
        password: &str,
    ) -> Result<Self, String> {
        if process.gate.config().tls_client.sslmode.requires_tls() {
            return Err(NO_TLS.to_owned());
        }
        let line = ring(process, from).map_err(|error| error.to_string())?;
        let mut config = Config::new();
        config.user(user).password(password).dbname("pgusher").application_name("pgusher page");
        config.ssl_mode(SslMode::Disable);
        let (client, connection) =
            config.connect_raw(line, NoTls).await.map_err(|error| words(&error))?;
        let driver = tokio::spawn(async move {
            // The client hears of an error, too.
            let _ = connection.await;
        });
        Ok(AtPage {
            process: Arc::clone(process),
            from,
            user: user.to_owned(),
            client: Arc::new(client),
            driver,
            pending: Mutex::default(),
        })
    }

    /// Takes back what is not done yet, as somebody at psql would by cancelling it.
    async fn take_back(&self, pending: JoinHandle<Result<(), String>>) {
        if let Ok(line) = ring(&self.process, self.from) {
            let _ = self.client.cancel_token().cancel_query_raw(line, NoTls).await;
        }
        let _ = tokio::time::timeout(PATIENCE, pending).await;
    }
}

impl Desk for AtPage {
    fn is_admin(&self) -> bool {
        let config = self.process.gate.config();
        config.process.admin_users.iter().any(|name| name.as_ref() == self.user)
    }

    fn is_open(&self) -> bool {
        !self.client.is_closed()
    }

    fn order<'a>(&'a self, text: &'a str) -> Answer<'a, Result<bool, String>> {
        Box::pin(async move {
            let mut pending = self.pending.lock().await;
            if let Some(running) = pending.take_if(|running| !running.is_finished()) {
                self.take_back(running).await;
            }
            let (client, text) = (Arc::clone(&self.client), text.to_owned());
            let mut running = tokio::spawn(async move {
                client.batch_execute(&text).await.map_err(|error| words(&error))
            });
            match tokio::time::timeout(PATIENCE, &mut running).await {
                Ok(Ok(done)) => done.map(|()| true),
                Ok(Err(_)) => Err("the console has closed".to_owned()),
                Err(_) => {
                    *pending = Some(running);
                    Ok(false)
                }
            }
        })
    }
}
