//! Views into the client's messages that the pooler must understand, and the messages pgusher sends to servers.

use super::frame::{self, FrameError, HEADER};
use super::read::Reader;
use super::tag::frontend as tag;

/// Parse: a statement to prepare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parse<'a> {
    /// Statement name; empty is the unnamed statement.
    pub name: &'a [u8],
    /// SQL and parameter types as they stand in the message; what makes two statements the same.
    pub content: &'a [u8],
}

impl<'a> Parse<'a> {
    /// Reads a whole Parse message.
    ///
    /// # Errors
    /// Missing NULs, or parameter types that do not fit the message.
    pub fn read(message: &'a [u8]) -> Result<Self, FrameError> {
        let mut body = Reader(message.get(HEADER..).unwrap_or_default());
        let view = (|| {
            let name = body.cstr()?;
            let content = body.0;
            body.cstr()?;
            let types = body.u16()?;
            body.take(usize::from(types) * 4)?;
            body.0.is_empty().then_some(Parse { name, content })
        })();
        view.ok_or(FrameError::Malformed { tag: tag::PARSE })
    }
}

/// Where the statement's name stands in a Bind, relative to the message's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BindNames<'a> {
    /// Portal name.
    pub portal: &'a [u8],
    /// Statement name.
    pub statement: &'a [u8],
    /// Offset of the statement name's first byte.
    pub statement_at: usize,
}

impl<'a> BindNames<'a> {
    /// Reads the names at the front of a Bind of which `visible` bytes are there; `None` when they are not all there.
    pub fn read(visible: &'a [u8]) -> Option<Self> {
        let mut body = Reader(visible.get(HEADER..)?);
        let portal = body.cstr()?;
        let statement_at = HEADER + portal.len() + 1;
        let statement = body.cstr()?;
        Some(BindNames { portal, statement, statement_at })
    }
}

/// Describe or Close: a statement (`S`) or a portal (`P`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// True for a statement.
    pub is_statement: bool,
    /// Its name; empty is the unnamed one.
    pub name: &'a [u8],
}

/// Offset of the name in Describe and Close.
pub const TARGET_NAME_AT: usize = HEADER + 1;

impl<'a> Target<'a> {
    /// Reads a whole Describe or Close.
    ///
    /// # Errors
    /// A kind other than `S` or `P`, or no NUL at the end.
    pub fn read(message: &'a [u8]) -> Result<Self, FrameError> {
        let malformed = FrameError::Malformed { tag: message.first().copied().unwrap_or_default() };
        let mut body = Reader(message.get(HEADER..).unwrap_or_default());
        let is_statement = match body.u8() {
            Some(b'S') => true,
            Some(b'P') => false,
            _ => return Err(malformed),
        };
        let name = body.cstr().ok_or(malformed)?;
        if !body.0.is_empty() {
            return Err(malformed);
        }
        Ok(Target { is_statement, name })
    }
}

/// The shape of a Bind: all of it but the values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindShape {
    /// How many values it brings.
    pub parameters: u16,
    /// Formats asked for: none is text, one is for all columns.
    pub formats: Vec<u16>,
}

impl BindShape {
    /// Reads a whole Bind.
    ///
    /// # Errors
    /// Fields that do not fit the message.
    pub fn read(message: &[u8]) -> Result<Self, FrameError> {
        let mut body = Reader(message.get(HEADER..).unwrap_or_default());
        let view = (|| {
            body.cstr()?;
            body.cstr()?;
            let formats = body.u16()?;
            body.take(usize::from(formats) * 2)?;
            let parameters = body.u16()?;
            for _ in 0..parameters {
                match body.u32()? {
                    u32::MAX => {}
                    length => drop(body.take(length as usize)?),
                }
            }
            let formats = body.u16()?;
            let formats = (0..formats).map(|_| body.u16()).collect::<Option<_>>()?;
            body.0.is_empty().then_some(BindShape { parameters, formats })
        })();
        view.ok_or(FrameError::Malformed { tag: tag::BIND })
    }

    /// True when this column is asked for in binary format.
    pub fn is_binary(&self, column: usize) -> bool {
        let format = match self.formats.as_slice() {
            [all] => Some(all),
            each => each.get(column),
        };
        format.is_some_and(|&format| format == 1)
    }
}

/// The values of a Bind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindValues<'a>(Vec<(Option<&'a [u8]>, bool)>);

impl<'a> BindValues<'a> {
    /// Reads a whole Bind; `None` for fields that do not fit the message.
    pub fn read(message: &'a [u8]) -> Option<Self> {
        let mut body = Reader(message.get(HEADER..)?);
        body.cstr()?;
        body.cstr()?;
        let formats = body.u16()?;
        let formats: Vec<_> = (0..formats).map(|_| body.u16()).collect::<Option<_>>()?;
        let count = body.u16()?;
        let mut values = Vec::new();
        for number in 0..usize::from(count) {
            let value = match body.u32()? {
                u32::MAX => None,
                length => Some(body.take(length as usize)?),
            };
            let format =
                if let [all] = formats[..] { Some(all) } else { formats.get(number).copied() };
            values.push((value, format == Some(1)));
        }
        Some(BindValues(values))
    }

