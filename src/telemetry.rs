//! Logging: lines on standard error, as text or JSON, with a level that can change while running.

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Registry, fmt, reload};

use crate::config::LogFormat;

/// The way to change what is logged.
#[derive(Clone, Debug)]
pub struct LogControl(reload::Handle<EnvFilter, Registry>);

impl LogControl {
    /// Changes the level: a word such as `debug`, or a list such as `pgusher::pool=debug,info`.
    ///
    /// # Errors
    /// Text that is no filter.
    pub fn set_level(&self, level: &str) -> Result<(), String> {
        let filter =
            EnvFilter::try_new(level).map_err(|error| format!("log_level {level:?}: {error}"))?;
        self.0.reload(filter).map_err(|error| error.to_string())
    }
}

/// Starts logging.
///
/// # Errors
/// `level` is no filter, or logging has been started before.
pub fn start(format: LogFormat, level: &str) -> Result<LogControl, String> {
    let filter =
        EnvFilter::try_new(level).map_err(|error| format!("log_level {level:?}: {error}"))?;
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter);
    let lines = fmt::layer().with_writer(std::io::stderr);
    let started = match format {
        LogFormat::Text => {
            use std::io::IsTerminal;
            registry.with(lines.with_ansi(std::io::stderr().is_terminal())).try_init()
        }
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    started.map_err(|error| error.to_string())?;
    Ok(LogControl(handle))
}
