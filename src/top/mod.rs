//! `pgusher top`: the console as a live view on a terminal, or as one table or JSON for scripts.
//!
//! It is a client like any other: it asks the console's tables and works rates out of two looks, so it runs on another
//! machine as well. `state` and `draw` are pure; `screen` holds the terminal.

mod console;
mod draw;
mod grid;
mod once;
mod pgpass;
mod room;
mod screen;
mod state;
mod target;
mod words;

use std::io::IsTerminal;
use std::time::Duration;

use console::{Console, Refused};
use draw::Theme;
use state::State;
pub use target::{Address, Target};

/// What to show.
#[derive(Clone, Debug)]
pub struct Request {
    /// Where the console is.
    pub address: Address,
    /// Between two looks.
    pub interval: Duration,
    /// Only what concerns this database.
    pub database: Option<String>,
    /// Print one look, and be done.
    pub once: bool,
    /// Print it as JSON.
    pub json: bool,
}

/// Shows what is asked for; live until somebody leaves.
///
/// # Errors
/// The console cannot be reached or does not answer, or there is no terminal.
pub fn run(request: &Request) -> Result<(), String> {
    if !request.once && !std::io::stdout().is_terminal() {
        return Err("standard output is no terminal: say --once for one look".to_owned());
    }
    let env = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    let mut target = Target::find(&request.address, &env)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start threads: {error}"))?;
    let shown = runtime.block_on(async {
        let console = open(&mut target).await?;
        if request.once {
            return print(&console, request).await;
        }
        let theme = Theme { colours: env("NO_COLOR").is_none() };
        let state = State::new(target.place(), request.interval, request.database.clone());
        screen::show(target, console, state, theme).await
    });
    runtime.shutdown_background();
    shown
}

/// Logs in; asks for a password if one is needed and none is known.
async fn open(target: &mut Target) -> Result<Console, String> {
    let opened = match Console::open(target).await {
        Err(Refused::Password) => {
            let prompt = format!("Password for user {}: ", target.user());
            let password = rpassword::prompt_password(prompt)
                .map_err(|error| format!("no password: {error}; set PGPASSWORD"))?;
            target.config.password(password);
            Console::open(target).await
        }
        other => other,
    };
    opened.map_err(|why| format!("{}: {why}", target.place()))
}

/// Prints one look, with the rates of one interval.
async fn print(console: &Console, request: &Request) -> Result<(), String> {
    let look = async || {
        let mut look = console.look().await.map_err(|why| why.to_string())?;
        if let Some(database) = &request.database {
            look.only(database);
        }
        Ok::<_, String>(look)
    };
    let before = look().await?;
    tokio::time::sleep(request.interval).await;
    let now = look().await?;
    match request.json {
        true => println!("{:#}", now.json(Some(&before))),
        false => print!("{}", once::table(&now, &before)),
    }
    Ok(())
}