    /// The value of `$number`, `None` for NULL, and whether it is in binary format.
    pub fn get(&self, number: u16) -> Option<(Option<&'a [u8]>, bool)> {
        self.0.get(usize::from(number).checked_sub(1)?).copied()
    }
}

/// Execute: the portal, and how many rows are wanted (0: all).
///
/// # Errors
/// Fields that do not fit the message.
pub fn read_execute(message: &[u8]) -> Result<(&[u8], u32), FrameError> {
    let mut body = Reader(message.get(HEADER..).unwrap_or_default());
    let view = (|| Some((body.cstr()?, body.u32()?)))();
    view.filter(|_| body.0.is_empty()).ok_or(FrameError::Malformed { tag: tag::EXECUTE })
}

/// The portal of an Execute.
pub fn execute_portal(message: &[u8]) -> Option<&[u8]> {
    read_execute(message).ok().map(|(portal, _)| portal)
}

/// The text of a Query.
///
/// # Errors
/// No NUL at the end.
pub fn read_query(message: &[u8]) -> Result<&[u8], FrameError> {
    let mut body = Reader(message.get(HEADER..).unwrap_or_default());
    let text = body.cstr().filter(|_| body.0.is_empty());
    text.ok_or(FrameError::Malformed { tag: tag::QUERY })
}

/// Query.
pub fn put_query(out: &mut Vec<u8>, sql: impl AsRef<[u8]>) {
    frame::put(out, tag::QUERY, |body| frame::put_cstr(body, sql.as_ref()));
}

/// Parse, Bind, Execute and Sync of an unnamed statement whose only parameter is `value`, in text; at most `rows` rows
/// are asked for. The value travels apart from the statement, so nothing in it can become SQL.
pub fn put_question(out: &mut Vec<u8>, sql: &str, value: &str, rows: u32) {
    // No types of parameters.
    let content = [sql.as_bytes(), b"\0\0\0"].concat();
    put_parse(out, b"", &content);
    frame::put(out, tag::BIND, |body| {
        // Portal, statement, no formats of parameters, one parameter.
        body.extend_from_slice(b"\0\0\0\0\0\x01");
        let length = u32::try_from(value.len()).unwrap_or(u32::MAX);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(value.as_bytes());
        // No formats of results.
        body.extend_from_slice(b"\0\0");
    });
    frame::put(out, tag::EXECUTE, |body| {
        frame::put_cstr(body, b"");
        body.extend_from_slice(&rows.to_be_bytes());
    });
    out.extend_from_slice(&SYNC);
}

/// Bind of a statement without parameters.
pub fn put_bind(out: &mut Vec<u8>, portal: &[u8], statement: &[u8]) {
    frame::put(out, tag::BIND, |body| {
        frame::put_cstr(body, portal);
        frame::put_cstr(body, statement);
        body.extend_from_slice(&[0; 6]);
    });
}

/// Execute of a portal, without a limit of rows.
pub fn put_execute(out: &mut Vec<u8>, portal: &[u8]) {
    frame::put(out, tag::EXECUTE, |body| {
        frame::put_cstr(body, portal);
        body.extend_from_slice(&[0; 4]);
    });
}

/// Parse of `content` (SQL and types, as in [`Parse::content`]) under `name`.
pub fn put_parse(out: &mut Vec<u8>, name: &[u8], content: &[u8]) {
    frame::put(out, tag::PARSE, |body| {
        frame::put_cstr(body, name);
        body.extend_from_slice(content);
    });
}

/// Close of a statement.
pub fn put_close_statement(out: &mut Vec<u8>, name: &[u8]) {
    frame::put(out, tag::CLOSE, |body| {
        body.push(b'S');
        frame::put_cstr(body, name);
    });
}

/// Describe of a statement.
pub fn put_describe_statement(out: &mut Vec<u8>, name: &[u8]) {
    frame::put(out, tag::DESCRIBE, |body| {
        body.push(b'S');
        frame::put_cstr(body, name);
    });
}

/// Flush.
pub const FLUSH: [u8; 5] = [tag::FLUSH, 0, 0, 0, 4];

/// Sync.
pub const SYNC: [u8; 5] = [tag::SYNC, 0, 0, 0, 4];

/// Terminate.
pub const TERMINATE: [u8; 5] = [tag::TERMINATE, 0, 0, 0, 4];

/// CopyFail with a reason.
pub fn put_copy_fail(out: &mut Vec<u8>, reason: &str) {
    frame::put(out, tag::COPY_FAIL, |body| frame::put_cstr(body, reason.as_bytes()));
}

