//! The grammar of SCRAM messages: `a=value,b=value,…`.

use super::error::{AuthError, Blame};
use super::nonce::Nonce;

/// More than any honest SCRAM message needs.
pub const MAX_MESSAGE_LEN: usize = 4096;

/// Checks what holds for every SCRAM message: short, UTF-8, no NUL.
pub(super) fn message_text(from: Blame, bytes: &[u8]) -> Result<&str, AuthError> {
    let malformed = |what| AuthError::Malformed { from, what };
    if bytes.len() > MAX_MESSAGE_LEN {
        return Err(malformed("SCRAM message too long"));
    }
    let text = str::from_utf8(bytes).map_err(|_| malformed("SCRAM message is not UTF-8"))?;
    if text.contains('\0') {
        return Err(malformed("NUL in a SCRAM message"));
    }
    Ok(text)
}

/// Reads the attributes of a message from left to right.
#[derive(Debug)]
pub(super) struct Attributes<'a> {
    from: Blame,
    rest: Option<&'a str>,
}

impl<'a> Attributes<'a> {
    /// All attributes of `text`.
    pub(super) fn new(from: Blame, text: &'a str) -> Self {
        Attributes { from, rest: Some(text) }
    }

    /// The value of the next attribute, which must be `name`.
    pub(super) fn expect(&mut self, name: char) -> Result<&'a str, AuthError> {
        let from = self.from;
        match self.next_attribute()? {
            Some((found, value)) if found == name => Ok(value),
            Some(('m', _)) => {
                Err(AuthError::Unsupported { from, what: "a mandatory SCRAM extension" })
            }
            _ => Err(AuthError::Malformed { from, what: "SCRAM attribute missing" }),
        }
    }

    /// The next attribute, read as a nonce.
    pub(super) fn expect_nonce(&mut self) -> Result<Nonce, AuthError> {
        let from = self.from;
        Nonce::parse(self.expect('r')?)
            .ok_or(AuthError::Malformed { from, what: "SCRAM nonce is not printable ASCII" })
    }

    /// Accepts any extensions up to the end, which only must be attributes too.
    pub(super) fn skip_extensions(mut self) -> Result<(), AuthError> {
        while self.next_attribute()?.is_some() {}
        Ok(())
    }

    fn next_attribute(&mut self) -> Result<Option<(char, &'a str)>, AuthError> {
        let Some(rest) = self.rest else { return Ok(None) };
        let (attribute, rest) = match rest.split_once(',') {
            Some((attribute, rest)) => (attribute, Some(rest)),
            None => (rest, None),
        };
        self.rest = rest;
        match (attribute.get(..1), attribute.get(1..2), attribute.get(2..)) {
            (Some(name), Some("="), Some(value)) if name.as_bytes()[0].is_ascii_alphabetic() => {
                Ok(Some((char::from(name.as_bytes()[0]), value)))
            }
            _ => Err(AuthError::Malformed {
                from: self.from,
                what: "SCRAM attribute expected, like a=value",
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn attributes_come_in_order() {
        let mut attributes = Attributes::new(Blame::Client, "n=,r=a=b,x=1,y=");
        assert_eq!(attributes.expect('n'), Ok(""));
        assert_eq!(attributes.expect('r'), Ok("a=b"));
        assert_eq!(attributes.skip_extensions(), Ok(()));
    }

    #[test]
    fn what_is_no_attribute_is_refused() {
        for text in ["", ",", "n", "=", "n=,", "1=x", "é=x", "né=", "nn=x"] {
            let read = Attributes::new(Blame::Server, text).skip_extensions();
            assert_eq!(read.unwrap_err().blame(), Blame::Server, "{text:?}");
        }
    }

    #[test]
    fn mandatory_extensions_are_named() {
        let error = Attributes::new(Blame::Client, "m=x,n=").expect('n').unwrap_err();
        assert!(matches!(error, AuthError::Unsupported { .. }), "{error}");
    }

    #[test]
    fn messages_have_limits() {
        for bad in [&b"\xff"[..], b"n=\0", &[b'a'; MAX_MESSAGE_LEN + 1]] {
            assert!(message_text(Blame::Client, bad).is_err());
        }
        assert!(message_text(Blame::Client, &[b'a'; MAX_MESSAGE_LEN]).is_ok());
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "([a-z]=)?\\PC*(,[a-z]=\\PC*)*") {
            let _ = Attributes::new(Blame::Client, &text).expect_nonce();
            let _ = Attributes::new(Blame::Client, &text).skip_extensions();
        }
    }
}
