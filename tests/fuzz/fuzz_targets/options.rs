//! The `options` start-up parameter.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for (name, value) in pgusher::session::options::parse(data).unwrap_or_default() {
        assert!(name.len() + value.len() <= data.len());
        assert!(!name.contains(&b'='));
    }
});
