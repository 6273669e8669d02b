//! From a path to a checked configuration.

use std::path::{Path, PathBuf};

use super::env::Lookup;
use super::files::Raw;
use super::mistake::{Mistakes, Report};
use super::resolved::Config;
use super::{files, ini, read};

/// A configuration and where it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The files that were read, to be watched for changes: the main one, what it includes, and every
    /// `password_file`. The `auth_file` is not among them: whoever parses it watches it.
    pub files: Vec<PathBuf>,
    /// What the operator should know: settings of a `pgbouncer.ini` that have no effect here, or another one.
    pub notes: Vec<String>,
}

/// Reads a configuration with everything it includes.
///
/// # Errors
///
/// Every mistake in every file, each with its place.
pub fn load(path: &Path) -> Result<Loaded, Mistakes> {
    load_with(path, &|name| std::env::var_os(name))
}

/// [`load`] with its own environment.
pub(super) fn load_with(path: &Path, env: &Lookup<'_>) -> Result<Loaded, Mistakes> {
    let mut report = Report::default();
    let raw = gather(path, env, &mut report);
    let notes = raw.notes.for_log();
    let (config, files) = read::resolve(raw, &mut report);
    report.finish()?;
    Ok(Loaded { config, files, notes })
}

/// The sections of a `pool.toml` or of a `pgbouncer.ini`.
fn gather(path: &Path, env: &Lookup<'_>, report: &mut Report) -> Raw {
    if ini::is_ini(path) { ini::gather(path, report) } else { files::gather(path, env, report) }
}
