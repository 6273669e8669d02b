//! `${VAR}` and `${VAR:-default}` in string values; `$$` is a dollar sign.

use std::ffi::OsString;

/// Where variables come from: the environment, or a test.
pub(super) type Lookup<'a> = dyn Fn(&str) -> Option<OsString> + 'a;

/// What became of a string value.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Substituted {
    /// It names no variable.
    Plain(String),
    /// Variables took part: where a number is expected, this text may be one.
    Changed(String),
}

/// Why a string value cannot be substituted.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unset {
    pub(super) message: String,
    pub(super) help: String,
}

/// Replaces every variable of `text`. A `$` before anything but `{` and `$` stands for itself.
pub(super) fn substitute(text: &str, lookup: &Lookup<'_>) -> Result<Substituted, Unset> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    let mut changed = false;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        let after = &rest[dollar + 1..];
        if let Some(inner) = after.strip_prefix('{') {
            let end = inner.find('}').ok_or_else(|| unclosed(&rest[dollar..]))?;
            out.push_str(&variable(&inner[..end], lookup)?);
            changed = true;
            rest = &inner[end + 1..];
        } else {
            out.push('$');
            rest = after.strip_prefix('$').unwrap_or(after);
        }
    }
    out.push_str(rest);
    Ok(if changed { Substituted::Changed(out) } else { Substituted::Plain(out) })
}

/// The value of `VAR` or `VAR:-default`. As in a shell, the default also stands in for an empty value.
fn variable(inner: &str, lookup: &Lookup<'_>) -> Result<String, Unset> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts_well || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Err(Unset {
            message: format!("`${{{inner}}}` does not name an environment variable"),
            help: "write `${VAR}` or `${VAR:-default}`, or `$$` for a dollar sign".into(),
        });
    }
    let value = lookup(name).map(OsString::into_string).transpose().map_err(|_| Unset {
        message: format!("the environment variable `{name}` is not UTF-8"),
        help: "set it to a text".into(),
    })?;
    match (value, default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Unset {
            message: format!("the environment variable `{name}` is not set"),
            help: format!("set it, or write `${{{name}:-default}}`"),
        }),
    }
}

/// Shows only the start: what follows may be a password.
fn unclosed(from: &str) -> Unset {
    let name: String = from
        .chars()
        .skip(2)
        .take_while(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(40)
        .collect();
    Unset {
        message: format!("`${{{name}` is not closed"),
        help: "add the `}`, or write `$$` for a dollar sign".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    use super::{Substituted, substitute};

    fn lookup(name: &str) -> Option<OsString> {
        match name {
            "HOST" => Some("db1".into()),
            "EMPTY" => Some(OsString::new()),
            "ODD" => Some("${HOST}$$".into()),
            "RAW" => Some(OsString::from_vec(vec![0xff])),
            _ => None,
        }
    }

    fn changed(text: &str) -> Substituted {
        Substituted::Changed(text.into())
    }

    fn plain(text: &str) -> Substituted {
        Substituted::Plain(text.into())
    }

    #[test]
    fn variables_are_replaced_once() {
        let done = |text| substitute(text, &lookup).unwrap();
        assert_eq!(done("pg-${HOST}.lan"), changed("pg-db1.lan"));
        assert_eq!(done("${HOST}${HOST}"), changed("db1db1"));
        assert_eq!(done("${NOPE:-x y}"), changed("x y"));
        assert_eq!(done("${EMPTY:-x}${EMPTY}"), changed("x"));
        assert_eq!(done("${ODD}"), changed("${HOST}$$"), "a value is not substituted again");
    }

    #[test]
    fn dollars_survive() {
        let done = |text| substitute(text, &lookup).unwrap();
        assert_eq!(done("a$$b"), plain("a$b"));
        assert_eq!(done("$${HOST}"), plain("${HOST}"));
        assert_eq!(done("SCRAM-SHA-256$4096:a$b:c"), plain("SCRAM-SHA-256$4096:a$b:c"));
        assert_eq!(done("$"), plain("$"));
    }

    #[test]
    fn mistakes_are_named() {
        let why = |text| substitute(text, &lookup).unwrap_err().message;
        assert_eq!(why("${NOPE}"), "the environment variable `NOPE` is not set");
        assert_eq!(why("${RAW:-x}"), "the environment variable `RAW` is not UTF-8");
        assert_eq!(why("${HOST"), "`${HOST` is not closed");
        assert_eq!(why("${}"), "`${}` does not name an environment variable");
        assert_eq!(why("${1A}"), "`${1A}` does not name an environment variable");
    }
}
