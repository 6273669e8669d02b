//! Values with a unit: durations, sizes and octal file modes, read and written back exactly.

use std::time::Duration;

use crate::types::Timeout;

/// Why a text is not the value it should be, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BadUnit {
    pub(super) message: String,
    pub(super) help: &'static str,
}

const DURATION_HELP: &str =
    "write whole numbers with us, ms, s, m, h or d, such as \"10s\" or \"1h30m\"";
const SIZE_HELP: &str =
    "write a whole number with B, kB, MB, GB, KiB, MiB or GiB, such as \"64MiB\"";
const MODE_HELP: &str = "write three octal digits after a 0, such as \"0777\"";

/// Longest duration: adding it to the clock must never overflow, and nobody means more.
const LONGEST: Duration = Duration::from_secs(3650 * 86_400);

/// A unit and its worth in the smallest one.
type Unit = (&'static str, u64);

/// Largest first, as compounds must be written.
const DURATION_UNITS: [Unit; 6] = [
    ("d", 86_400_000_000),
    ("h", 3_600_000_000),
    ("m", 60_000_000),
    ("s", 1_000_000),
    ("ms", 1_000),
    ("us", 1),
];

const SIZE_UNITS: [Unit; 8] = [
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("kB", 1_000),
    ("KB", 1_000),
    ("B", 1),
];

fn bad(message: impl Into<String>, help: &'static str) -> BadUnit {
    BadUnit { message: message.into(), help }
}

/// Splits `"30m…"` into `(30, "m", "…")`.
fn number_and_unit(text: &str) -> Option<(&str, &str, &str)> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, rest) = text.split_at(digits);
    let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(letters);
    (!number.is_empty()).then_some((number, unit, rest))
}

/// Reads `"500ms"`, `"10s"`, `"1h30m"`.
pub(super) fn duration(text: &str) -> Result<Duration, BadUnit> {
    if text.is_empty() {
        return Err(bad("the duration is empty", DURATION_HELP));
    }
    let mut rest = text;
    let mut total: u64 = 0;
    let mut smaller = &DURATION_UNITS[..];
    while !rest.is_empty() {
        let part = number_and_unit(rest);
        let (number, unit, tail) =
            part.ok_or_else(|| bad(format!("\"{text}\" is not a duration"), DURATION_HELP))?;
        let (micros, below) = duration_unit(text, unit, smaller)?;
        total = number
            .parse::<u64>()
            .ok()
            .and_then(|count| count.checked_mul(micros))
            .and_then(|part| part.checked_add(total))
            .filter(|total| Duration::from_micros(*total) <= LONGEST)
            .ok_or_else(|| {
                bad(format!("\"{text}\" is too long"), "the longest duration is \"3650d\"")
            })?;
        smaller = below;
        rest = tail;
    }
    Ok(Duration::from_micros(total))
}

/// The worth of `unit`, and the units that may still follow it.
fn duration_unit<'u>(
    text: &str,
    unit: &str,
    allowed: &'u [Unit],
) -> Result<(u64, &'u [Unit]), BadUnit> {
    if let Some(i) = allowed.iter().position(|(name, _)| *name == unit) {
        return Ok((allowed[i].1, &allowed[i + 1..]));
    }
    let message = if unit.is_empty() {
        format!("\"{text}\" has no unit")
    } else if DURATION_UNITS.iter().any(|(name, _)| *name == unit) {
        format!("in \"{text}\" larger units must come first, each once")
    } else {
        format!("unknown unit `{unit}` in \"{text}\"")
    };
    Err(bad(message, DURATION_HELP))
}

/// Reads a duration or `"off"`.
pub(super) fn timeout(text: &str) -> Result<Timeout, BadUnit> {
    if text == "off" { Ok(None) } else { duration(text).map(Some) }
}

/// Reads `"64MiB"`, `"10MB"`.
pub(super) fn size(text: &str) -> Result<usize, BadUnit> {
    let Some((number, unit, "")) = number_and_unit(text) else {
        let message = if text.is_empty() {
            "the size is empty".into()
        } else {
            format!("\"{text}\" is not a size")
        };
        return Err(bad(message, SIZE_HELP));
    };
    let Some((_, bytes)) = SIZE_UNITS.iter().find(|(name, _)| *name == unit) else {
        let message = if unit.is_empty() {
            format!("\"{text}\" has no unit")
        } else {
            format!("unknown unit `{unit}` in \"{text}\"")
        };
        return Err(bad(message, SIZE_HELP));
    };
    number
        .parse::<u64>()
        .ok()
        .and_then(|count| count.checked_mul(*bytes))
        .filter(|total| *total <= 1 << 40)
        .and_then(|total| usize::try_from(total).ok())
        .ok_or_else(|| bad(format!("\"{text}\" is too large"), "the largest size is \"1024GiB\""))
}

