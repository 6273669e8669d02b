//! What an operator should know of settings that were accepted.

/// Gathered while a `pgbouncer.ini` is read.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// What is missing or different, with its place.
    pub(super) different: Vec<String>,
    /// Parameters that are set and have no meaning here, and why.
    pub(super) moot: Vec<(&'static str, &'static str)>,
    /// Parameters that do the same in another way, and how.
    pub(super) changed: Vec<(&'static str, &'static str)>,
}

impl Notes {
    /// For the log: what is missing, and what has no meaning in one line.
    pub(super) fn for_log(&self) -> Vec<String> {
        let mut lines = self.different.clone();
        if !self.moot.is_empty() {
            let names: Vec<_> = self.moot.iter().map(|(name, _)| *name).collect();
            lines.push(format!("accepted without effect: {}", names.join(", ")));
        }
        lines
    }

    /// For a report: everything, with the reasons.
    pub(super) fn for_report(&self) -> Vec<String> {
        let changed = self.changed.iter().map(|(name, how)| format!("`{name}`: {how}"));
        let moot = self.moot.iter().map(|(name, why)| format!("`{name}` has no effect: {why}"));
        self.different.iter().cloned().chain(changed).chain(moot).collect()
    }
}
