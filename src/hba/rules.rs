//! A whole `pg_hba.conf`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::address::Net;
use super::demand::Demand;
use super::ident::IdentMaps;
use super::rule::{Rule, Visit};
use super::source::{Files, Source};
use crate::config::Mistake;

/// The lines of a `pg_hba.conf`, those of the files it includes among them.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    rules: Vec<Rule>,
    files: Vec<PathBuf>,
}

impl Rules {
    /// Reads a file. `own`: the networks this machine is in.
    ///
    /// # Errors
    /// Every mistake in it and in what it includes.
    pub fn load(path: &Path, files: &dyn Files, own: &[Net]) -> Result<Self, Vec<Mistake>> {
        let source = Source::gather(path, files);
        let (mut rules, mut mistakes) = (Vec::new(), source.mistakes);
        for line in source.lines {
            match Rule::read(line, own) {
                Ok(rule) => rules.push(rule),
                Err(wrong) => mistakes.extend(wrong),
            }
        }
        if rules.is_empty() && mistakes.is_empty() {
            mistakes.push(Mistake {
                file: path.to_owned(),
                line: 0,
                column: 0,
                message: "it has no line, so nobody could log in".into(),
                help: None,
            });
        }
        if mistakes.is_empty() { Ok(Rules { rules, files: source.seen }) } else { Err(mistakes) }
    }

    /// What the first line that fits demands; `None` when no line fits.
    pub fn decide(&self, visit: &Visit<'_>) -> Option<&Demand> {
        self.rules.iter().find(|rule| rule.fits(visit)).map(|rule| &rule.demand)
    }

    /// Lines that name a map which is not there.
    pub fn check_maps(&self, maps: &IdentMaps) -> Vec<Mistake> {
        let unknown = |rule: &Rule| {
            let map: &Arc<str> = rule.demand.map.as_ref()?;
            let token = rule.line.fields.iter().flatten().find(|t| t.text.starts_with("map="));
            let column = token.map_or(1, |token| token.column);
            let message = format!("there is no map \"{map}\" in `auth_ident_file`");
            (!maps.has(map)).then(|| rule.line.mistake(column, message))
        };
        self.rules.iter().filter_map(unknown).collect()
    }

    /// The files that were read.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// How many lines there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}
