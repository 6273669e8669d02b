//! What a kind of value is: how it is read from a file and shown again. Here: numbers, durations, sizes.

use std::marker::PhantomData;

use super::mistake::{Place, Report};
use super::tree::{Node, Value};
use super::units::{self, BadUnit};
use crate::types::{Part, Timeout};

/// A kind of value. Implementors are names for the type system and have no instances.
pub(super) trait Kind {
    /// What the program gets.
    type Value;

    /// What a file holds, in a word or two.
    const UNIT: &'static str = "text";

    /// The value of a setting that is not set and whose table entry shows no default.
    fn unset() -> Option<Self::Value> {
        None
    }

    /// Reads a value; `None` after a mistake was reported.
    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Self::Value>;

    /// Shows a value as a file would have it, without the quotes.
    fn show(value: &Self::Value) -> String;
}

/// The setting being read, and where its mistakes go.
pub(super) struct Reading<'a> {
    pub(super) report: &'a mut Report,
    pub(super) key: &'a str,
}

impl Reading<'_> {
    /// Notes a mistake in the value of this setting.
    pub(super) fn wrong(&mut self, at: Place, message: &str, help: Option<String>) {
        self.report.add(at, format!("`{}`: {message}", self.key), help);
    }

    /// Notes that the value is of another type than `expected`.
    pub(super) fn mismatch<T>(
        &mut self,
        node: &Node,
        expected: &str,
        help: Option<String>,
    ) -> Option<T> {
        if !matches!(node.value, Value::Broken) {
            let found = node.value.describe();
            self.wrong(node.at, &format!("expected {expected}, found {found}"), help);
        }
        None
    }

    /// A text without NUL, which the protocol cannot carry.
    pub(super) fn text<'n>(&mut self, node: &'n Node, expected: &str) -> Option<&'n str> {
        match &node.value {
            Value::Text { text, .. } if text.contains('\0') => {
                self.wrong(node.at, "a NUL character is not allowed", None);
                None
            }
            Value::Text { text, .. } => Some(text),
            _ => self.mismatch(node, expected, None),
        }
    }

    fn unit<T>(&mut self, at: Place, read: Result<T, BadUnit>) -> Option<T> {
        read.map_err(|bad| self.wrong(at, &bad.message, Some(bad.help.into()))).ok()
    }
}

/// `true` or `false`.
pub(super) struct Flag;

impl Kind for Flag {
    type Value = bool;

    const UNIT: &'static str = "true or false";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<bool> {
        match &node.value {
            Value::Bool(value) => Some(*value),
            Value::Text { text, loose: true } if text == "true" => Some(true),
            Value::Text { text, loose: true } if text == "false" => Some(false),
            Value::Text { text, .. } if text == "true" || text == "false" => {
                cx.mismatch(node, "`true` or `false`", Some("remove the quotes".into()))
            }
            _ => cx.mismatch(node, "`true` or `false`", None),
        }
    }

    fn show(value: &bool) -> String {
        value.to_string()
    }
}

/// A whole number from `MIN` to `MAX`.
pub(super) struct Int<T, const MIN: i64, const MAX: i64>(PhantomData<T>);

impl<T: TryFrom<i64> + ToString, const MIN: i64, const MAX: i64> Kind for Int<T, MIN, MAX> {
    type Value = T;

    const UNIT: &'static str = "number";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<T> {
        let expected = "a whole number";
        let (number, shown) = match &node.value {
            Value::Integer { value, shown } => (*value, shown),
            Value::Text { text, loose } => match (text.parse::<i64>(), loose) {
                (Ok(number), true) => (Some(number), text),
                (Ok(_), false) => {
                    return cx.mismatch(node, expected, Some("remove the quotes".into()));
                }
                (Err(_), _) => return cx.mismatch(node, expected, None),
            },
            _ => return cx.mismatch(node, expected, None),
        };
        let fits = number.filter(|n| (MIN..=MAX).contains(n)).and_then(|n| T::try_from(n).ok());
        if fits.is_none() {
            cx.wrong(
                node.at,
                &format!("{shown} is out of range; it must be from {MIN} to {MAX}"),
                None,
            );
        }
        fits
    }

    fn show(value: &T) -> String {
        value.to_string()
    }
}

/// More connections, clients or statements than anyone runs: a larger number is a slip of the pen.
pub(super) const MANY: i64 = 1_000_000;

/// A number of servers that limits nothing: what PgBouncer's sizes of 0 become.
pub const UNLIMITED: usize = 1_000_000;

/// A number of things.
pub(super) type Count<const MIN: i64> = Int<usize, MIN, MANY>;

/// A part of a pool: a number of servers, or a percentage in quotes.
pub(super) struct Share;

impl Kind for Share {
    type Value = Part;

    const UNIT: &'static str = "number or percentage";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Part> {
        if let Value::Text { text, .. } = &node.value
            && let Some(number) = text.strip_suffix('%')
        {
            let percent = number.parse().ok().filter(|percent| *percent <= 100);
            if percent.is_none() {
                cx.wrong(node.at, &format!("{text} must be from 0% to 100%"), None);
            }
            return percent.map(Part::Percent);
        }
        Count::<0>::read(node, cx).map(Part::Count)
    }

    fn show(value: &Part) -> String {
        match value {
            Part::Count(count) => count.to_string(),
            Part::Percent(percent) => format!("{percent}%"),
        }
    }
}

