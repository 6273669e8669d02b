//! Messages of clients, whole and in part.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pgusher::wire::frame::header;
use pgusher::wire::frontend::{BindNames, BindValues, Parse, Target, read_password, read_sasl_initial};

fuzz_target!(|data: &[u8]| {
    let Ok(Some(header)) = header(data) else { return };
    assert!(header.size >= 5, "a message is at least its header");
    let visible = data.get(..header.size).unwrap_or(data);
    if let Some(names) = BindNames::read(visible) {
        let end = names.statement_at + names.statement.len();
        assert_eq!(visible.get(names.statement_at..end), Some(names.statement));
    }
    if visible.len() == header.size {
        if let Some(values) = BindValues::read(visible) {
            assert_eq!(values.get(0), None, "parameters are counted from 1");
        }
        let _ = Parse::read(visible);
        let _ = Target::read(visible);
        let _ = read_password(visible);
        let _ = read_sasl_initial(visible);
    }
});
