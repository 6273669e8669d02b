//! Who is asked what a name stands for.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{LookupIpStrategy, ResolveHosts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData};
use hickory_resolver::system_conf::parse_resolv_conf;

use crate::config::Process;
use crate::types::Timeout;

/// Where the name servers of a machine stand.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// Its addresses; never none.
    pub(super) addresses: Vec<IpAddr>,
    /// How long that is so; `None` where nobody says.
    pub(super) ttl: Timeout,
}

/// Who is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Resolver {
    /// The C library: it knows all that `nsswitch.conf` names, but does not tell how long an answer holds.
    System,
    /// `/etc/hosts` and the name servers that this file names.
    NameServers(PathBuf),
}

impl Resolver {
    /// Name servers are asked where the configuration has something to say about them.
    pub(super) fn new(process: &Process) -> Self {
        match (&process.resolv_conf, process.dns_zone_check_period) {
            (None, None) => Resolver::System,
            (Some(file), _) => Resolver::NameServers(file.clone()),
            (None, Some(_)) => Resolver::NameServers(RESOLV_CONF.into()),
        }
    }

    /// The addresses of a name.
    ///
    /// # Errors
    /// There are none, or nobody can say.
    pub(super) async fn addresses(&self, name: &str) -> Result<Answer, String> {
        let found = match self {
            Resolver::System => ask_the_system(name).await.map_err(|error| error.to_string()),
            Resolver::NameServers(file) => ask_name_servers(file, name).await,
        };
        found.and_then(|mut answer| {
            let mut seen = Vec::new();
            answer.addresses.retain(|address| {
                let is_new = !seen.contains(address);
                seen.push(*address);
                is_new
            });
            if answer.addresses.is_empty() {
                return Err("the name has no addresses".to_owned());
            }
            Ok(answer)
        })
    }

    /// The serial number of a zone, which changes with what is in it.
    ///
    /// # Errors
    /// There is none, or nobody can say.
    pub(super) async fn serial(&self, zone: &str) -> Result<u32, String> {
        let Resolver::NameServers(file) = self else {
            return Err("the system does not tell".to_owned());
        };
        let name = Name::from_utf8(format!("{zone}.")).map_err(|error| error.to_string())?;
        let found = open(file).await?.soa_lookup(name).await.map_err(|error| error.to_string())?;
        let mut serials = found.answers().iter().filter_map(|record| match &record.data {
            RData::SOA(soa) => Some(soa.serial),
            _ => None,
        });
        serials.next().ok_or_else(|| "it is no zone".to_owned())
    }
}

async fn ask_the_system(name: &str) -> io::Result<Answer> {
    let found = tokio::net::lookup_host((name, 0)).await?;
    Ok(Answer { addresses: found.map(|socket| socket.ip()).collect(), ttl: None })
}

async fn ask_name_servers(file: &Path, name: &str) -> Result<Answer, String> {
    let found = open(file).await?.lookup_ip(name).await.map_err(|error| error.to_string())?;
    let ttl = found.valid_until().saturating_duration_since(Instant::now());
    // What is left of whole seconds is not told as one less.
    let ttl = Duration::from_secs(ttl.as_secs_f64().round() as u64);
    Ok(Answer { addresses: found.iter().collect(), ttl: Some(ttl) })
}

/// Made for each question, which is asked seldom: what the files say counts at once, and no socket outlives a runtime.
async fn open(file: &Path) -> Result<TokioResolver, String> {
    let path = file.to_owned();
    let made = tokio::task::spawn_blocking(move || {
        let text = std::fs::read(&path).map_err(|error| error.to_string())?;
        let (config, options) = parse_resolv_conf(text).map_err(|error| error.to_string())?;
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
                .with_options(options);
        let options = builder.options_mut();
        options.cache_size = 0;
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file = ResolveHosts::Always;
        builder.build().map_err(|error| error.to_string())
    });
    let made = made.await.map_err(|error| error.to_string()).and_then(|made| made);
    made.map_err(|error| format!("{}: {error}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_are_asked_where_they_matter() {
        let plain = Process::default();
        assert_eq!(Resolver::new(&plain), Resolver::System);
        let checked = Process { dns_zone_check_period: Some(Duration::MAX), ..plain.clone() };
        assert_eq!(Resolver::new(&checked), Resolver::NameServers(RESOLV_CONF.into()));
        let elsewhere = Process { resolv_conf: Some("x".into()), ..checked };
        assert_eq!(Resolver::new(&elsewhere), Resolver::NameServers("x".into()));
    }

    #[tokio::test]
    async fn everybody_knows_localhost() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("resolv.conf");
        // Nobody is there to be asked.
        std::fs::write(&file, "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n").unwrap();
        for resolver in [Resolver::System, Resolver::NameServers(file.clone())] {
            let answer = resolver.addresses("localhost").await.unwrap();
            assert!(answer.addresses.iter().all(IpAddr::is_loopback), "{answer:?}");
        }
        let gone = Resolver::NameServers(folder.path().join("none"));
        let error = gone.addresses("localhost").await.unwrap_err();
        assert!(error.contains("none: No such file"), "{error}");
        assert!(Resolver::System.serial("localhost").await.is_err());
    }
}
