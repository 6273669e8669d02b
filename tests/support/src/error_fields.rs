//! What an ErrorResponse or a NoticeResponse says.

use crate::encode::Body;
use crate::message::Reader;
use std::fmt;

/// The fields of an error or a notice.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct ErrorFields {
    fields: Vec<(u8, String)>,
}

impl ErrorFields {
    /// An error of severity, SQLSTATE and text.
    pub fn new(severity: &str, code: &str, message: &str) -> Self {
        ErrorFields::default()
            .with(b'S', severity)
            .with(b'V', severity)
            .with(b'C', code)
            .with(b'M', message)
    }

    /// With one more field, such as `b'D'` for the detail and `b'H'` for the hint.
    #[must_use]
    pub fn with(mut self, field: u8, value: &str) -> Self {
        self.fields.push((field, value.to_owned()));
        self
    }

    pub(crate) fn parse(body: &[u8]) -> Self {
        let mut reader = Reader::new(body);
        let mut fields = Vec::new();
        loop {
            match reader.byte() {
                0 => return ErrorFields { fields },
                field => fields.push((field, reader.cstr())),
            }
        }
    }

    pub(crate) fn encode(&self, tag: u8) -> Vec<u8> {
        let body = self
            .fields
            .iter()
            .fold(Body::default(), |body, (field, value)| body.byte(*field).cstr(value));
        body.byte(0).tagged(tag)
    }

    /// Any field by its letter.
    pub fn field(&self, field: u8) -> Option<&str> {
        self.fields.iter().find_map(|(letter, value)| (*letter == field).then_some(value.as_str()))
    }

    /// `ERROR`, `FATAL`, `NOTICE`...
    pub fn severity(&self) -> &str {
        self.field(b'V').or(self.field(b'S')).unwrap_or_default()
    }

    /// The SQLSTATE.
    pub fn code(&self) -> &str {
        self.field(b'C').unwrap_or_default()
    }

    /// The primary text.
    pub fn message(&self) -> &str {
        self.field(b'M').unwrap_or_default()
    }

    /// The detail, if there is one.
    pub fn detail(&self) -> Option<&str> {
        self.field(b'D')
    }

    /// The hint, if there is one.
    pub fn hint(&self) -> Option<&str> {
        self.field(b'H')
    }
}

impl fmt::Debug for ErrorFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity(), self.code(), self.message())?;
        for (name, text) in [("detail", self.detail()), ("hint", self.hint())] {
            if let Some(text) = text {
                write!(f, " ({name}: {text})")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::ErrorFields;

    #[test]
    fn reads_what_it_wrote() {
        let error =
            ErrorFields::new("ERROR", "42601", "syntax").with(b'D', "near here").with(b'H', "look");
        let read = ErrorFields::parse(&error.encode(b'E')[5..]);
        assert_eq!(read, error);
        assert_eq!(format!("{read:?}"), "ERROR 42601: syntax (detail: near here) (hint: look)");
        assert_eq!((read.code(), read.field(b'q')), ("42601", None));
    }
}
