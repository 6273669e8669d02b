//! The options of LDAP.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgusher::hba::LdapOptions;

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    match LdapOptions::parse(&text) {
        Ok(options) => assert!(!options.servers.is_empty()),
        Err(mistakes) => assert!(!mistakes.is_empty()),
    }
});
