//! The first packet of a connection.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgusher::wire::startup::{Packet, packet_size, read};

fuzz_target!(|data: &[u8]| {
    let Ok(Some(size)) = packet_size(data) else { return };
    let Some(packet) = data.get(..size) else { return };
    if let Ok(Packet::Startup(startup)) = read(packet) {
        let _ = (startup.get("user"), startup.get("options"));
    }
});
