//! A `pg_ident.conf`, and names that are mapped by it.
#![no_main]

use std::io;
use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use pgusher::hba::{Files, IdentMaps};

/// The one file there is.
struct Single(String);

impl Files for Single {
    fn read(&self, path: &Path) -> io::Result<String> {
        if path == Path::new("/ident") {
            Ok(self.0.clone())
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }

    fn list(&self, _folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(Vec::new())
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data).into_owned();
    match IdentMaps::load(Path::new("/ident"), &Single(text)) {
        Ok(maps) => {
            for (system, user) in [("a", "a"), ("ann@example.net", "ann"), ("", "")] {
                let _ = maps.allows(Some("m"), system, user);
            }
        }
        Err(mistakes) => assert!(!mistakes.is_empty()),
    }
});
