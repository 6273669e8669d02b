//! How PgBouncer writes values, and what the same value is in a `pool.toml`.

use std::path::Path;
use std::time::Duration;

use super::ini_text::{names, words};
use super::kinds::MANY;
use super::mistake::{Place, Report};
use super::tree::{Node, Value};
use super::units;

/// How the text of a parameter is to be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// As it stands.
    Text,
    /// A word of a few, in any case.
    Word,
    /// A path, relative to the working directory.
    Path,
    /// A list with commas.
    List,
    /// A list of names, in which nothing between two commas is nothing.
    Names,
    /// A whole number as C writes it.
    Integer,
    /// The same for a number of things: less than nothing is nothing, and more than anyone has is no limit.
    Count,
    /// The same where 0 says that there is no limit.
    Size,
    /// The same for a number of which there is at least one.
    Positive,
    /// 0 is no, every other number is yes.
    Flag,
    /// Permissions as C writes a number: with a leading 0 in octal.
    Mode,
    /// Seconds, with a fraction if need be.
    Seconds(Zero),
    /// Milliseconds, of which 0 says that there is no limit.
    Millis,
    /// `tcp_defer_accept`: 0 is off, 1 is 45 seconds, more are seconds.
    DeferAccept,
    /// A number of bytes.
    Bytes,
    /// Versions of TLS.
    Protocols,
    /// Ciphers as OpenSSL writes them, or one of PgBouncer's words for its defaults.
    Ciphers,
    /// `verbose`: how much more than usual is logged.
    Verbosity,
}

/// What a time of zero means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Zero {
    /// There is no limit.
    Off,
    /// At once.
    Now,
    /// As soon as can be, where pgusher needs some time: this much.
    Least(Duration),
}

/// Longest time that still fits; a limit beyond it is none.
const LONGEST: f64 = 3650.0 * 86_400.0;

/// What PgBouncer makes of a `tcp_defer_accept` that is just on.
const DEFER_ACCEPT: &str = "45s";

impl Form {
    /// The value of a parameter, or a mistake in `report`.
    pub(super) fn read(self, name: &str, at: Place, text: &str, report: &mut Report) -> Node {
        let value = self.value(at, text).unwrap_or_else(|why| {
            report.add(at, format!("`{name}`: {why}"), None);
            Value::Broken
        });
        Node { at, value }
    }

    fn value(self, at: Place, text: &str) -> Result<Value, String> {
        Ok(match self {
            Form::Text => plain(text),
            Form::Word => plain(&text.to_ascii_lowercase()),
            Form::Path => plain(&absolute(text)),
            Form::List => list(words(text, at)?),
            Form::Names => list(names(text, at)),
            Form::Integer => integer(number(text)?),
            Form::Count => integer(number(text)?.clamp(0, MANY)),
            Form::Size => integer(match number(text)? {
                ..=0 => MANY,
                size => size.min(MANY),
            }),
            Form::Positive => integer(number(text)?.clamp(1, MANY)),
            Form::Flag => Value::Bool(number(text)? != 0),
            Form::Mode => plain(&mode(number(text)?)),
            Form::Seconds(zero) => plain(&seconds(text, zero)?),
            Form::Millis => plain(&millis(number(text)?)),
            Form::DeferAccept => plain(&match number(text)? {
                ..=0 => "off".to_owned(),
                1 => DEFER_ACCEPT.to_owned(),
                seconds => format!("{seconds}s"),
            }),
            Form::Protocols => plain(&protocols(text)),
            Form::Ciphers => plain(match text {
                "secure" | "fast" | "normal" => "default",
                "all" => "ALL",
                other => other,
            }),
            Form::Bytes => plain(&format!("{}B", number(text)?.max(0))),
            Form::Verbosity => plain(match number(text)? {
                ..=0 => "info,pgusher::servers=debug",
                1 => "debug",
                _ => "trace",
            }),
        })
    }
}

fn plain(text: &str) -> Value {
    Value::Text { text: text.to_owned(), loose: false }
}

fn integer(value: i64) -> Value {
    Value::Integer { value: Some(value), shown: value.to_string() }
}

