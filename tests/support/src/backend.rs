//! Messages that servers send, as bytes.

use crate::encode::Body;
use crate::error_fields::ErrorFields;

/// Any message: a tag and a body of the caller's making.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    Body::default().bytes(body).tagged(tag)
}

/// AuthenticationOk.
pub fn authentication_ok() -> Vec<u8> {
    Body::default().int32(0).tagged(b'R')
}

/// AuthenticationCleartextPassword.
pub fn authentication_cleartext() -> Vec<u8> {
    Body::default().int32(3).tagged(b'R')
}

/// AuthenticationMD5Password.
pub fn authentication_md5(salt: [u8; 4]) -> Vec<u8> {
    Body::default().int32(5).bytes(&salt).tagged(b'R')
}

/// AuthenticationSASL.
pub fn authentication_sasl(mechanisms: &[&str]) -> Vec<u8> {
    mechanisms
        .iter()
        .fold(Body::default().int32(10), |body, name| body.cstr(name))
        .byte(0)
        .tagged(b'R')
}

/// ParameterStatus.
pub fn parameter_status(name: &str, value: &str) -> Vec<u8> {
    Body::default().cstr(name).cstr(value).tagged(b'S')
}

/// BackendKeyData with a key of any length.
pub fn backend_key_data(pid: u32, key: &[u8]) -> Vec<u8> {
    Body::default().uint32(pid).bytes(key).tagged(b'K')
}

/// NegotiateProtocolVersion.
pub fn negotiate_protocol_version(minor: u32, unknown_options: &[&str]) -> Vec<u8> {
    let count = u32::try_from(unknown_options.len()).expect("few options");
    let body = Body::default().uint32(minor).uint32(count);
    unknown_options.iter().fold(body, |body, name| body.cstr(name)).tagged(b'v')
}

/// ReadyForQuery; `status` is `b'I'`, `b'T'` or `b'E'`.
pub fn ready_for_query(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

/// RowDescription of text columns.
pub fn row_description(columns: &[&str]) -> Vec<u8> {
    Body::default()
        .list(columns, |body, name| {
            body.cstr(name).int32(0).int16(0).uint32(25).int16(-1).int32(-1).int16(0)
        })
        .tagged(b'T')
}

/// DataRow.
pub fn data_row(values: &[Option<&str>]) -> Vec<u8> {
    Body::default().list(values, |body, value| body.value(value.map(str::as_bytes))).tagged(b'D')
}

/// CommandComplete.
pub fn command_complete(tag: &str) -> Vec<u8> {
    Body::default().cstr(tag).tagged(b'C')
}

/// EmptyQueryResponse.
pub fn empty_query() -> Vec<u8> {
    message(b'I', &[])
}

/// ErrorResponse.
pub fn error_response(fields: &ErrorFields) -> Vec<u8> {
    fields.encode(b'E')
}

/// NoticeResponse.
pub fn notice_response(fields: &ErrorFields) -> Vec<u8> {
    fields.encode(b'N')
}

/// NotificationResponse.
pub fn notification(pid: u32, channel: &str, payload: &str) -> Vec<u8> {
    Body::default().uint32(pid).cstr(channel).cstr(payload).tagged(b'A')
}

/// ParseComplete.
pub fn parse_complete() -> Vec<u8> {
    message(b'1', &[])
}

/// BindComplete.
pub fn bind_complete() -> Vec<u8> {
    message(b'2', &[])
}

/// CloseComplete.
pub fn close_complete() -> Vec<u8> {
    message(b'3', &[])
}

/// NoData.
pub fn no_data() -> Vec<u8> {
    message(b'n', &[])
}

/// PortalSuspended.
pub fn portal_suspended() -> Vec<u8> {
    message(b's', &[])
}

/// ParameterDescription.
pub fn parameter_description(types: &[u32]) -> Vec<u8> {
    Body::default().list(types, |body, oid| body.uint32(*oid)).tagged(b't')
}

/// CopyInResponse, CopyOutResponse or CopyBothResponse (`b'G'`, `b'H'`, `b'W'`) of text columns.
pub fn copy_response(tag: u8, columns: usize) -> Vec<u8> {
    Body::default().byte(0).list(&vec![0; columns], |body, format| body.int16(*format)).tagged(tag)
}

/// CopyData.
pub fn copy_data(data: &[u8]) -> Vec<u8> {
    message(b'd', data)
}

/// CopyDone.
pub fn copy_done() -> Vec<u8> {
    message(b'c', &[])
}
