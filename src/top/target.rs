//! Where the console is, and who asks: a connection string or options, the environment, and what is usual.

use std::path::Path;

use nix::unistd::{Uid, User};
use openssl::ssl::{SslConnector, SslFiletype, SslMethod, SslVerifyMode};
use postgres_openssl::MakeTlsConnector;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::pgpass;

/// pgusher's port, unless somebody says otherwise.
const PORT: u16 = 6432;
/// Folders in which a unix socket is looked for.
const FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];
/// The console.
const DATABASE: &str = "pgusher";

/// What the command line says about it.
#[derive(Clone, Debug, Default)]
pub struct Address {
    /// A connection string or URL.
    pub connection: Option<String>,
    /// The host, or the folder of a unix socket.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// The user.
    pub user: Option<String>,
}

/// A console to connect to.
#[derive(Clone)]
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: MakeTlsConnector,
}

/// libpq's settings of TLS that the driver does not know.
#[derive(Debug, Default, PartialEq)]
struct Tls {
    mode: Option<String>,
    root: Option<String>,
    certificate: Option<String>,
    key: Option<String>,
}

impl Target {
    /// Puts together what is known.
    ///
    /// # Errors
    /// The connection string is none, or a file of TLS cannot be read.
    pub(super) fn find(
        address: &Address,
        env: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, String> {
        let (rest, mut tls) = split(address.connection.as_deref().unwrap_or_default());
        let mut config: Config =
            rest.parse().map_err(|error| format!("connection string: {}", causes(&error)))?;
        tls.mode = tls.mode.or_else(|| env("PGSSLMODE"));
        tls.root = tls.root.or_else(|| env("PGSSLROOTCERT"));
        tls.certificate = tls.certificate.or_else(|| env("PGSSLCERT"));
        tls.key = tls.key.or_else(|| env("PGSSLKEY"));
        let env_port = env("PGPORT").and_then(|port| port.parse().ok());
        let port = address.port.or(config.get_ports().first().copied()).or(env_port);
        if config.get_ports().is_empty() {
            config.port(port.unwrap_or(PORT));
        }
        if config.get_hosts().is_empty() {
            let host = address.host.clone().or_else(|| env("PGHOST"));
            config.host(host.unwrap_or_else(|| usual_host(port.unwrap_or(PORT))));
        }
        if config.get_user().is_none() {
            let user = address.user.clone().or_else(|| env("PGUSER")).or_else(os_user);
            config.user(user.ok_or("no user: say -U")?);
        }
        if config.get_dbname().is_none() {
            config.dbname(DATABASE);
        }
        config.application_name("pgusher top");
        config.connect_timeout(std::time::Duration::from_secs(5));
        config.ssl_mode(match tls.mode.as_deref() {
            Some("disable") => SslMode::Disable,
            None | Some("allow" | "prefer") => SslMode::Prefer,
            Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            Some(other) => return Err(format!("sslmode {other:?} is none")),
        });
        let mut target = Target { config, tls: connector(&tls)? };
        if target.config.get_password().is_none()
            && let Some(password) = env("PGPASSWORD").or_else(|| target.pgpass(env))
        {
            target.config.password(password);
        }
        Ok(target)
    }

    fn pgpass(&self, env: &dyn Fn(&str) -> Option<String>) -> Option<String> {
        let path =
            env("PGPASSFILE").or_else(|| env("HOME").map(|home| format!("{home}/.pgpass")))?;
        let port = self.config.get_ports().first()?.to_string();
        let host = match self.config.get_hosts().first()? {
            Host::Tcp(name) => name.clone(),
            Host::Unix(_) => "localhost".to_owned(),
        };
        let wanted = [&host, &port, self.config.get_dbname()?, self.config.get_user()?];
        pgpass::read(Path::new(&path), wanted)
    }

    /// Where it is, for people.
    pub(super) fn place(&self) -> String {
        let port = self.config.get_ports().first().copied().unwrap_or(PORT);
        match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) if host.contains(':') => format!("[{host}]:{port}"),
            Some(Host::Tcp(host)) => format!("{host}:{port}"),
            Some(Host::Unix(folder)) => format!("{}:{port}", folder.display()),
            None => port.to_string(),
        }
    }

    /// The user, for the prompt.
    pub(super) fn user(&self) -> &str {
        self.config.get_user().unwrap_or_default()
    }
}

/// An error with everything that caused it.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let more = next.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = next.source();
    }
    text
}

/// A socket that is there, else this machine.
fn usual_host(port: u16) -> String {
    let is_there = |folder: &&str| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    FOLDERS.into_iter().find(is_there).unwrap_or("127.0.0.1").to_owned()
}

