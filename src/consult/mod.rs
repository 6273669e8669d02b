//! `pgusher advise`: asks the console of a running pgusher what size its pools should have, and prints the answer.

mod console;
mod page;

use crate::top::{Address, Target};
use page::Pools;

/// What is to be asked.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// Where.
    pub address: Address,
    /// Of which database; `None` for all.
    pub database: Option<String>,
    /// For a script.
    pub json: bool,
}

/// Asks; gives what is to be printed.
///
/// # Errors
/// The console cannot be reached, or does not answer.
pub fn advise(question: &Question) -> Result<String, String> {
    let of_one = |name: &String| format!("SHOW ADVICE \"{}\"", name.replace('"', "\"\""));
    let command = question.database.as_ref().map_or_else(|| "SHOW ADVICE".to_owned(), of_one);
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let target = Target::find(&question.address, &env)?;
    let pools = Pools::new(&console::ask(target, &command)?);
    Ok(if question.json { pools.json() } else { pools.text() })
}
