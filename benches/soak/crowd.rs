//! Clients that do what clients do, and look whether their sessions are their own.

use std::time::{Duration, Instant};

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode};
use postgres_openssl::MakeTlsConnector;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls, SimpleQueryMessage, Statement};

use crate::Tally;

/// After so many requests a client comes back as another.
const STAY: u64 = 200;

/// Between two requests.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a query runs before it is cancelled, or its client goes.
const MOMENT: Duration = Duration::from_millis(20);

/// What a client does, until the end.
pub(crate) async fn client(port: u16, number: u64, until: Instant) -> Tally {
    let mut tally = Tally::new();
    let mut request = 0;
    while Instant::now() < until {
        let result = visit(port, number, &mut request, &mut tally, until).await;
        if let Err(error) = result {
            *tally.entry(name(&error)).or_default() += 1;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    tally
}

/// True for what a client hears whose server was killed or cut off.
pub(crate) fn is_explained(what: &str) -> bool {
    matches!(what, "ok" | "57P01" | "08006" | "closed")
}

fn name(error: &Error) -> String {
    match error.code() {
        Some(code) => code.code().to_owned(),
        None if error.is_closed() => "closed".to_owned(),
        None => match std::error::Error::source(error) {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        },
    }
}

async fn visit(
    port: u16,
    number: u64,
    request: &mut u64,
    tally: &mut Tally,
    until: Instant,
) -> Result<(), Error> {
    let (mut client, connection) = log_in(port, number).await?;
    let own = format!("{}kB", 1025 + number);
    client.batch_execute(&format!("set work_mem = '{own}'")).await?;
    let double = client.prepare("select $1::int8 * 2").await?;
    for _ in 0..STAY {
        if Instant::now() >= until {
            break;
        }
        *request += 1;
        ask(&mut client, &double, number, *request, &own).await?;
        *tally.entry("ok".to_owned()).or_default() += 1;
        tokio::time::sleep(PAUSE).await;
    }
    leave(client, connection, number + *request / STAY).await
}

/// Every second client comes with TLS.
async fn log_in(port: u16, number: u64) -> Result<(Client, JoinHandle<()>), Error> {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user("soak").dbname("app");
    config.application_name(format!("soak-{}", number % 4));
    if number.is_multiple_of(2) {
        let (client, connection) = config.connect(NoTls).await?;
        return Ok((client, tokio::spawn(async { drop(connection.await) })));
    }
    let (client, connection) = config.ssl_mode(SslMode::Require).connect(tls()).await?;
    Ok((client, tokio::spawn(async { drop(connection.await) })))
}

fn tls() -> MakeTlsConnector {
    let mut builder = SslConnector::builder(SslMethod::tls_client()).expect("TLS");
    builder.set_verify(SslVerifyMode::NONE);
    MakeTlsConnector::new(builder.build())
}

/// Some say goodbye, some cancel a query first, some are gone within one.
async fn leave(client: Client, connection: JoinHandle<()>, turn: u64) -> Result<(), Error> {
    let nap = "select pg_sleep(0.2)";
    match turn % 3 {
        0 => {
            let token = client.cancel_token();
            let cancelling = async {
                tokio::time::sleep(MOMENT).await;
                token.cancel_query(tls()).await
            };
            let (slept, cancelled) = tokio::join!(client.simple_query(nap), cancelling);
            cancelled?;
            expect(slept, &SqlState::QUERY_CANCELED)?;
        }
        1 => {
            let _ = tokio::time::timeout(MOMENT, client.simple_query(nap)).await;
            connection.abort();
        }
        _ => {}
    }
    drop(client);
    // It ends with its client.
    let _ = connection.await;
    Ok(())
}

/// Lets one error pass, and success: a query that is to be cancelled may be over before.
fn expect<T>(result: Result<T, Error>, code: &SqlState) -> Result<(), Error> {
    match result {
        Err(error) if error.code() != Some(code) => Err(error),
        _ => Ok(()),
    }
}

/// One of the things that clients do.
async fn ask(
    client: &mut Client,
    double: &Statement,
    number: u64,
    request: u64,
    own: &str,
) -> Result<(), Error> {
    match (number + request) % 9 {
        0 => drop(client.simple_query("select 1").await?),
        1 => {
            let row = client.query_one("select $1::int8 + 1", &[&(request as i64)]).await?;
            assert_eq!(row.get::<_, i64>(0), request as i64 + 1, "another client's row");
        }
        2 => {
            let transaction = client.transaction().await?;
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 2] = [&(number as i32), &own];
            transaction.execute("insert into soak values ($1, $2)", &values).await?;
            transaction.execute("delete from soak where client = $1", &[&(number as i32)]).await?;
            transaction.commit().await?;
        }
        3 => {
            let rows = client.simple_query("show work_mem").await?;
            let told = rows.iter().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => row.get(0),
                _ => None,
            });
            assert_eq!(told, Some(own), "another client's session");
        }
        4 => drop(client.simple_query("select repeat('x', 100000)").await?),
        5 => {
            let lock = format!("select pg_advisory_lock({number})");
            client.batch_execute(&lock).await?;
            client.batch_execute(&lock.replace("_lock", "_unlock")).await?;
        }
        6 => {
            let row = client.query_one(double, &[&(request as i64)]).await?;
            assert_eq!(row.get::<_, i64>(0), request as i64 * 2, "another client's statement");
        }
        7 => {
            let failed = client.simple_query("select 1 / 0").await;
            assert!(failed.is_err(), "another client's answer");
            expect(failed, &SqlState::DIVISION_BY_ZERO)?;
        }
        _ => drop(client.query("select g from generate_series(1, 100) g", &[]).await?),
    }
    Ok(())
}
