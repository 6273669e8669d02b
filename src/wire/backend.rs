//! Views into the server's messages, and the messages pgusher sends to clients.

use bytes::BytesMut;
use pgwire::messages::data::{
    DataRow, FieldDescription, NoData, ParameterDescription, RowDescription,
};
use pgwire::messages::response::CommandComplete;
use pgwire::messages::startup::NegotiateProtocolVersion;

use super::column::Column;
use super::frame::{self, FrameError, HEADER};
use super::notice::put_message;
use super::read::Reader;
use super::tag::backend as tag;
use crate::types::TransactionStatus;

/// Type OID of `void`.
const VOID: u32 = 2278;

/// AuthenticationOk.
pub const AUTH_OK: [u8; 9] = [tag::AUTHENTICATION, 0, 0, 0, 8, 0, 0, 0, 0];
/// ParseComplete.
pub const PARSE_COMPLETE: [u8; 5] = [tag::PARSE_COMPLETE, 0, 0, 0, 4];
/// BindComplete.
pub const BIND_COMPLETE: [u8; 5] = [tag::BIND_COMPLETE, 0, 0, 0, 4];
/// CloseComplete.
pub const CLOSE_COMPLETE: [u8; 5] = [tag::CLOSE_COMPLETE, 0, 0, 0, 4];
/// EmptyQueryResponse.
pub const EMPTY_QUERY_RESPONSE: [u8; 5] = [tag::EMPTY_QUERY_RESPONSE, 0, 0, 0, 4];
/// PortalSuspended.
pub const PORTAL_SUSPENDED: [u8; 5] = [tag::PORTAL_SUSPENDED, 0, 0, 0, 4];
/// ReadyForQuery outside a transaction block.
pub const READY_IDLE: [u8; 6] = [tag::READY_FOR_QUERY, 0, 0, 0, 5, b'I'];

/// ReadyForQuery.
pub fn ready(status: TransactionStatus) -> [u8; 6] {
    let byte = match status {
        TransactionStatus::Idle => b'I',
        TransactionStatus::InTransaction => b'T',
        TransactionStatus::Failed => b'E',
    };
    [tag::READY_FOR_QUERY, 0, 0, 0, 5, byte]
}