fn os_user() -> Option<String> {
    User::from_uid(Uid::effective()).ok().flatten().map(|user| user.name)
}

/// Takes the settings of TLS out of a connection string.
fn split(connection: &str) -> (String, Tls) {
    let mut tls = Tls::default();
    let mut take = |pair: &str| {
        let Some((key, value)) = pair.split_once('=') else { return false };
        let value =
            percent_encoding::percent_decode_str(value.trim_matches('\'')).decode_utf8_lossy();
        let place = match key {
            "sslmode" => &mut tls.mode,
            "sslrootcert" => &mut tls.root,
            "sslcert" => &mut tls.certificate,
            "sslkey" => &mut tls.key,
            _ => return false,
        };
        *place = Some(value.into_owned());
        true
    };
    let is_url = ["postgres://", "postgresql://"].iter().any(|start| connection.starts_with(start));
    let rest = if is_url {
        let (front, query) = connection.split_once('?').unwrap_or((connection, ""));
        let kept: Vec<_> =
            query.split('&').filter(|pair| !pair.is_empty() && !take(pair)).collect();
        if kept.is_empty() { front.to_owned() } else { format!("{front}?{}", kept.join("&")) }
    } else {
        let kept: Vec<_> = connection.split(' ').filter(|pair| !take(pair)).collect();
        kept.join(" ")
    };
    (rest, tls)
}

fn connector(tls: &Tls) -> Result<MakeTlsConnector, String> {
    let wrong = |error: openssl::error::ErrorStack| format!("TLS: {error}");
    let mut builder = SslConnector::builder(SslMethod::tls_client()).map_err(wrong)?;
    let mode = tls.mode.as_deref().unwrap_or("prefer");
    let verifies = matches!(mode, "verify-ca" | "verify-full") || tls.root.is_some();
    builder.set_verify(if verifies { SslVerifyMode::PEER } else { SslVerifyMode::NONE });
    if let Some(root) = tls.root.as_deref().filter(|root| *root != "system") {
        builder.set_ca_file(root).map_err(|error| format!("sslrootcert {root}: {error}"))?;
    }
    if let Some(file) = &tls.certificate {
        let read = builder.set_certificate_chain_file(file);
        read.map_err(|error| format!("sslcert {file}: {error}"))?;
    }
    if let Some(file) = &tls.key {
        let read = builder.set_private_key_file(file, SslFiletype::PEM);
        read.map_err(|error| format!("sslkey {file}: {error}"))?;
    }
    let mut make = MakeTlsConnector::new(builder.build());
    let checks_name = mode == "verify-full";
    make.set_callback(move |handshake, _| {
        handshake.set_verify_hostname(checks_name);
        Ok(())
    });
    Ok(make)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(connection: &str, env: &[(&str, &str)]) -> Target {
        let address = Address { connection: Some(connection.to_owned()), ..Address::default() };
        let env = |name: &str| {
            env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        };
        Target::find(&address, &env).unwrap()
    }

    #[test]
    fn strings_urls_and_the_environment_are_understood() {
        let target = find("postgres://dba:x@db.example.org:7000/pgbouncer?sslmode=require", &[]);
        assert_eq!(target.place(), "db.example.org:7000");
        assert_eq!((target.user(), target.config.get_dbname()), ("dba", Some("pgbouncer")));
        assert_eq!(target.config.get_ssl_mode(), SslMode::Require);
        let target = find("host=::1 user=dba sslmode=disable", &[("PGPASSWORD", "secret")]);
        assert_eq!(
            (target.place().as_str(), target.config.get_dbname()),
            ("[::1]:6432", Some(DATABASE))
        );
        assert_eq!(target.config.get_password(), Some(&b"secret"[..]));
        let env =
            [("PGHOST", "10.0.0.1"), ("PGPORT", "7"), ("PGUSER", "ada"), ("PGSSLMODE", "require")];
        let target = find("", &env);
        assert_eq!((target.place().as_str(), target.user()), ("10.0.0.1:7", "ada"));
    }

    #[test]
    fn a_socket_is_looked_for_before_this_machine() {
        assert_eq!(usual_host(1), "127.0.0.1");
    }

    #[test]
    fn settings_of_tls_are_taken_out() {
        let (rest, tls) =
            split("postgresql://h/d?sslmode=verify-full&sslrootcert=%2Fa%20b&connect_timeout=1");
        assert_eq!(rest, "postgresql://h/d?connect_timeout=1");
        assert_eq!((tls.mode.as_deref(), tls.root.as_deref()), (Some("verify-full"), Some("/a b")));
        let (rest, tls) = split("host=h sslmode='verify-ca' port=1");
        assert_eq!((rest.as_str(), tls.mode.as_deref()), ("host=h port=1", Some("verify-ca")));
    }
}
