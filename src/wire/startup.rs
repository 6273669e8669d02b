//! The untyped packets that open a connection: StartupMessage, SSLRequest, GSSENCRequest, CancelRequest.

use std::ops::Range;

use thiserror::Error;

use super::read::Reader;

/// Code of CancelRequest.
pub const CANCEL_CODE: u32 = 80_877_102;
/// Code of SSLRequest.
pub const SSL_CODE: u32 = 80_877_103;
/// Code of GSSENCRequest.
pub const GSSENC_CODE: u32 = 80_877_104;
/// Largest packet before the login, as PostgreSQL's `MAX_STARTUP_PACKET_LENGTH`.
pub const MAX_PACKET: usize = 10_000;
/// Longest cancel key of protocol 3.2 (documentation, "BackendKeyData").
pub const MAX_CANCEL_KEY: usize = 256;
/// The newest minor version of protocol 3 that pgusher speaks.
pub const NEWEST_MINOR: u16 = 2;

/// A packet of the start-up phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// The client asks for TLS.
    SslRequest,
    /// The client asks for GSSAPI encryption.
    GssEncRequest,
    /// Somebody wants the query of `pid` cancelled.
    Cancel {
        /// Process id from BackendKeyData.
        pid: u32,
        /// Secret key from BackendKeyData, 4 to 256 bytes.
        key: Vec<u8>,
    },
    /// A client wants a session.
    Startup(Startup),
}

/// StartupMessage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Startup {
    /// Minor version of protocol 3.
    pub minor: u16,
    /// Names and values as they came, each with its NUL.
    body: Box<[u8]>,
    /// Where in the body each name and its value are.
    places: Vec<[Range<u16>; 2]>,
}

impl Startup {
    /// Parameters in the client's order, names as sent; values are raw bytes without NUL.
    pub fn parameters(&self) -> impl DoubleEndedIterator<Item = (&[u8], &[u8])> {
        let text = |at: &Range<u16>| {
            self.body.get(usize::from(at.start)..usize::from(at.end)).unwrap_or_default()
        };
        self.places.iter().map(move |[name, value]| (text(name), text(value)))
    }

    /// The last value of a parameter.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let named = self.parameters().rfind(|(key, _)| *key == name.as_bytes());
        named.map(|(_, value)| value)
    }
}

/// Why a packet was refused.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StartupError {
    /// Length below 8 or beyond [`MAX_PACKET`].
    #[error("invalid length of startup packet")]
    Length,
    /// A major version that is not 3.
    #[error("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.2")]
    Version {
        /// Major version asked for.
        major: u16,
        /// Minor version asked for.
        minor: u16,
    },
    /// Names and values do not pair up, or the end is missing.
    #[error("invalid startup packet layout: expected terminator as last byte")]
    Layout,
}

