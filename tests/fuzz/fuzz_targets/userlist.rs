//! A file of users and their secrets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgusher::auth::{StoredSecret, Userlist};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    match Userlist::parse(&text) {
        Ok(list) => assert!(list.len() <= text.lines().count()),
        Err(mistakes) => assert!(!mistakes.is_empty()),
    }
    let _ = StoredSecret::parse(&text).kind();
});
