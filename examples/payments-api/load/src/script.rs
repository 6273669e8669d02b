//! The recorded SQL of each kind of request.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

/// What was recorded.
#[derive(Debug, Deserialize)]
pub struct Recorded {
    /// The requests.
    pub kinds: Script,
    /// The accounts that collect fees.
    pub houses: Vec<i64>,
}

/// The statements of a kind of request, by its name.
pub type Script = BTreeMap<String, Vec<Step>>;

/// A statement.
#[derive(Debug, Deserialize)]
pub struct Step {
    /// Its text, with `$1` and so on where it has parameters.
    pub sql: String,
    /// The values of its parameters.
    #[serde(default)]
    pub values: Vec<Value>,
    /// Whether its rows begin with the numbers of transfers, which later statements need.
    #[serde(default)]
    pub gives_transfers: bool,
}

/// A parameter's value.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Value {
    /// Always the same.
    Text(String),
    /// NULL.
    Null,
    /// What depends on who asks for what, by its name.
    Known(Known),
    /// So many times the amount and so many times the fee.
    Money(i64, i64),
    /// The number of the transfer that an earlier statement gave in this place.
    Transfer(usize),
}

/// What a request is about: who asks, where money goes, which house account collects the fee.
#[derive(Debug, Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
pub enum Known {
    Token,
    Name,
    User,
    Account,
    Recipient,
    RecipientUser,
    House,
    Key,
}

/// Reads a script that was recorded.
pub fn read(file: &Path) -> Result<Recorded> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    serde_json::from_str(&text).with_context(|| file.display().to_string())
}
