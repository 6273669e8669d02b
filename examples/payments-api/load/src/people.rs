//! Who the users are.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// A user of the service.
#[derive(Debug)]
pub struct Person {
    /// What opens the API.
    pub token: String,
    /// The number of the account.
    pub account: i64,
    /// The name the ledger is signed with.
    pub name: String,
    /// The number of the user.
    pub user: i64,
}

/// Reads `token;account;name;user` lines.
pub fn read(file: &Path) -> Result<Vec<Person>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let people = text.lines().map(person).collect::<Result<Vec<_>>>()?;
    ensure!(people.len() > 1, "a transfer takes two: {} has fewer", file.display());
    Ok(people)
}

fn person(line: &str) -> Result<Person> {
    let mut parts = line.split(';').map(str::to_owned);
    let mut next = || parts.next().with_context(|| format!("not a user: {line}"));
    Ok(Person { token: next()?, account: next()?.parse()?, name: next()?, user: next()?.parse()? })
}