/// PasswordMessage: cleartext or md5.
pub fn put_password(out: &mut Vec<u8>, password: &[u8]) {
    frame::put(out, tag::PASSWORD, |body| frame::put_cstr(body, password));
}

/// SASLInitialResponse.
pub fn put_sasl_initial(out: &mut Vec<u8>, mechanism: &str, data: &[u8]) {
    frame::put(out, tag::PASSWORD, |body| {
        frame::put_cstr(body, mechanism.as_bytes());
        let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(data);
    });
}

/// SASLResponse.
pub fn put_sasl_response(out: &mut Vec<u8>, data: &[u8]) {
    frame::put(out, tag::PASSWORD, |body| body.extend_from_slice(data));
}

/// Mechanism and data of a client's SASLInitialResponse.
///
/// # Errors
/// Fields that do not fit the message.
pub fn read_sasl_initial(message: &[u8]) -> Result<(&[u8], &[u8]), FrameError> {
    let mut body = Reader(message.get(HEADER..).unwrap_or_default());
    let view = (|| {
        let mechanism = body.cstr()?;
        let data = match body.u32()? {
            u32::MAX => &[][..],
            length => body.take(length as usize)?,
        };
        body.0.is_empty().then_some((mechanism, data))
    })();
    view.ok_or(FrameError::Malformed { tag: tag::PASSWORD })
}

/// The text of a client's PasswordMessage.
///
/// # Errors
/// No NUL at the end.
pub fn read_password(message: &[u8]) -> Result<&[u8], FrameError> {
    let mut body = Reader(message.get(HEADER..).unwrap_or_default());
    match body.cstr() {
        Some(text) if body.0.is_empty() => Ok(text),
        _ => Err(FrameError::Malformed { tag: tag::PASSWORD }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_splits_name_and_content() {
        let mut message = Vec::new();
        put_parse(&mut message, b"s1", b"select $1\0\0\x01\0\0\0\x17");
        let view = Parse::read(&message).expect("valid");
        assert_eq!(view.name, b"s1");
        assert_eq!(view.content, b"select $1\0\0\x01\0\0\0\x17");
    }

    #[test]
    fn parse_with_too_few_types_is_malformed() {
        let mut message = Vec::new();
        put_parse(&mut message, b"s1", b"select $1\0\0\x02\0\0\0\x17");
        assert_eq!(Parse::read(&message), Err(FrameError::Malformed { tag: b'P' }));
    }

    #[test]
    fn a_bind_says_what_it_brings_and_wants() {
        let mut message = Vec::new();
        frame::put(&mut message, tag::BIND, |body| {
            body.extend_from_slice(
                b"p\0stmt\0\0\x01\0\x01\0\x02\0\0\0\x01x\xff\xff\xff\xff\0\x02\0\0\0\x01",
            );
        });
        let shape = BindShape::read(&message).expect("valid");
        assert_eq!(shape, BindShape { parameters: 2, formats: vec![0, 1] });
        assert_eq!([0, 1, 2].map(|column| shape.is_binary(column)), [false, true, false]);
        let values = BindValues::read(&message).expect("valid");
        assert_eq!(values.get(1), Some((Some(&b"x"[..]), true)));
        assert_eq!((values.get(2), values.get(3)), (Some((None, true)), None));
        for cut in HEADER..message.len() {
            assert!(BindShape::read(&message[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn bind_names_wait_for_both_names() {
        let mut message = Vec::new();
        frame::put(&mut message, tag::BIND, |body| {
            body.extend_from_slice(b"p\0stmt\0\0\0\0\0\0\0");
        });
        for cut in 0..12 {
            assert_eq!(BindNames::read(&message[..cut]), None, "cut at {cut}");
        }
        let names = BindNames::read(&message).expect("whole");
        assert_eq!((names.portal, names.statement), (&b"p"[..], &b"stmt"[..]));
        assert_eq!(&message[names.statement_at..names.statement_at + 4], b"stmt");
    }

    #[test]
    fn the_value_of_a_question_stays_apart_from_its_text() {
        let mut bytes = Vec::new();
        put_question(&mut bytes, "select $1", "x'; drop table y --", 2);
        let size = frame::header(&bytes).expect("valid").expect("whole").size;
        assert_eq!(Parse::read(&bytes[..size]).expect("valid").content, b"select $1\0\0\0");
        let bind = &bytes[size..];
        let size = frame::header(bind).expect("valid").expect("whole").size;
        let values = BindValues::read(&bind[..size]).expect("valid");
        assert_eq!(values.get(1), Some((Some(&b"x'; drop table y --"[..]), false)));
        assert_eq!(read_execute(&bind[size..bind.len() - SYNC.len()]), Ok((&b""[..], 2)));
        assert!(bytes.ends_with(&SYNC));
    }
}
