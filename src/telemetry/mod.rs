//! Logging: lines as text, JSON or in PgBouncer's way, to standard error or a file, with a level that can change while
//! running.

mod destination;
mod pgbouncer;
mod syslog;
mod wording;

use std::io;
use std::path::Path;

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::{LogFormat, Process};
use destination::Destination;

/// How logging begins.
#[derive(Clone, Copy, Debug)]
pub struct LogStart<'a> {
    /// The shape of lines.
    pub format: LogFormat,
    /// What is logged.
    pub level: &'a str,
    /// How often the command line asks for more than the configuration does.
    pub verbosity: u8,
    /// Where to, if not to standard error.
    pub file: Option<&'a Path>,
    /// Standard error hears it, too, when there is a file.
    pub both: bool,
    /// Standard error hears nothing.
    pub quiet: bool,
    /// Where syslog's settings are.
    pub process: &'a Process,
}

/// The way to change what is logged, and where to.
#[derive(Clone, Debug)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
    /// The command line's level, which no configuration changes.
    asked: Option<&'static str>,
    destination: Destination,
}

impl LogControl {
    /// Changes the level: a word such as `debug`, or a list such as `pgusher::pool=debug,info`.
    ///
    /// # Errors
    /// Text that is no filter.
    pub fn set_level(&self, level: &str) -> Result<(), String> {
        let level = self.asked.unwrap_or(level);
        self.filter.reload(filter(level)?).map_err(|error| error.to_string())
    }

    /// The last lines of the log that came after so many, and how many there have been.
    pub fn tail(&self, after: u64) -> (Vec<String>, u64) {
        self.destination.tail(after)
    }

    /// Logs to syslog as the settings say.
    ///
    /// # Errors
    /// It cannot be reached; then nothing is logged there.
    pub fn set_syslog(&self, process: &Process) -> io::Result<()> {
        self.destination.set_syslog(process)
    }

    /// Opens the log's file, be it another or the same one anew.
    ///
    /// # Errors
    /// It cannot be opened; then the log stays where it is.
    pub fn set_file(&self, file: Option<&Path>) -> io::Result<()> {
        self.destination.set_file(file)
    }
}

fn filter(level: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(level).map_err(|error| format!("log_level {level:?}: {error}"))
}

/// Starts logging.
///
/// # Errors
/// The level is no filter, the file cannot be opened, or logging has been started before.
pub fn start(start: LogStart<'_>) -> Result<LogControl, String> {
    let destination = Destination::open(start.file, start.both, start.quiet).map_err(|error| {
        let name = start.file.unwrap_or(Path::new("")).display();
        format!("cannot open logfile {name}: {error}")
    })?;
    if let Err(error) = destination.set_syslog(start.process) {
        return Err(format!("syslog cannot be reached: {error}"));
    }
    let asked = match start.verbosity {
        0 => None,
        1 => Some("debug"),
        _ => Some("trace"),
    };
    let (filter, handle) = reload::Layer::new(filter(asked.unwrap_or(start.level))?);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(destination.clone());
    let started = match start.format {
        LogFormat::Text => {
            use std::io::IsTerminal;
            let colours = start.file.is_none() && io::stderr().is_terminal();
            registry.with(lines.with_ansi(colours)).try_init()
        }
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
        LogFormat::PgBouncer => {
            registry.with(lines.with_ansi(false).event_format(pgbouncer::Lines)).try_init()
        }
    };
    started.map_err(|error| error.to_string())?;
    Ok(LogControl { filter: handle, asked, destination })
}