/// A largest number; 0 is no limit.
pub(super) struct Limit;

impl Kind for Limit {
    type Value = Option<usize>;

    const UNIT: &'static str = "number, 0 is no limit";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Option<usize>> {
        Count::<0>::read(node, cx).map(|count| (count > 0).then_some(count))
    }

    fn show(value: &Option<usize>) -> String {
        value.unwrap_or(0).to_string()
    }
}

/// `"auto"`, or another kind.
pub(super) struct Auto<K>(PhantomData<K>);

impl<K: Kind> Kind for Auto<K> {
    type Value = Option<K::Value>;

    const UNIT: &'static str = "number or auto";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Self::Value> {
        match &node.value {
            Value::Text { text, .. } if text == "auto" => Some(None),
            Value::Text { text, .. } if text.parse::<i64>().is_err() => {
                cx.mismatch(node, "\"auto\" or a whole number", None)
            }
            _ => K::read(node, cx).map(Some),
        }
    }

    fn show(value: &Self::Value) -> String {
        value.as_ref().map_or_else(|| "auto".into(), K::show)
    }
}

fn bare_number(node: &Node, unit: &str) -> Option<String> {
    match &node.value {
        Value::Integer { value: Some(n), .. } if *n >= 0 => Some(format!("write \"{n}{unit}\"")),
        _ => None,
    }
}

fn read_span(node: &Node, cx: &mut Reading<'_>, expected: &str, zero: ZeroRule) -> Option<Timeout> {
    let Value::Text { text, .. } = &node.value else {
        let help = match (&node.value, zero) {
            (Value::Integer { value: Some(0), .. }, ZeroRule::WriteOff) => {
                Some("write \"off\"".into())
            }
            _ => bare_number(node, "s"),
        };
        return cx.mismatch(node, expected, help);
    };
    let value = cx.unit(node.at, units::timeout(text))?;
    if value.is_some_and(|value| value.is_zero()) && zero != ZeroRule::Allowed {
        let help = (zero == ZeroRule::WriteOff).then(|| "write \"off\" for no limit".into());
        cx.wrong(node.at, "the duration must be longer than zero", help);
        return None;
    }
    Some(value)
}

/// What a duration of zero means.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ZeroRule {
    /// At once.
    Allowed,
    /// PgBouncer's way of switching off; here it would be a trap.
    WriteOff,
    /// A busy loop.
    Refused,
}

/// A limit in time, or `"off"`. Zero is refused: in PgBouncer it means off, by its looks it means at once.
pub(super) struct Limited;

impl Kind for Limited {
    type Value = Timeout;

    const UNIT: &'static str = "duration or off";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Timeout> {
        read_span(node, cx, "a duration such as \"10s\" or \"off\"", ZeroRule::WriteOff)
    }

    fn show(value: &Timeout) -> String {
        units::show_timeout(*value)
    }
}

/// A time after which something happens, `"0s"` for at once, or `"off"`.
pub(super) struct Delay;

impl Kind for Delay {
    type Value = Timeout;

    const UNIT: &'static str = "duration or off";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<Timeout> {
        read_span(node, cx, "a duration such as \"10s\", \"0s\" or \"off\"", ZeroRule::Allowed)
    }

    fn show(value: &Timeout) -> String {
        units::show_timeout(*value)
    }
}

/// A pause that cannot be switched off.
pub(super) struct Pause;

impl Kind for Pause {
    type Value = std::time::Duration;

    const UNIT: &'static str = "duration";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<std::time::Duration> {
        let value = read_span(node, cx, "a duration such as \"1s\"", ZeroRule::Refused)?;
        if value.is_none() {
            cx.wrong(
                node.at,
                "it cannot be off",
                Some("write a short duration such as \"100ms\"".into()),
            );
        }
        value
    }

    fn show(value: &std::time::Duration) -> String {
        units::show_duration(*value)
    }
}

/// An amount of memory.
pub(super) struct Bytes;

impl Kind for Bytes {
    type Value = usize;

    const UNIT: &'static str = "size";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<usize> {
        match &node.value {
            Value::Text { text, .. } => cx.unit(node.at, units::size(text)),
            _ => cx.mismatch(node, "a size such as \"64MiB\"", bare_number(node, "B")),
        }
    }

    fn show(value: &usize) -> String {
        units::show_size(*value)
    }
}

/// Permissions of a file.
pub(super) struct FileMode;

impl Kind for FileMode {
    type Value = u32;

    const UNIT: &'static str = "octal digits";

    fn read(node: &Node, cx: &mut Reading<'_>) -> Option<u32> {
        match &node.value {
            Value::Text { text, .. } => cx.unit(node.at, units::file_mode(text)),
            _ => {
                let help = Some("put the octal digits in quotes".into());
                cx.mismatch(node, "a file mode such as \"0777\"", help)
            }
        }
    }

    fn show(value: &u32) -> String {
        units::show_file_mode(*value)
    }
}
