//! A connection to the console, and one look through it.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Statement};

use super::target::{Target, causes};
use crate::glance::{self, Glance, Load, Row};

/// The tables of one look, in the order they are asked for.
const TABLES: [&str; 7] = [
    "SHOW VERSION",
    "SHOW STATE",
    "SHOW LOAD",
    "SHOW WAITERS",
    "SHOW BLOCKERS",
    "SHOW PINS",
    "SHOW AUDIT",
];

/// An open console. Dropping it closes the connection.
pub(super) struct Console {
    client: Client,
    statements: Vec<Statement>,
    driver: JoinHandle<()>,
}

impl Drop for Console {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Why there is no console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// It wants a password, and nobody has given one.
    Password,
    /// Something else; for people.
    Other(String),
}

impl From<tokio_postgres::Error> for Refused {
    fn from(error: tokio_postgres::Error) -> Self {
        let text = causes(&error);
        if text.contains("password missing") { Refused::Password } else { Refused::Other(text) }
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refused::Password => f.write_str("a password is needed"),
            Refused::Other(why) => f.write_str(why),
        }
    }
}

impl Console {
    /// Logs in and prepares what will be asked.
    pub(super) async fn open(target: &Target) -> Result<Self, Refused> {
        let (client, connection) = target.config.connect(target.tls.clone()).await?;
        let driver = tokio::spawn(async move {
            // The client hears of an error, too.
            let _ = connection.await;
        });
        let mut console = Console { client, statements: Vec::new(), driver };
        for table in TABLES {
            let statement = console.client.prepare(table).await?;
            console.statements.push(statement);
        }
        Ok(console)
    }

    /// Looks at everything.
    pub(super) async fn look(&self) -> Result<Glance, Refused> {
        let mut tables = Vec::new();
        for statement in &self.statements {
            let rows = self.client.query(statement, &[]).await?;
            tables.push(rows.iter().map(read).collect::<Result<Vec<Row>, _>>()?);
        }
        let mut tables = tables.into_iter();
        let mut next = || tables.next().unwrap_or_default();
        let (version, states, load) = (next(), next(), next());
        let load: Result<_, _> = load.into_iter().map(Load::from_row).collect();
        Ok(Glance {
            version: version.first().map(|row| text(row, "version").to_owned()).unwrap_or_default(),
            at: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
            state: state(&states),
            pools: load.map_err(Refused::Other)?,
            waiters: next(),
            blockers: next(),
            pins: next(),
            audit: next(),
        })
    }
}

fn text<'a>(row: &'a Row, column: &str) -> &'a str {
    row.get(column).and_then(Value::as_str).unwrap_or_default()
}

fn state(states: &[Row]) -> String {
    let holds =
        |key| states.iter().any(|row| (text(row, "key"), text(row, "value")) == (key, "yes"));
    let state = ["suspended", "paused"].into_iter().find(|key| holds(key));
    state.unwrap_or("active").to_owned()
}

fn read(row: &tokio_postgres::Row) -> Result<Row, Refused> {
    let cells = row.columns().iter().enumerate().map(|(at, column)| {
        let value = match *column.type_() {
            Type::INT4 => row.try_get::<_, Option<i32>>(at)?.map(Value::from),
            Type::INT8 => row.try_get::<_, Option<i64>>(at)?.map(Value::from),
            _ => {
                let text: Option<&str> = row.try_get(at)?;
                text.map(|text| glance::value(column.name(), text))
            }
        };
        Ok((column.name().to_owned(), value.unwrap_or_default()))
    });
    cells.collect()
}
