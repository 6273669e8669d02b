//! A configuration file.
#![no_main]

use libfuzzer_sys::fuzz_target;

thread_local! {
    static FOLDER: tempfile::TempDir = tempfile::tempdir().expect("a folder");
}

fuzz_target!(|data: &[u8]| {
    FOLDER.with(|folder| {
        let path = folder.path().join("pool.toml");
        std::fs::write(&path, data).expect("write");
        if let Err(mistakes) = pgusher::config::load(&path) {
            assert!(!mistakes.to_string().is_empty(), "a refusal without a reason");
        }
    });
});
