//! What the service has promised: a line for each transfer that it answered for, to be compared with the database.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result};

use crate::asks::Transfer;

/// A file of promises.
pub struct Journal(Mutex<BufWriter<File>>);

impl Journal {
    /// A new, empty one.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| path.display().to_string())?;
        Ok(Self(Mutex::new(BufWriter::new(file))))
    }

    /// Notes that `transfer` was done as number `id`.
    pub fn promised(&self, transfer: &Transfer, id: i64) {
        let Transfer { key, sender, recipient, amount, .. } = transfer;
        let mut file = self.0.lock().expect("nobody panics with it");
        writeln!(file, "{key};{sender};{recipient};{amount};{id}")
            .expect("the disk has room for the journal");
    }

    /// Sees to it that all is in the file.
    pub fn close(&self) -> Result<()> {
        Ok(self.0.lock().expect("nobody panics with it").flush()?)
    }
}