/// Reads `"0777"`.
pub(super) fn file_mode(text: &str) -> Result<u32, BadUnit> {
    let octal =
        !text.is_empty() && text.len() <= 4 && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| octal && *mode <= 0o777)
        .ok_or_else(|| bad(format!("\"{text}\" is not a file mode"), MODE_HELP))
}

/// Writes a duration so that [`duration`] reads the same value.
pub(super) fn show_duration(value: Duration) -> String {
    let mut rest = u64::try_from(value.as_micros()).unwrap_or(u64::MAX);
    if rest == 0 {
        return "0s".into();
    }
    let mut out = String::new();
    for (unit, micros) in DURATION_UNITS {
        let count = rest / micros;
        rest %= micros;
        if count > 0 {
            out.push_str(&format!("{count}{unit}"));
        }
    }
    out
}

/// Writes a timeout so that [`timeout`] reads the same value.
pub(super) fn show_timeout(value: Timeout) -> String {
    value.map_or_else(|| "off".into(), show_duration)
}

/// Writes a size so that [`size`] reads the same value.
pub(super) fn show_size(value: usize) -> String {
    let value = value as u64;
    let fits = SIZE_UNITS.iter().find(|(_, bytes)| value > 0 && value.is_multiple_of(*bytes));
    let (unit, bytes) = fits.unwrap_or(&("B", 1));
    format!("{}{unit}", value / bytes)
}

/// Writes a file mode so that [`file_mode`] reads the same value.
pub(super) fn show_file_mode(value: u32) -> String {
    format!("{value:04o}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn micros(text: &str) -> u128 {
        duration(text).unwrap().as_micros()
    }

    fn why(text: &str) -> String {
        duration(text).unwrap_err().message
    }

    #[test]
    fn durations_carry_units() {
        assert_eq!(micros("250us"), 250);
        assert_eq!(micros("500ms"), 500_000);
        assert_eq!(micros("10s"), 10_000_000);
        assert_eq!(micros("5m"), 300_000_000);
        assert_eq!(micros("1h30m"), 5_400_000_000);
        assert_eq!(micros("1d"), 86_400_000_000);
        assert_eq!(micros("0s"), 0);
        assert_eq!(timeout("off"), Ok(None));
    }

    #[test]
    fn bad_durations_say_why() {
        assert_eq!(why(""), "the duration is empty");
        assert_eq!(why("10"), "\"10\" has no unit");
        assert_eq!(why("-5s"), "\"-5s\" is not a duration");
        assert_eq!(why("5 s"), "unknown unit ` s` in \"5 s\"");
        assert_eq!(why("1.5h"), "unknown unit `.` in \"1.5h\"");
        assert_eq!(why("10sec"), "unknown unit `sec` in \"10sec\"");
        assert_eq!(why("30m1h"), "in \"30m1h\" larger units must come first, each once");
        assert_eq!(why("1s1s"), "in \"1s1s\" larger units must come first, each once");
        assert_eq!(why("99999999999999999999s"), "\"99999999999999999999s\" is too long");
        assert_eq!(why("3651d"), "\"3651d\" is too long");
    }

    #[test]
    fn sizes_and_modes() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("10MB"), Ok(10_000_000));
        assert_eq!(size("512B"), Ok(512));
        assert_eq!(size("1M").unwrap_err().message, "unknown unit `M` in \"1M\"");
        assert_eq!(size("12").unwrap_err().message, "\"12\" has no unit");
        assert_eq!(size("").unwrap_err().message, "the size is empty");
        assert_eq!(size("-1B").unwrap_err().message, "\"-1B\" is not a size");
        assert_eq!(size("99999999999GiB").unwrap_err().message, "\"99999999999GiB\" is too large");
        assert_eq!(file_mode("0777"), Ok(0o777));
        assert_eq!(file_mode("600"), Ok(0o600));
        for wrong in ["", "888", "1777", "rwx", "+77", "00777"] {
            assert!(file_mode(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back(us in 0u64..=3650 * 86_400_000_000, bytes in 0usize..=1 << 40, mode in 0u32..=0o777) {
            let length = Duration::from_micros(us);
            prop_assert_eq!(duration(&show_duration(length)), Ok(length));
            prop_assert_eq!(size(&show_size(bytes)), Ok(bytes));
            prop_assert_eq!(file_mode(&show_file_mode(mode)), Ok(mode));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,12}") {
            let _ = (timeout(&text), size(&text), file_mode(&text));
        }
    }
}
