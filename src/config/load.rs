//! From a path to a checked configuration.

use std::path::{Path, PathBuf};

use super::env::Lookup;
use super::files::Raw;
use super::live::Origin;
use super::mistake::{Mistakes, Report};
use super::resolved::Config;
use super::{files, ini, ini_sections, read, whence};

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
    /// What SET starts from.
    pub origin: Origin,
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
    let (raw, ini) = gather(path, env, &mut report);
    let notes = raw.notes.for_log();
    let written = whence::written(&raw, &report);
    let (config, files) = read::resolve(raw, &mut report);
    report.finish()?;
    let origin = ini.unwrap_or_else(|| Origin::toml(&config, written));
    Ok(Loaded { config, files, notes, origin })
}

/// The sections of a `pool.toml` or of a `pgbouncer.ini`, with its origin.
fn gather(path: &Path, env: &Lookup<'_>, report: &mut Report) -> (Raw, Option<Origin>) {
    if !ini::is_ini(path) {
        return (files::gather(path, env, report), None);
    }
    let sections = ini_sections::gather(path, report);
    let origin = Origin::ini(path, sections.clone());
    (ini::convert(sections, report), Some(origin))
}
