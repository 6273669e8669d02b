//! Messages of servers, whole and in part.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgusher::wire::ErrorFields;
use pgusher::wire::backend::{
    AuthRequest, command_tag, read_key_data, read_parameter_status, ready_status,
};
use pgusher::wire::frame::header;
use pgusher::wire::notice::sqlstate;

fuzz_target!(|data: &[u8]| {
    let Ok(Some(header)) = header(data) else { return };
    let visible = data.get(..header.size).unwrap_or(data);
    let _ = sqlstate(visible);
    let fields = ErrorFields::read(visible);
    let mut again = Vec::new();
    fields.put_error(&mut again);
    // What was read once is written and read the same for ever.
    let read = ErrorFields::read(&again);
    assert_eq!(read.is_fatal(), fields.is_fatal());
    assert_eq!(read.message, fields.message);
    let _ = AuthRequest::read(visible);
    let _ = read_parameter_status(visible);
    let _ = read_key_data(visible);
    let _ = ready_status(visible);
    let _ = command_tag(visible);
});
