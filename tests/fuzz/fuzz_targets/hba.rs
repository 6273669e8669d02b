//! A `pg_hba.conf`, and visitors who come by it.
#![no_main]

use std::cell::Cell;
use std::io;
use std::path::{Path, PathBuf};

use libfuzzer_sys::fuzz_target;
use pgusher::hba::{Files, Net, Rules, Visit};

/// Every file is the same text, so that files include each other; a few times, since they multiply.
struct Mirror(String, Cell<u32>);

impl Files for Mirror {
    fn read(&self, _path: &Path) -> io::Result<String> {
        let left = self.1.get().checked_sub(1).ok_or(io::ErrorKind::NotFound)?;
        self.1.set(left);
        Ok(self.0.clone())
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<PathBuf>> {
        Ok(vec![folder.join("a.conf"), folder.join("b.conf")])
    }
}

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data).into_owned();
    let own: Vec<Net> = Net::new([10, 0, 0, 1].into(), 8).into_iter().collect();
    match Rules::load(Path::new("/etc/hba"), &Mirror(text, Cell::new(8)), &own) {
        Ok(rules) => {
            assert!(!rules.is_empty());
            for (address, user) in [(None, "a"), (Some([10, 1, 2, 3].into()), "b")] {
                for is_encrypted in [false, true] {
                    let visit =
                        Visit { address, is_encrypted, database: "a", user, is_replication: false };
                    let _ = rules.decide(&visit);
                }
            }
        }
        Err(mistakes) => assert!(!mistakes.is_empty()),
    }
});
