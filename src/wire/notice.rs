//! ErrorResponse and NoticeResponse: reading the server's, saying our own.

use std::fmt;

use bytes::BytesMut;
use pgwire::messages::Message;
use pgwire::messages::response::{ErrorResponse, NoticeResponse};

use super::frame::HEADER;
use super::read::Reader;
use crate::sqlstate::SqlState;

/// How bad it is; `Fatal` ends the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The request failed, the session lives.
    Error,
    /// The session ends.
    Fatal,
    /// Nothing failed.
    Notice,
    /// Something the operator should look at.
    Warning,
}

impl Severity {
    /// The word in fields S and V.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Error => "ERROR",
            Severity::Fatal => "FATAL",
            Severity::Notice => "NOTICE",
            Severity::Warning => "WARNING",
        }
    }
}

/// What an ErrorResponse or NoticeResponse says, as far as pgusher repeats it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFields {
    /// The untranslated severity (field V, or S before PostgreSQL 9.6).
    pub severity: String,
    /// SQLSTATE (field C); `XX000` where the server left it out.
    pub code: String,
    /// Primary message (field M).
    pub message: String,
    /// Field D.
    pub detail: Option<String>,
    /// Field H.
    pub hint: Option<String>,
}

impl ErrorFields {
    /// An error of our own.
    pub fn new(severity: Severity, code: SqlState, message: impl Into<String>) -> Self {
        ErrorFields {
            severity: severity.as_str().to_owned(),
            code: code.0.to_owned(),
            message: message.into(),
            detail: None,
            hint: None,
        }
    }

    /// Adds DETAIL.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into());
        self
    }

    /// Adds HINT.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into());
        self
    }

    /// The same facts with another severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        severity.as_str().clone_into(&mut self.severity);
        self
    }

    /// Reads a message of which at least the first fields are in `visible`. Missing fields are tolerated: a hostile
    /// or broken server must not be able to do more than confuse a log line.
    pub fn read(visible: &[u8]) -> Self {
        let mut fields = ErrorFields {
            severity: String::new(),
            code: "XX000".to_owned(),
            message: String::new(),
            detail: None,
            hint: None,
        };
        let mut body = Reader(visible.get(HEADER..).unwrap_or_default());
        while let Some(kind) = body.u8().filter(|&kind| kind != 0) {
            let Some(value) = body.cstr() else { break };
            let text = String::from_utf8_lossy(value).into_owned();
            match kind {
                b'S' if fields.severity.is_empty() => fields.severity = text,
                b'V' => fields.severity = text,
                b'C' => fields.code = text,
                b'M' => fields.message = text,
                b'D' => fields.detail = Some(text),
                b'H' => fields.hint = Some(text),
                _ => {}
            }
        }
        fields
    }

    /// True when the sender closes the connection after this message.
    pub fn is_fatal(&self) -> bool {
        matches!(self.severity.as_str(), "FATAL" | "PANIC")
    }

    /// Appends an ErrorResponse.
    pub fn put_error(&self, out: &mut Vec<u8>) {
        put_message(out, ErrorResponse::new(self.fields()));
    }

    /// Appends a NoticeResponse.
    pub fn put_notice(&self, out: &mut Vec<u8>) {
        put_message(out, NoticeResponse::new(self.fields()));
    }

    fn fields(&self) -> Vec<(u8, String)> {
        let mut fields = vec![
            (b'S', self.severity.clone()),
            (b'V', self.severity.clone()),
            (b'C', self.code.clone()),
            (b'M', self.message.clone()),
        ];
        fields.extend(self.detail.clone().map(|text| (b'D', text)));
        fields.extend(self.hint.clone().map(|text| (b'H', text)));
        for (_, text) in &mut fields {
            text.retain(|c| c != '\0');
        }
        fields
    }
}

impl fmt::Display for ErrorFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.code, self.message)
    }
}

/// The SQLSTATE of an ErrorResponse of which at least the first fields are in `visible`.
pub fn sqlstate(visible: &[u8]) -> Option<&[u8]> {
    let mut body = Reader(visible.get(HEADER..)?);
    loop {
        let kind = body.u8().filter(|&kind| kind != 0)?;
        let value = body.cstr()?;
        if kind == b'C' {
            return Some(value);
        }
    }
}

/// Appends a message that pgwire encodes.
pub(super) fn put_message(out: &mut Vec<u8>, message: impl Message) {
    let mut bytes = BytesMut::new();
    if message.encode(&mut bytes).is_ok() {
        out.extend_from_slice(&bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlstate;

    #[test]
    fn fields_round_trip() {
        let said = ErrorFields::new(Severity::Error, sqlstate::TOO_MANY_CONNECTIONS, "too many")
            .detail("20 of 20")
            .hint("raise pool_size");
        let mut out = Vec::new();
        said.put_error(&mut out);
        assert_eq!(ErrorFields::read(&out), said);
        assert_eq!(super::sqlstate(&out), Some(&b"53300"[..]));
    }

    #[test]
    fn a_message_without_sqlstate_is_survived() {
        assert_eq!(ErrorFields::read(b"E\0\0\0\x08Mx\0\0").code, "XX000");
        assert_eq!(super::sqlstate(b"E\0\0\0\x08Mx\0\0"), None);
        assert_eq!(super::sqlstate(b"E\0\0"), None);
    }
}
