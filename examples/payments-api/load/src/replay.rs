//! A user whose requests are played to the database directly, statement by statement as the service sends them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use bytes::BytesMut;
use tokio::time;
use tokio_postgres::types::{Format, IsNull, ToSql, Type};
use tokio_postgres::{Client, Config, NoTls, Statement};

use crate::asks::{self, MIX, TRANSFER, Transfer};
use crate::crowd::Seat;
use crate::people::Person;
use crate::script::{self, Known, Script, Step, Value};

/// No request is waited for longer.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a worker does behind each transfer, in the script.
const RECEIPT: &str = "receipt";
/// A twentieth of a per cent, as the service's fee is.
const FEE_PARTS: i64 = 2_000;

/// What all users play.
pub struct Stage {
    database: Config,
    script: Script,
    houses: Vec<i64>,
    manner: Manner,
}

/// How users deal with their database.
#[derive(Clone, Copy)]
pub struct Manner {
    /// A new connection for each request.
    pub reconnect: bool,
    /// No statement is prepared.
    pub unprepared: bool,
}

impl Stage {
    /// With the script in `script`, against `database`.
    pub fn set(database: &str, script: &Path, manner: Manner) -> Result<Arc<Self>> {
        let recorded = script::read(script)?;
        let script::Recorded { kinds: script, houses } = recorded;
        Ok(Arc::new(Self { database: database.parse()?, script, houses, manner }))
    }
}

/// A user's life.
pub async fn live(seat: Seat, stage: Arc<Stage>) {
    let mut user = User { stage, database: None };
    while seat.think().await {
        let kind = MIX[asks::draw()].0;
        let wanted = Transfer::draw(seat.person(), &seat.world.people);
        let transfers = user.request(&seat, kind, &wanted, Vec::new()).await;
        if kind == MIX[TRANSFER].0
            && let Ok(transfers) = transfers
            && let Some(id) = transfers.first().copied()
        {
            seat.world.journal.promised(&wanted, id);
            let _ = user.request(&seat, RECEIPT, &wanted, transfers).await;
        }
    }
}

/// A connection with what was prepared on it.
struct Database {
    client: Client,
    unprepared: bool,
    prepared: HashMap<String, Statement>,
}

struct User {
    stage: Arc<Stage>,
    database: Option<Database>,
}

impl User {
    async fn request(
        &mut self,
        seat: &Seat,
        kind: &'static str,
        wanted: &Transfer,
        transfers: Vec<i64>,
    ) -> Result<Vec<i64>> {
        let stage = self.stage.clone();
        let Some(steps) = stage.script.get(kind).filter(|steps| !steps.is_empty()) else {
            // What the cache answers is no matter of the database's.
            return Ok(transfers);
        };
        let mut scene = Scene { person: seat.person(), wanted, houses: &stage.houses, transfers };
        let begin = Instant::now();
        let played = time::timeout(PATIENCE, self.play(steps, &mut scene)).await;
        let outcome = played.context("no answer in time").flatten();
        let error = outcome.as_ref().err().map(|error| format!("{kind}: {error:#}"));
        seat.world.tally.ended(kind, begin, error);
        if outcome.is_err() || stage.manner.reconnect {
            self.database = None;
        }
        outcome.map(|()| scene.transfers)
    }

    async fn play(&mut self, steps: &[Step], scene: &mut Scene<'_>) -> Result<()> {
        if self.database.is_none() {
            let (client, connection) = self.stage.database.connect(NoTls).await.map_err(reason)?;
            tokio::spawn(connection);
            self.database = Some(Database {
                client,
                unprepared: self.stage.manner.unprepared,
                prepared: HashMap::new(),
            });
        }
        let database = self.database.as_mut().context("just made")?;
        for step in steps {
            database.run(step, scene).await?;
        }
        Ok(())
    }
}

impl Database {
    async fn run(&mut self, step: &Step, scene: &mut Scene<'_>) -> Result<()> {
        if step.values.is_empty() {
            return self.client.batch_execute(&step.sql).await.map_err(reason);
        }
        let values: Vec<Text> = step.values.iter().map(|value| scene.value(value)).collect();
        let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|value| value as _).collect();
        let rows = if self.unprepared {
            // The unnamed statement, with types that the server finds out.
            let unknown = values.iter().map(|value| (*value, Type::UNKNOWN)).collect::<Vec<_>>();
            self.client.query_typed(&step.sql, &unknown).await
        } else {
            let statement = self.prepared(&step.sql).await?;
            self.client.query(&statement, &values).await
        };
        let rows = rows.map_err(reason)?;
        if step.gives_transfers {
            scene.transfers = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
        }
        Ok(())
    }

    async fn prepared(&mut self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.prepared.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await.map_err(reason)?;
        self.prepared.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

/// What a request is about, while it is played.
struct Scene<'a> {
    person: &'a Person,
    wanted: &'a Transfer,
    houses: &'a [i64],
    transfers: Vec<i64>,
}

impl Scene<'_> {
    fn value(&self, value: &Value) -> Text {
        let text = match value {
            Value::Null => return Text(None),
            Value::Text(text) => text.clone(),
            Value::Known(known) => self.known(*known),
            Value::Money(amounts, fees) => {
                (amounts * self.wanted.amount + fees * self.fee()).to_string()
            }
            Value::Transfer(place) => {
                self.transfers.get(*place).copied().unwrap_or_default().to_string()
            }
        };
        Text(Some(text))
    }

    fn known(&self, known: Known) -> String {
        let Transfer { key, sender, recipient, recipient_user, .. } = self.wanted;
        match known {
            Known::Token => self.person.token.clone(),
            Known::Name => self.person.name.clone(),
            Known::User => self.person.user.to_string(),
            Known::Account => sender.to_string(),
            Known::Recipient => recipient.to_string(),
            Known::RecipientUser => recipient_user.to_string(),
            Known::House => self.houses[*sender as usize % self.houses.len()].to_string(),
            Known::Key => key.clone(),
        }
    }

    fn fee(&self) -> i64 {
        (self.wanted.amount / FEE_PARTS).max(1)
    }
}

/// A parameter as text, whatever its type; the service's driver sends most of them so.
#[derive(Debug)]
struct Text(Option<String>);

impl ToSql for Text {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(text) = &self.0 else { return Ok(IsNull::Yes) };
        out.extend_from_slice(text.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    tokio_postgres::types::to_sql_checked!();
}

/// An error as the report counts it: PostgreSQL's words, without details.
fn reason(error: tokio_postgres::Error) -> anyhow::Error {
    match error.as_db_error() {
        Some(told) => anyhow::anyhow!("{} {}", told.code().code(), told.message()),
        None => error.into(),
    }
}