/// Size of the packet that starts `bytes`, or `None` while its length word is incomplete.
///
/// # Errors
/// [`StartupError::Length`].
pub fn packet_size(bytes: &[u8]) -> Result<Option<usize>, StartupError> {
    let Some((word, _)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let size = u32::from_be_bytes(*word) as usize;
    if (8..=MAX_PACKET).contains(&size) { Ok(Some(size)) } else { Err(StartupError::Length) }
}

/// Reads a whole packet.
///
/// # Errors
/// See [`StartupError`].
pub fn read(packet: &[u8]) -> Result<Packet, StartupError> {
    let mut body = Reader(packet.get(4..).unwrap_or_default());
    let code = body.u32().ok_or(StartupError::Length)?;
    match code {
        SSL_CODE if body.0.is_empty() => Ok(Packet::SslRequest),
        GSSENC_CODE if body.0.is_empty() => Ok(Packet::GssEncRequest),
        SSL_CODE | GSSENC_CODE => Err(StartupError::Length),
        CANCEL_CODE => read_cancel(body),
        _ => read_startup(code, body),
    }
}

fn read_cancel(mut body: Reader<'_>) -> Result<Packet, StartupError> {
    let pid = body.u32().ok_or(StartupError::Length)?;
    if !(4..=MAX_CANCEL_KEY).contains(&body.0.len()) {
        return Err(StartupError::Length);
    }
    Ok(Packet::Cancel { pid, key: body.0.to_vec() })
}

fn read_startup(code: u32, mut body: Reader<'_>) -> Result<Packet, StartupError> {
    let (major, minor) = ((code >> 16) as u16, (code & 0xffff) as u16);
    if major != 3 {
        return Err(StartupError::Version { major, minor });
    }
    let all = body.0;
    let mut places = Vec::with_capacity(8);
    loop {
        let name = text(all, &mut body)?;
        if name.is_empty() {
            break;
        }
        places.push([name, text(all, &mut body)?]);
    }
    if !body.0.is_empty() {
        return Err(StartupError::Layout);
    }
    Ok(Packet::Startup(Startup { minor, body: all.into(), places }))
}

/// Where in `all` the next text is.
fn text(all: &[u8], rest: &mut Reader<'_>) -> Result<Range<u16>, StartupError> {
    let start = all.len() - rest.0.len();
    let size = rest.cstr().ok_or(StartupError::Layout)?.len();
    // A packet is not longer than MAX_PACKET.
    let place = |at| u16::try_from(at).map_err(|_| StartupError::Length);
    Ok(place(start)?..place(start + size)?)
}

/// Appends a StartupMessage.
pub fn put_startup<'a>(
    out: &mut Vec<u8>,
    minor: u16,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) {
    put_packet(out, (3 << 16) | u32::from(minor), |body| {
        for (name, value) in parameters {
            super::frame::put_cstr(body, name.as_bytes());
            super::frame::put_cstr(body, value.as_bytes());
        }
        body.push(0);
    });
}

/// Appends an SSLRequest.
pub fn put_ssl_request(out: &mut Vec<u8>) {
    put_packet(out, SSL_CODE, |_| {});
}

/// Appends a CancelRequest.
pub fn put_cancel(out: &mut Vec<u8>, pid: u32, key: &[u8]) {
    put_packet(out, CANCEL_CODE, |body| {
        body.extend_from_slice(&pid.to_be_bytes());
        body.extend_from_slice(key);
    });
}

fn put_packet(out: &mut Vec<u8>, code: u32, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&code.to_be_bytes());
    write(out);
    let size = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    if let Some(word) = out.get_mut(start..start + 4) {
        word.copy_from_slice(&size.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn startup_round_trip() {
        let mut packet = Vec::new();
        put_startup(&mut packet, 2, [("user", "ann"), ("database", "payments")]);
        assert_eq!(packet_size(&packet), Ok(Some(packet.len())));
        let Ok(Packet::Startup(startup)) = read(&packet) else { panic!("not a startup packet") };
        assert_eq!(startup.minor, 2);
        assert_eq!(startup.get("user"), Some(&b"ann"[..]));
        assert_eq!(startup.get("nothing"), None);
    }

    #[test]
    fn layout_errors_are_found_at_every_cut() {
        let mut packet = Vec::new();
        put_startup(&mut packet, 0, [("user", "ann")]);
        for cut in 8..packet.len() {
            assert_eq!(read(&packet[..cut]), Err(StartupError::Layout), "cut at {cut}");
        }
        packet.push(b'x');
        assert_eq!(read(&packet), Err(StartupError::Layout));
    }

    #[test]
    fn cancel_keys_have_bounds() {
        for (length, fits) in [(3, false), (4, true), (32, true), (256, true), (257, false)] {
            let mut packet = Vec::new();
            put_cancel(&mut packet, 7, &vec![9; length]);
            assert_eq!(read(&packet).is_ok(), fits, "{length} bytes");
        }
    }

    #[test]
    fn version_2_is_named() {
        let packet = [0, 0, 0, 9, 0, 2, 0, 0, 0];
        assert_eq!(read(&packet), Err(StartupError::Version { major: 2, minor: 0 }));
    }
}
