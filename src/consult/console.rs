//! One command at the console.

use std::collections::BTreeMap;

use tokio_postgres::SimpleQueryMessage;

use crate::top::Target;

/// A row: what the columns that have a value say.
pub(super) type Row = BTreeMap<String, String>;

/// Gives a command; gives its rows. Asks for a password if one is needed and none is known.
pub(super) fn ask(mut target: Target, command: &str) -> Result<Vec<Row>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    target.config.application_name("pgusher advise");
    let answered = match runtime.block_on(converse(&target, command)) {
        Err(error) if why(&error).contains("password missing") => {
            let prompt = format!("Password for user {}: ", target.user());
            let password = rpassword::prompt_password(prompt)
                .map_err(|error| format!("no password: {error}; set PGPASSWORD"))?;
            target.config.password(password);
            runtime.block_on(converse(&target, command))
        }
        other => other,
    };
    answered.map_err(|error| format!("{}: {}", target.place(), why(&error)))
}

async fn converse(target: &Target, command: &str) -> Result<Vec<Row>, tokio_postgres::Error> {
    let (client, connection) = target.config.connect(target.tls.clone()).await?;
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

/// An error with its cause.
fn why(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}
