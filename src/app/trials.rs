//! What `pgusher check` tries beyond reading files: the way to every server, and the login of a client.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use socket2::Socket;

use super::process::Process;
use super::serve;
use crate::auth::{ServerCredential, StoredSecret};
use crate::client::{Identities, Kept};
use crate::config::{self, Config, Database, Loaded, ServerTlsSettings, SslMode};
use crate::net::{Arrival, Dialler, Peer};
use crate::secret::Secret;
use crate::server::{self, Blueprint, Means, Server};
use crate::telemetry::LogStart;
use crate::tls::{Keyring, Keys};
use crate::types::{LoadBalance, Name, ServerAddress};

/// Nothing that works takes longer.
const LIMIT: Duration = Duration::from_secs(30);

/// Tries the way to every server of a configuration, and logs in where there is a user to log in as. `tell` hears of
/// each in a line; false when one fails.
///
/// # Errors
/// The configuration, or something it names, is not good.
pub fn try_servers(path: &Path, mut tell: impl FnMut(&str)) -> Result<bool, String> {
    let loaded = config::load(path).map_err(|mistakes| mistakes.to_string())?;
    let config = loaded.config;
    let kept = Kept::new().map_err(|error| error.to_string())?;
    let identities = Identities::load(&config, &kept)?;
    let means = means(Keys::load(&config)?, &config.process);
    runtime()?.block_on(async {
        let mut all_good = true;
        for database in config.databases.values().chain(config.fallback.iter()) {
            for address in &database.addresses {
                let (user, blueprint) = hop(&config, &identities, database, address);
                let limit = config.pool_settings(database, &user).server_connect_timeout;
                let came = server::connect(&blueprint, limit, &means, 0, 0).await;
                all_good &= came.is_ok();
                tell(&describe(&database.name, address, &user, came));
            }
        }
        Ok(all_good)
    })
}

/// One address of a database, and the user to try it as.
fn hop(
    config: &Config,
    identities: &Identities,
    database: &Database,
    address: &ServerAddress,
) -> (Name, Blueprint) {
    let has_secret = |user: &&Name| config.users.get(*user).is_some_and(|u| u.password.is_some());
    let known = config.users.keys().find(has_secret).or(config.users.keys().next());
    let asker = config.auth_lookup(database).user;
    let own = database.user.clone().or(asker).or_else(|| known.cloned());
    let user = own.unwrap_or_else(|| "postgres".into());
    // The fallback has no name to ask for; every server has this database.
    let name =
        if database.name.as_ref() == "*" { "postgres".into() } else { database.name.clone() };
    let blueprint = Blueprint {
        addresses: vec![address.clone()],
        load_balance: database.load_balance,
        connect_query: database.connect_query.clone(),
        database: database.dbname.clone().unwrap_or(name),
        user: user.clone(),
        credential: identities.credential(config, database, &database.name, &user),
        startup_parameters: database.startup_parameters.clone(),
        tls: Arc::clone(&database.tls),
    };
    (user, blueprint)
}

fn describe(
    database: &str,
    address: &ServerAddress,
    user: &str,
    came: Result<Box<Server>, server::ConnectError>,
) -> String {
    match came {
        Ok(server) => format!("{database}: {address}: ok, as {user}, {}", qualities(&server)),
        Err(error) => {
            let detail = error.fields.detail.as_ref().map(|text| format!(" ({text})"));
            format!(
                "{database}: {address}: {} as {user} failed: {}{}",
                error.stage.as_str(),
                error.fields,
                detail.unwrap_or_default()
            )
        }
    }
}

/// What is good to know of a connection.
fn qualities(server: &Server) -> String {
    let version = server.reported.get("server_version").unwrap_or_default();
    let tls = server.record.tls.map_or_else(|| "no TLS".to_owned(), |label| label.to_string());
    format!("server_version {}, {tls}", String::from_utf8_lossy(version))
}

/// Logs in as a client on 127.0.0.1 would, with TLS if there is TLS for clients, up to its first ReadyForQuery. Gives
/// what is good to know.
///
/// # Errors
/// What the client would read, or why nothing could be tried.
pub fn try_login(
    path: &Path,
    user: &str,
    database: &str,
    password: &str,
) -> Result<String, String> {
    let loaded = config::load(path).map_err(|mistakes| mistakes.to_string())?;
    let log = crate::telemetry::start(LogStart {
        format: loaded.config.process.log_format,
        level: "info",
        verbosity: 0,
        file: None,
        both: false,
        quiet: false,
        process: &config::Process::default(),
    })?;
    let runtime = runtime()?;
    let handle = runtime.handle().clone();
    runtime.block_on(async {
        let path = PathBuf::from(path);
        let (mode, loaded) = (client_mode(&loaded), loaded);
        let process = Arc::new(Process::build(path, loaded, log, handle)?);
        let port = admit_one(Arc::clone(&process)).await.map_err(|error| error.to_string())?;
        let settings = Arc::new(ServerTlsSettings {
            sslmode: mode,
            // The other end of the connection is this process.
            allow_cleartext_password: true,
            ..ServerTlsSettings::default()
        });
        let means = means(Keys::of_servers(&settings)?, &config::Process::default());
        let password = StoredSecret::Plain(Secret::new(password));
        let blueprint = Blueprint {
            addresses: vec![ServerAddress::Tcp { host: Ipv4Addr::LOCALHOST.to_string(), port }],
            load_balance: LoadBalance::Disable,
            connect_query: String::new(),
            database: database.into(),
            user: user.into(),
            credential: ServerCredential::Stored(password),
            startup_parameters: BTreeMap::new(),
            tls: settings,
        };
        match server::connect(&blueprint, Some(LIMIT), &means, 0, 0).await {
            Ok(server) => Ok(format!("{user}@{database}: ok, {}", qualities(&server))),
            Err(error) => {
                let more = [&error.fields.detail, &error.fields.hint].into_iter().flatten();
                let more: Vec<_> = more.map(|text| format!("\n  {text}")).collect();
                Err(format!("{user}@{database}: {}{}", error.fields, more.concat()))
            }
        }
    })
}

fn means(keys: Keys, process: &config::Process) -> Means {
    Means {
        param_sets: Arc::default(),
        keyring: Arc::new(Keyring::new(keys)),
        dialler: Arc::new(Dialler::new(process)),
    }
}

/// TLS if there is any.
fn client_mode(loaded: &Loaded) -> SslMode {
    match loaded.config.tls_client.sslmode {
        config::ClientSslMode::Disable => SslMode::Disable,
        _ => SslMode::Require,
    }
}

/// Opens a door of its own on 127.0.0.1 for one client, and says which.
async fn admit_one(process: Arc<Process>) -> std::io::Result<u16> {
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(crate::pool::keep(Arc::clone(&process.gate.pools)));
    tokio::spawn(async move {
        let (stream, address) = listener.accept().await?;
        let (socket, local) = (Socket::from(stream.into_std()?), None);
        serve::receive_one(&process, Arrival { socket, peer: Peer::Tcp(address), local });
        std::io::Result::Ok(())
    });
    Ok(port)
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(super::CONTROL_THREADS)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))
}