fn list(mut words: Vec<(Place, String)>) -> Value {
    // A name that stands twice says nothing more.
    let mut seen = std::collections::BTreeSet::new();
    words.retain(|(_, word)| seen.insert(word.clone()));
    let node = |(at, word): (Place, String)| Node { at, value: plain(&word) };
    Value::List(words.into_iter().map(node).collect())
}

/// The versions that are left of PgBouncer's list when those that are not safe any more are taken out of it. Where
/// nothing is left, the list stays as it is and is refused for what is in it.
fn protocols(text: &str) -> String {
    let text = text.to_ascii_lowercase();
    let mut wanted = [false; 2];
    for word in text.split([',', ':']).map(str::trim) {
        let (word, want) = word.strip_prefix('!').map_or((word, true), |word| (word, false));
        let [older, newer] = &mut wanted;
        match word {
            "all" | "legacy" | "default" | "secure" | "tlsv1" => (*older, *newer) = (want, want),
            "tlsv1.2" => *older = want,
            "tlsv1.3" => *newer = want,
            "tlsv1.0" | "tlsv1.1" => {}
            _ => return text,
        }
    }
    match wanted {
        [true, true] => "secure".to_owned(),
        [true, false] => "tlsv1.2".to_owned(),
        [false, true] => "tlsv1.3".to_owned(),
        [false, false] => text,
    }
}

/// A whole number as C's `strtol` reads it: decimal, `0x…`, or octal after a 0.
pub(super) fn number(text: &str) -> Result<i64, String> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let hex = digits.strip_prefix("0x").or(digits.strip_prefix("0X"));
    let (digits, radix) = match hex {
        Some(digits) => (digits, 16),
        None if digits.len() > 1 && digits.starts_with('0') => (digits, 8),
        None => (digits, 10),
    };
    let value = digits
        .starts_with(|c: char| c.is_ascii_hexdigit())
        .then(|| i64::from_str_radix(digits, radix).ok())
        .flatten();
    let value = value.ok_or_else(|| format!("expected a whole number, found \"{text}\""))?;
    Ok(if negative { -value } else { value })
}

fn millis(number: i64) -> String {
    match u64::try_from(number) {
        Ok(millis @ 1..) => units::show_duration(Duration::from_millis(millis)),
        _ => "off".to_owned(),
    }
}

/// A socket has no other bits than these.
fn mode(bits: i64) -> String {
    units::show_file_mode(u32::try_from(bits & 0o777).unwrap_or_default())
}

fn seconds(text: &str, zero: Zero) -> Result<String, String> {
    let wrong = || format!("expected a time in seconds, found \"{text}\"");
    let number: f64 = text.parse().map_err(|_| wrong())?;
    if !number.is_finite() || number < 0.0 {
        return Err(wrong());
    }
    if number > LONGEST && zero == Zero::Off {
        return Ok("off".to_owned());
    }
    let length = Duration::try_from_secs_f64(number).map_err(|_| wrong())?;
    let length = Duration::from_micros(u64::try_from(length.as_micros()).unwrap_or(u64::MAX));
    Ok(match zero {
        Zero::Off if length.is_zero() => "off".to_owned(),
        Zero::Least(least) => units::show_duration(length.max(least)),
        Zero::Off | Zero::Now => units::show_duration(length),
    })
}

