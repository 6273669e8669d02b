//! The `options` start-up parameter: command-line switches for one session.

use thiserror::Error;

/// A switch that cannot be applied to one session of a shared server.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("unsupported switch in options: \"{0}\"")]
pub struct OptionsError(pub String);

/// Name and value of a parameter.
pub type Assignment = (Vec<u8>, Vec<u8>);

/// Reads `-c name=value` and `--name=value`. As PostgreSQL does (`pg_split_opts`), arguments end at white space and a
/// backslash takes the next character as it is; dashes in `--name` stand for underscores.
///
/// # Errors
/// Any other switch, or one without `=`.
pub fn parse(options: &[u8]) -> Result<Vec<Assignment>, OptionsError> {
    let mut found = Vec::new();
    let mut arguments = split(options).into_iter();
    while let Some(argument) = arguments.next() {
        let assignment = match argument.as_slice() {
            b"-c" => arguments.next().unwrap_or_default(),
            [b'-', b'c', rest @ ..] | [b'-', b'-', rest @ ..] => rest.to_vec(),
            _ => return Err(OptionsError(String::from_utf8_lossy(&argument).into_owned())),
        };
        let Some(equals) = assignment.iter().position(|&byte| byte == b'=') else {
            return Err(OptionsError(String::from_utf8_lossy(&assignment).into_owned()));
        };
        let (name, value) = assignment.split_at(equals);
        let name = name.iter().map(|&byte| if byte == b'-' { b'_' } else { byte }).collect();
        found.push((name, value.get(1..).unwrap_or_default().to_vec()));
    }
    Ok(found)
}

fn split(options: &[u8]) -> Vec<Vec<u8>> {
    let mut arguments = Vec::new();
    let mut current: Option<Vec<u8>> = None;
    let mut bytes = options.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte.is_ascii_whitespace() {
            arguments.extend(current.take());
            continue;
        }
        let byte = if byte == b'\\' { bytes.next().unwrap_or(byte) } else { byte };
        current.get_or_insert_default().push(byte);
    }
    arguments.extend(current);
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(options: &str) -> Result<Vec<(String, String)>, OptionsError> {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        parse(options.as_bytes())
            .map(|found| found.into_iter().map(|(name, value)| (text(name), text(value))).collect())
    }

    #[test]
    fn every_notation_is_read() {
        let found = parsed(r" -c geqo=off -cjit=off  --statement-timeout=5s -c search_path=a\ b,c")
            .expect("valid");
        let expected = [
            ("geqo", "off"),
            ("jit", "off"),
            ("statement_timeout", "5s"),
            ("search_path", "a b,c"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn other_switches_are_named() {
        assert_eq!(parsed("-c a=1 -F"), Err(OptionsError("-F".to_owned())));
        assert_eq!(parsed("-c"), Err(OptionsError(String::new())));
    }
}
