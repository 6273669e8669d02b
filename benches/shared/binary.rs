//! Which pgusher is measured.

use std::path::PathBuf;

/// Names another pgusher than the one that was built with the bench, such as one that `make release` has made.
const OTHER: &str = "PGUSHER_BINARY";

/// The pgusher to start; panics when another one is named and is not there.
pub(crate) fn binary() -> PathBuf {
    match std::env::var_os(OTHER) {
        None => env!("CARGO_BIN_EXE_pgusher").into(),
        Some(named) => PathBuf::from(&named)
            .canonicalize()
            .unwrap_or_else(|error| panic!("{OTHER}={}: {error}", named.display())),
    }
}
