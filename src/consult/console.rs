//! One command at the console.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use nix::unistd::{Uid, User};
use tokio_postgres::config::Config;
use tokio_postgres::{NoTls, SimpleQueryMessage};

/// pgusher's port, unless somebody says otherwise.
const PORT: u16 = 6432;
/// Folders in which its socket is looked for.
const FOLDERS: [&str; 2] = ["/var/run/postgresql", "/tmp"];
/// How long it may take to be let in.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where the console is, and who asks.
#[derive(Clone, Debug, Default)]
pub struct Address {
    /// The host, or the folder of the unix socket.
    pub host: Option<String>,
    /// The port.
    pub port: Option<u16>,
    /// The user.
    pub user: Option<String>,
}

/// A row: what the columns that have a value say.
pub(super) type Row = BTreeMap<String, String>;

/// Gives a command; gives its rows.
pub(super) fn ask(address: &Address, command: &str) -> Result<Vec<Row>, String> {
    let config = address.config(|name| std::env::var(name).ok())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(converse(&config, command)).map_err(|error| {
        let why = std::error::Error::source(&error).map(|why| format!(": {why}"));
        format!("{error}{}", why.unwrap_or_default())
    })
}

async fn converse(config: &Config, command: &str) -> Result<Vec<Row>, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    let driver = tokio::spawn(connection);
    let answer = client.simple_query(command).await;
    driver.abort();
    let rows = answer?.into_iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let columns = rows.map(|row| {
        let names = row.columns().iter().map(tokio_postgres::SimpleColumn::name).enumerate();
        let values =
            names.filter_map(|(at, name)| Some((name.to_owned(), row.get(at)?.to_owned())));
        values.collect()
    });
    Ok(columns.collect())
}

impl Address {
    /// What the options do not say is in libpq's variables, or as it usually is.
    fn config(&self, env: impl Fn(&str) -> Option<String>) -> Result<Config, String> {
        let port = match (self.port, env("PGPORT")) {
            (Some(port), _) => port,
            (None, Some(port)) => {
                port.parse().map_err(|_| format!("PGPORT: {port:?} is no port"))?
            }
            (None, None) => PORT,
        };
        let host = self.host.clone().or_else(|| env("PGHOST")).unwrap_or_else(|| usual_host(port));
        let user = self.user.clone().or_else(|| env("PGUSER")).or_else(system_user);
        let user = user.ok_or("no user: say -U")?;
        let mut config = Config::new();
        config.host(host).port(port).user(user).dbname("pgusher").connect_timeout(PATIENCE);
        config.application_name("pgusher advise");
        if let Some(password) = env("PGPASSWORD") {
            config.password(password);
        }
        Ok(config)
    }
}

/// A socket that is there, or this machine.
fn usual_host(port: u16) -> String {
    let is_there = |folder: &&str| Path::new(folder).join(format!(".s.PGSQL.{port}")).exists();
    FOLDERS.into_iter().find(is_there).unwrap_or("127.0.0.1").to_owned()
}

fn system_user() -> Option<String> {
    User::from_uid(Uid::effective()).ok().flatten().map(|user| user.name)
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::Host;

    use super::*;

    #[test]
    fn options_come_before_the_environment() {
        let env = |name: &str| match name {
            "PGHOST" => Some("/run/a".to_owned()),
            "PGPORT" => Some("7000".to_owned()),
            "PGUSER" => Some("ada".to_owned()),
            _ => None,
        };
        let config = Address::default().config(env).expect("whole");
        assert_eq!(config.get_hosts(), [Host::Unix("/run/a".into())]);
        assert_eq!((config.get_ports(), config.get_user()), (&[7000][..], Some("ada")));
        let address =
            Address { port: Some(1), user: Some("bo".to_owned()), host: Some("h".to_owned()) };
        let config = address.config(env).expect("whole");
        assert_eq!(config.get_hosts(), [Host::Tcp("h".to_owned())]);
        assert_eq!((config.get_ports(), config.get_user()), (&[1][..], Some("bo")));
        let wrong = Address::default().config(|_| Some("x".to_owned()));
        assert_eq!(wrong.err().as_deref(), Some("PGPORT: \"x\" is no port"));
    }
}