/// A path from the root: PgBouncer's are relative to the directory it was started in.
fn absolute(text: &str) -> String {
    if text.is_empty() || text.starts_with('@') {
        return text.to_owned();
    }
    let path = std::path::absolute(Path::new(text));
    path.map_or_else(|_| text.to_owned(), |path| path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(form: Form, text: &str) -> Result<String, String> {
        let mut report = Report::default();
        let at = Place::whole(report.open(Path::new("a.ini")));
        Ok(match form.value(at, text)? {
            Value::Text { text, .. } => text,
            Value::Integer { shown, .. } => shown,
            Value::Bool(value) => value.to_string(),
            Value::List(items) => format!("{} items", items.len()),
            other => other.describe(),
        })
    }

    #[test]
    fn numbers_are_c_numbers() {
        for (text, value) in
            [("0", 0), ("20", 20), ("-1", -1), ("+7", 7), ("0x10", 16), ("017", 15)]
        {
            assert_eq!(number(text), Ok(value), "{text}");
        }
        for text in ["", "x", "1x", "09", "--1", "-+1", "1.5", "0x", " 1"] {
            assert!(number(text).is_err(), "{text}");
        }
        assert_eq!(shown(Form::Size, "0"), Ok(MANY.to_string()));
        for (form, text, value) in [
            (Form::Count, "-3", 0),
            (Form::Count, "3", 3),
            (Form::Count, "99999999999", MANY),
            (Form::Size, "-1", MANY),
            (Form::Size, "2147483647", MANY),
            (Form::Positive, "0", 1),
        ] {
            assert_eq!(shown(form, text), Ok(value.to_string()), "{form:?} {text}");
        }
        assert_eq!(shown(Form::Flag, "2"), Ok("true".into()));
        assert_eq!(shown(Form::Flag, "0"), Ok("false".into()));
        assert!(shown(Form::Flag, "yes").is_err());
    }

    #[test]
    fn times_are_seconds() {
        let off = Form::Seconds(Zero::Off);
        assert_eq!(shown(off, "0"), Ok("off".into()));
        assert_eq!(shown(off, "0.0"), Ok("off".into()));
        assert_eq!(shown(off, "120"), Ok("2m".into()));
        assert_eq!(shown(off, "1.5"), Ok("1s500ms".into()));
        assert_eq!(shown(off, "9e12"), Ok("off".into()));
        assert_eq!(shown(Form::Seconds(Zero::Now), "0"), Ok("0s".into()));
        let least = Form::Seconds(Zero::Least(Duration::from_millis(1)));
        assert_eq!(shown(least, "0"), Ok("1ms".into()));
        assert_eq!(shown(least, "2"), Ok("2s".into()));
        for text in ["", "5s", "-1", "nan", "inf", "1,5"] {
            assert!(shown(off, text).is_err(), "{text}");
        }
    }

    #[test]
    fn words_of_tls() {
        for (text, left) in [
            ("all", "secure"),
            ("Legacy", "secure"),
            ("tlsv1.0,tlsv1.1, tlsv1.2", "tlsv1.2"),
            ("all:!tlsv1.2", "tlsv1.3"),
            ("tlsv1.3,tlsv1.2", "secure"),
            ("tlsv1.1", "tlsv1.1"),
            ("sslv3,tlsv1.2", "sslv3,tlsv1.2"),
        ] {
            assert_eq!(shown(Form::Protocols, text), Ok(left.into()), "{text}");
        }
        for (text, ciphers) in [("fast", "default"), ("all", "ALL"), ("HIGH:!MD5", "HIGH:!MD5")] {
            assert_eq!(shown(Form::Ciphers, text), Ok(ciphers.into()), "{text}");
        }
    }

    #[test]
    fn modes_words_and_paths() {
        assert_eq!(shown(Form::Mode, "0770"), Ok("0770".into()));
        assert_eq!(shown(Form::Mode, "511"), Ok("0777".into()));
        assert_eq!(shown(Form::Mode, "777"), Ok("0411".into()), "decimal, as C has it");
        assert_eq!(shown(Form::Word, "Session"), Ok("session".into()));
        assert_eq!(shown(Form::List, "a, b,a"), Ok("2 items".into()));
        assert_eq!(shown(Form::Names, ", a,, b ,"), Ok("2 items".into()));
        assert_eq!(shown(Form::Names, ","), Ok("0 items".into()));
        assert_eq!(shown(Form::Verbosity, "1"), Ok("debug".into()));
        assert_eq!(shown(Form::Millis, "12500"), Ok("12s500ms".into()));
        assert_eq!(shown(Form::Millis, "0"), Ok("off".into()));
        assert_eq!(shown(Form::DeferAccept, "1"), Ok("45s".into()));
        assert_eq!(shown(Form::DeferAccept, "7"), Ok("7s".into()));
        assert_eq!(shown(Form::Bytes, "4096"), Ok("4096B".into()));
        assert_eq!(shown(Form::Path, ""), Ok(String::new()));
        let here = std::env::current_dir().unwrap();
        assert_eq!(shown(Form::Path, "x/y"), Ok(here.join("x/y").display().to_string()));
    }
}
