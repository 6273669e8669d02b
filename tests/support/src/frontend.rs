//! Messages that clients send, as bytes.

use crate::encode::Body;

/// Any message: a tag and a body of the caller's making.
pub fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    Body::default().bytes(body).tagged(tag)
}

/// StartupMessage of protocol 3.`minor`.
pub fn startup(minor: u16, params: &[(&str, &str)]) -> Vec<u8> {
    let version = (3 << 16) | u32::from(minor);
    let body = Body::default().uint32(version);
    params.iter().fold(body, |body, (name, value)| body.cstr(name).cstr(value)).byte(0).untagged()
}

/// CancelRequest with a key of any length.
pub fn cancel_request(pid: u32, key: &[u8]) -> Vec<u8> {
    Body::default().uint32(80_877_102).uint32(pid).bytes(key).untagged()
}

/// SSLRequest.
pub fn ssl_request() -> Vec<u8> {
    Body::default().uint32(80_877_103).untagged()
}

/// GSSENCRequest.
pub fn gss_request() -> Vec<u8> {
    Body::default().uint32(80_877_104).untagged()
}

/// PasswordMessage.
pub fn password(text: &str) -> Vec<u8> {
    Body::default().cstr(text).tagged(b'p')
}

/// SASLInitialResponse.
pub fn sasl_initial(mechanism: &str, response: &[u8]) -> Vec<u8> {
    Body::default().cstr(mechanism).value(Some(response)).tagged(b'p')
}

/// SASLResponse.
pub fn sasl_response(response: &[u8]) -> Vec<u8> {
    message(b'p', response)
}

/// Query, the simple kind.
pub fn query(sql: &str) -> Vec<u8> {
    Body::default().cstr(sql).tagged(b'Q')
}

/// Parse.
pub fn parse(statement: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    Body::default()
        .cstr(statement)
        .cstr(sql)
        .list(types, |body, oid| body.uint32(*oid))
        .tagged(b'P')
}

/// Bind with parameters and results as text.
pub fn bind(portal: &str, statement: &str, params: &[Option<&str>]) -> Vec<u8> {
    let params: Vec<_> = params.iter().map(|param| param.map(str::as_bytes)).collect();
    bind_formats(portal, statement, &[], &params, &[])
}

/// Bind with format codes (0 text, 1 binary) for parameters and results.
pub fn bind_formats(
    portal: &str,
    statement: &str,
    param_formats: &[i16],
    params: &[Option<&[u8]>],
    result_formats: &[i16],
) -> Vec<u8> {
    Body::default()
        .cstr(portal)
        .cstr(statement)
        .list(param_formats, |body, format| body.int16(*format))
        .list(params, |body, param| body.value(*param))
        .list(result_formats, |body, format| body.int16(*format))
        .tagged(b'B')
}

/// Describe; `kind` is `b'S'` for a statement, `b'P'` for a portal.
pub fn describe(kind: u8, name: &str) -> Vec<u8> {
    Body::default().byte(kind).cstr(name).tagged(b'D')
}

/// Execute; 0 rows means all.
pub fn execute(portal: &str, max_rows: i32) -> Vec<u8> {
    Body::default().cstr(portal).int32(max_rows).tagged(b'E')
}

/// Close; `kind` is `b'S'` for a statement, `b'P'` for a portal.
pub fn close(kind: u8, name: &str) -> Vec<u8> {
    Body::default().byte(kind).cstr(name).tagged(b'C')
}

/// Sync.
pub fn sync() -> Vec<u8> {
    message(b'S', &[])
}

/// Flush.
pub fn flush() -> Vec<u8> {
    message(b'H', &[])
}

/// CopyData.
pub fn copy_data(data: &[u8]) -> Vec<u8> {
    message(b'd', data)
}

/// CopyDone.
pub fn copy_done() -> Vec<u8> {
    message(b'c', &[])
}

/// CopyFail.
pub fn copy_fail(reason: &str) -> Vec<u8> {
    Body::default().cstr(reason).tagged(b'f')
}

/// FunctionCall with arguments and result as text.
pub fn function_call(function: u32, arguments: &[Option<&str>]) -> Vec<u8> {
    Body::default()
        .uint32(function)
        .int16(0)
        .list(arguments, |body, argument| body.value(argument.map(str::as_bytes)))
        .int16(0)
        .tagged(b'F')
}

/// Terminate.
pub fn terminate() -> Vec<u8> {
    message(b'X', &[])
}
