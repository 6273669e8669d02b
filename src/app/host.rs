//! The process as the console and the HTTP port know it.

use std::net::SocketAddr;
use std::sync::Arc;

use super::process::{Ending, Process};
use crate::admin::{self, Answer, Averages, Consoles, Door, Host, ShutdownMode};
use crate::advise::Adviser;
use crate::cancel::{CancelKeys, PeerFacts, Peers};
use crate::client::{Console, ConsoleRights};
use crate::config::{Compat, Config, MetricsCompat, ShownSetting};
use crate::http::{self, Http, Made, Pages};
use crate::metrics;
use crate::pool::Pools;
use crate::stats::ReloadFacts;
use crate::types::Name;
use crate::web;

/// A share of the process.
#[derive(Clone)]
pub(super) struct Hosted(pub(super) Arc<Process>);

impl Host for Hosted {
    fn config(&self) -> Arc<Config> {
        self.0.gate.config()
    }

    fn pools(&self) -> &Arc<Pools> {
        &self.0.gate.pools
    }

    fn cancel_keys(&self) -> &Arc<CancelKeys> {
        &self.0.gate.cancel_keys
    }

    fn peers(&self) -> &Peers {
        &self.0.gate.peers
    }

    fn peer(&self, id: u16) -> PeerFacts {
        self.0.gate.peers.facts(id)
    }

    fn consoles(&self) -> &Arc<Consoles> {
        &self.0.consoles
    }

    fn averages(&self) -> &Averages {
        &self.0.averages
    }

    fn adviser(&self) -> &Arc<Adviser> {
        &self.0.adviser
    }

    fn door(&self) -> Door {
        let logins = &self.0.gate.logins;
        Door { logins: logins.all(), took: logins.took() }
    }

    fn clients_total(&self) -> usize {
        self.0.gate.counts.total()
    }

    fn clients_of_database(&self, name: &str) -> usize {
        self.0.gate.counts.of_database(name)
    }

    fn clients_of_user(&self, name: &str) -> usize {
        self.0.gate.counts.of_user(name)
    }

    fn listeners(&self) -> Vec<(i32, Option<SocketAddr>)> {
        self.0.listeners.lock().clone()
    }

    fn known_users(&self) -> Vec<Name> {
        self.0.gate.identities().users().map(Name::from).collect()
    }

    fn is_disabled(&self, database: &str) -> bool {
        self.0.gate.is_disabled(database)
    }

    fn set_disabled(&self, database: &Name, disabled: bool) {
        self.0.gate.set_disabled(database, disabled);
    }

    fn last_reload(&self) -> ReloadFacts {
        *self.0.last_reload.lock()
    }

    fn reload(&self) -> Answer<'_, Result<Vec<String>, String>> {
        Box::pin(self.0.reload())
    }

    fn settings(&self) -> Vec<ShownSetting> {
        self.0.origin.read().show(&self.0.gate.config())
    }

    fn set<'a>(&'a self, key: &'a str, value: &'a str) -> Answer<'a, Result<Vec<String>, String>> {
        Box::pin(self.0.set(key, value))
    }

    fn is_draining(&self) -> bool {
        self.0.gate.is_closed()
    }

    fn shutdown(&self, mode: ShutdownMode) {
        let is_compatible = self.0.gate.config().process.compat == Compat::PgBouncer;
        if mode != ShutdownMode::WaitForClients || !self.0.hands_over() {
            // Whoever reads the answer may rely on it: nobody is admitted any more.
            self.0.gate.close();
        }
        self.0.end(match mode {
            ShutdownMode::Immediate if is_compatible => Ending::Silent,
            ShutdownMode::Immediate => Ending::Now,
            ShutdownMode::WaitForServers => Ending::Drain,
            ShutdownMode::WaitForClients => Ending::Clients,
        });
    }

    fn closing(&self) -> Answer<'_, ()> {
        Box::pin(self.0.farewell())
    }
}

impl Hosted {
    /// The page of metrics.
    fn page(&self) -> (&'static str, String) {
        let snapshot = admin::look(self);
        let mut page = metrics::render(&snapshot);
        let config = self.config();
        let compat = config.http.iter().flat_map(|http| &http.metrics_compat);
        for family in compat {
            match family {
                MetricsCompat::PgbouncerExporter => {
                    page.push_str(&metrics::pgbouncer_exporter(&snapshot));
                }
            }
        }
        (metrics::CONTENT_TYPE, page)
    }
}

impl Pages for Hosted {
    fn metrics(&self) -> Made {
        // A page of hundreds of pools is megabytes: queries need not wait until it is written.
        let hosted = self.clone();
        let made = self.0.backstage.handle().spawn(async move { hosted.page() });
        Box::pin(async move { made.await.ok() })
    }

    fn readiness(&self) -> Result<(), String> {
        if self.is_draining() { Err("draining: no new clients".to_owned()) } else { Ok(()) }
    }
}

/// Serves somebody at the console, who does not stay where clients log in.
pub(super) fn receive_console(process: Arc<Process>, console: Console) {
    let control = process.gate.pools.context.control.clone();
    control.spawn(serve_console(process, console));
}

async fn serve_console(process: Arc<Process>, console: Console) {
    let Console { socket, buffer, user, application_name, rights, peer: _ } = console;
    let Ok(stream) = socket.resume(None) else { return };
    let is_admin = rights == ConsoleRights::Admin;
    let _present = process.presence();
    let arrival = admin::Arrival { stream, buffer, user, application_name, is_admin };
    admin::serve(arrival, Arc::new(Hosted(process))).await;
}

/// Takes the HTTP port if there is to be one. Who asks there is answered once it is [shown](show).
pub(super) async fn open(process: &Arc<Process>) -> Result<Option<Http>, String> {
    let config = process.gate.config();
    let Some(settings) = &config.http else { return Ok(None) };
    let hosted = Hosted(Arc::clone(process));
    let http = http::bind(settings.listen, Arc::new(hosted.clone())).await?;
    let page = web::page(Arc::new(hosted), settings, process.backstage.handle().clone());
    let Some((page, keeper)) = page else { return Ok(Some(http)) };
    tokio::spawn(keeper);
    Ok(Some(http.with(page)))
}

/// Starts what others look through: the sampler of SHOW STATS, and the exporter if there is one.
pub(super) fn start(process: &Arc<Process>) -> Result<(), String> {
    let hosted = Hosted(Arc::clone(process));
    tokio::spawn(admin::sample(Arc::new(hosted.clone())));
    #[cfg(feature = "otlp")]
    super::exporter::start(process)?;
    tokio::spawn(admin::record(Arc::new(hosted)));
    Ok(())
}

/// Answers at the HTTP port until the process ends.
pub(super) fn show(process: &Arc<Process>, http: Http) {
    match http.local_addr() {
        Ok(address) => tracing::info!(%address, "http listening"),
        Err(error) => tracing::error!(%error, "http port lost"),
    }
    let (process, present) = (Arc::clone(process), process.presence());
    tokio::spawn(async move {
        let _present = present;
        if let Err(error) = http.serve(async move { process.farewell().await }).await {
            tracing::error!(%error, "http port lost");
        }
    });
}