/// What a server asks for or says during the login (messages of type `R`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthRequest<'a> {
    /// Code 0.
    Ok,
    /// Code 3.
    Cleartext,
    /// Code 5, with its salt.
    Md5([u8; 4]),
    /// Code 10, with the NUL-separated mechanisms.
    Sasl(&'a [u8]),
    /// Code 11.
    SaslContinue(&'a [u8]),
    /// Code 12.
    SaslFinal(&'a [u8]),
    /// Anything else.
    Other(u32),
}

impl<'a> AuthRequest<'a> {
    /// Reads a whole message.
    ///
    /// # Errors
    /// A body too short for its code.
    pub fn read(message: &'a [u8]) -> Result<Self, FrameError> {
        let mut body = Reader(message.get(HEADER..).unwrap_or_default());
        let view = (|| {
            Some(match body.u32()? {
                0 => AuthRequest::Ok,
                3 => AuthRequest::Cleartext,
                5 => AuthRequest::Md5(*body.0.first_chunk()?),
                10 => AuthRequest::Sasl(body.0),
                11 => AuthRequest::SaslContinue(body.0),
                12 => AuthRequest::SaslFinal(body.0),
                other => AuthRequest::Other(other),
            })
        })();
        view.ok_or(FrameError::Malformed { tag: tag::AUTHENTICATION })
    }
}

/// Name and value of a ParameterStatus.
///
/// # Errors
/// Missing NULs.
pub fn read_parameter_status(message: &[u8]) -> Result<(&[u8], &[u8]), FrameError> {
    let mut body = Reader(message.get(HEADER..).unwrap_or_default());
    let view = (|| Some((body.cstr()?, body.cstr()?)))();
    view.ok_or(FrameError::Malformed { tag: tag::PARAMETER_STATUS })
}

/// Process id and secret key of a BackendKeyData.
///
/// # Errors
/// A key shorter than 4 or longer than 256 bytes.
pub fn read_key_data(message: &[u8]) -> Result<(u32, &[u8]), FrameError> {
    let mut body = Reader(message.get(HEADER..).unwrap_or_default());
    let malformed = FrameError::Malformed { tag: tag::BACKEND_KEY_DATA };
    let pid = body.u32().ok_or(malformed)?;
    if (4..=super::startup::MAX_CANCEL_KEY).contains(&body.0.len()) {
        Ok((pid, body.0))
    } else {
        Err(malformed)
    }
}

/// The status byte of a ReadyForQuery.
pub fn ready_status(message: &[u8]) -> Option<TransactionStatus> {
    TransactionStatus::from_byte(*message.get(HEADER)?)
}

/// The channel of a NotificationResponse.
pub fn notification_channel(message: &[u8]) -> Option<&[u8]> {
    let mut body = Reader(message.get(HEADER..)?);
    body.u32()?;
    body.cstr()
}

/// The tag of a CommandComplete.
pub fn command_tag(message: &[u8]) -> &[u8] {
    Reader(message.get(HEADER..).unwrap_or_default()).cstr().unwrap_or_default()
}

/// AuthenticationCleartextPassword.
pub fn put_auth_cleartext(out: &mut Vec<u8>) {
    put_auth(out, 3, &[]);
}

/// AuthenticationMD5Password.
pub fn put_auth_md5(out: &mut Vec<u8>, salt: [u8; 4]) {
    put_auth(out, 5, &salt);
}

/// AuthenticationSASL with the mechanisms on offer.
pub fn put_auth_sasl(out: &mut Vec<u8>, mechanisms: &[&str]) {
    let mut names = Vec::new();
    mechanisms.iter().for_each(|name| frame::put_cstr(&mut names, name.as_bytes()));
    names.push(0);
    put_auth(out, 10, &names);
}

/// AuthenticationSASLContinue.
pub fn put_auth_sasl_continue(out: &mut Vec<u8>, data: &[u8]) {
    put_auth(out, 11, data);
}

/// AuthenticationSASLFinal.
pub fn put_auth_sasl_final(out: &mut Vec<u8>, data: &[u8]) {
    put_auth(out, 12, data);
}

fn put_auth(out: &mut Vec<u8>, code: u32, data: &[u8]) {
    frame::put(out, tag::AUTHENTICATION, |body| {
        body.extend_from_slice(&code.to_be_bytes());
        body.extend_from_slice(data);
    });
}

/// NegotiateProtocolVersion: the newest minor version spoken here, and the `_pq_.` options not known here.
pub fn put_negotiate(out: &mut Vec<u8>, newest_minor: u16, unknown: Vec<String>) {
    // The field is the full version number, as PostgreSQL sends it and libpq reads it.
    let version = (3 << 16) | i32::from(newest_minor);
    put_message(out, NegotiateProtocolVersion::new(version, unknown));
}

/// BackendKeyData.
pub fn put_key_data(out: &mut Vec<u8>, pid: u32, key: &[u8]) {
    frame::put(out, tag::BACKEND_KEY_DATA, |body| {
        body.extend_from_slice(&pid.to_be_bytes());
        body.extend_from_slice(key);
    });
}

/// ParameterStatus.
pub fn put_parameter_status(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    frame::put(out, tag::PARAMETER_STATUS, |body| {
        frame::put_cstr(body, name);
        frame::put_cstr(body, value);
    });
}

/// The values of a DataRow, `None` for NULL.
///
/// # Errors
/// The values do not fill the message exactly.
pub fn read_data_row(message: &[u8]) -> Result<Vec<Option<&[u8]>>, FrameError> {
    let mut body = Reader(message.get(HEADER..).unwrap_or_default());
    let values = (0..body.u16().unwrap_or_default()).map(|_| match body.u32()? {
        u32::MAX => Some(None),
        length => body.take(length as usize).map(Some),
    });
    let values = values.collect::<Option<Vec<_>>>().filter(|_| message.len() > HEADER);
    values.filter(|_| body.0.is_empty()).ok_or(FrameError::Malformed { tag: tag::DATA_ROW })
}

/// The columns of a RowDescription, as far as it goes: name, and type with its modifier.
pub fn read_row_description(message: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    // Its table's OID and number of a column; its format.
    const ORIGIN: usize = 6;
    const FORMAT: usize = 2;
    let mut body = Reader(message.get(HEADER..).unwrap_or_default());
    let count = body.u16().unwrap_or_default();
    (0..count).map_while(move |_| {
        let name = body.cstr()?;
        body.take(ORIGIN)?;
        let kind = body.take(4 + 2 + 4)?;
        body.take(FORMAT)?;
        Some((name, kind))
    })
}

/// CommandComplete.
pub fn put_command_complete(out: &mut Vec<u8>, tag: &str) {
    put_message(out, CommandComplete::new(tag.to_owned()));
}

/// RowDescription. `is_binary` says which columns come in binary format.
pub fn put_row_description(
    out: &mut Vec<u8>,
    columns: &[Column],
    is_binary: impl Fn(usize) -> bool,
) {
    let fields = columns
        .iter()
        .enumerate()
        .map(|(at, column)| {
            let (oid, size) = column.kind.describe();
            let format = i16::from(is_binary(at));
            FieldDescription::new(column.name.to_owned(), 0, 0, oid, size, -1, format)
        })
        .collect();
    put_message(out, RowDescription::new(fields));
}

/// RowDescription of one column of type `void`, as a function's result is described.
pub fn put_void_description(out: &mut Vec<u8>, name: &str) {
    let field = FieldDescription::new(name.to_owned(), 0, 0, VOID, 4, -1, 0);
    put_message(out, RowDescription::new(vec![field]));
}

/// DataRow; `None` is NULL.
pub fn put_data_row<V: AsRef<[u8]>>(
    out: &mut Vec<u8>,
    values: impl IntoIterator<Item = Option<V>>,
) {
    let mut data = BytesMut::new();
    let mut count = 0;
    for value in values {
        count += 1;
        match value {
            None => data.extend_from_slice(&(-1_i32).to_be_bytes()),
            Some(value) => {
                let bytes = value.as_ref();
                let length = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
                data.extend_from_slice(&length.to_be_bytes());
                data.extend_from_slice(bytes);
            }
        }
    }
    put_message(out, DataRow::new(data, count));
}

/// ParameterDescription without parameters.
pub fn put_no_parameters(out: &mut Vec<u8>) {
    put_message(out, ParameterDescription::new(Vec::new()));
}

/// NoData.
pub fn put_no_data(out: &mut Vec<u8>) {
    put_message(out, NoData::new());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_or_refused() {
        let row = |body: &[u8]| {
            let mut message = Vec::new();
            frame::put(&mut message, b'D', |out| out.extend_from_slice(body));
            message
        };
        let whole = row(b"\0\x02\0\0\0\x01a\xff\xff\xff\xff");
        assert_eq!(read_data_row(&whole), Ok(vec![Some(&b"a"[..]), None]));
        for broken in
            [&b""[..], b"\0", b"\0\x01", b"\0\x01\0\0\0\x02a", b"\0\0x", b"\0\x01\x7f\xff\xff\xff"]
        {
            assert!(read_data_row(&row(broken)).is_err(), "{broken:?}");
        }
    }

    #[test]
    fn requests_for_a_proof_are_read_as_they_were_meant() {
        let put = |put: &dyn Fn(&mut Vec<u8>)| {
            let mut message = Vec::new();
            put(&mut message);
            message
        };
        for (message, expected) in [
            (AUTH_OK.to_vec(), AuthRequest::Ok),
            (put(&put_auth_cleartext), AuthRequest::Cleartext),
            (put(&|out| put_auth_md5(out, *b"salt")), AuthRequest::Md5(*b"salt")),
            (put(&|out| put_auth_sasl(out, &["A", "B"])), AuthRequest::Sasl(b"A\0B\0\0")),
            (put(&|out| put_auth_sasl_continue(out, b"x")), AuthRequest::SaslContinue(b"x")),
            (put(&|out| put_auth_sasl_final(out, b"y")), AuthRequest::SaslFinal(b"y")),
        ] {
            let header = frame::header(&message);
            assert!(matches!(header, Ok(Some(header)) if header.size == message.len()));
            assert_eq!(AuthRequest::read(&message), Ok(expected));
        }
    }
}
