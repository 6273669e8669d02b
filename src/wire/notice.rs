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
    pub severity: Box<str>,
    /// SQLSTATE (field C); `XX000` where the server left it out.
    pub code: Box<str>,
    /// Primary message (field M).
    pub message: String,
    /// Field D.
    pub detail: Option<Box<str>>,
    /// Field H.
    pub hint: Option<Box<str>>,
    /// Field R, where drivers look at which function of PostgreSQL's an error comes from.
    pub routine: Option<Box<str>>,
    /// PgBouncer's words for the same, where it has others. No field of the message.
    pub brief: Option<Box<str>>,
}

impl ErrorFields {
    /// An error of our own.
    pub fn new(severity: Severity, code: SqlState, message: impl Into<String>) -> Self {
        ErrorFields {
            severity: severity.as_str().into(),
            code: code.0.into(),
            message: message.into(),
            detail: None,
            hint: None,
            routine: None,
            brief: None,
        }
    }

    /// Adds DETAIL.
    #[must_use]
    pub fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into().into_boxed_str());
        self
    }

    /// Adds HINT.
    #[must_use]
    pub fn hint(mut self, text: impl Into<String>) -> Self {
        self.hint = Some(text.into().into_boxed_str());
        self
    }

    /// Adds the function of PostgreSQL's that says the same.
    #[must_use]
    pub fn routine(mut self, name: &str) -> Self {
        self.routine = Some(name.into());
        self
    }

    /// Adds PgBouncer's words.
    #[must_use]
    pub fn brief(mut self, text: impl Into<Box<str>>) -> Self {
        self.brief = Some(text.into());
        self
    }

    /// What a client of PgBouncer would read: its words, if there are any, and no more than them.
    #[must_use]
    pub fn in_brief(mut self) -> Self {
        if let Some(brief) = self.brief.take() {
            self.message = brief.into();
            (self.detail, self.hint) = (None, None);
        }
        self
    }

    /// The same facts with another severity.
    #[must_use]
    pub fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity.as_str().into();
        self
    }

    /// Reads a message of which at least the first fields are in `visible`. Missing fields are tolerated: a hostile
    /// or broken server must not be able to do more than confuse a log line.
    pub fn read(visible: &[u8]) -> Self {
        let mut fields = ErrorFields {
            severity: "".into(),
            code: "XX000".into(),
            message: String::new(),
            detail: None,
            hint: None,
            routine: None,
            brief: None,
        };
        let mut body = Reader(visible.get(HEADER..).unwrap_or_default());
        while let Some(kind) = body.u8().filter(|&kind| kind != 0) {
            let Some(value) = body.cstr() else { break };
            let text = String::from_utf8_lossy(value).into_owned();
            match kind {
                b'S' if fields.severity.is_empty() => fields.severity = text.into(),
                b'V' => fields.severity = text.into(),
                b'C' => fields.code = text.into(),
                b'M' => fields.message = text,
                b'D' => fields.detail = Some(text.into()),
                b'H' => fields.hint = Some(text.into()),
                b'R' => fields.routine = Some(text.into()),
                _ => {}
            }
        }
        fields
    }

    /// True when the sender closes the connection after this message.
    pub fn is_fatal(&self) -> bool {
        matches!(&*self.severity, "FATAL" | "PANIC")
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
            (b'S', self.severity.to_string()),
            (b'V', self.severity.to_string()),
            (b'C', self.code.to_string()),
            (b'M', self.message.clone()),
        ];
        fields.extend(self.detail.clone().map(|text| (b'D', text.into())));
        fields.extend(self.hint.clone().map(|text| (b'H', text.into())));
        fields.extend(self.routine.as_deref().map(|name| (b'R', name.to_owned())));
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
        assert_eq!(&*ErrorFields::read(b"E\0\0\0\x08Mx\0\0").code, "XX000");
        assert_eq!(super::sqlstate(b"E\0\0\0\x08Mx\0\0"), None);
        assert_eq!(super::sqlstate(b"E\0\0"), None);
    }
}
