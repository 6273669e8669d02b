//! Run-time parameters: sets of them, compared by identity, and the SQL that turns one set into another.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Weak};

use ahash::AHashMap;
use parking_lot::Mutex;

/// Parameters that PostgreSQL reports but no client can set (documentation, "Asynchronous Operations").
const READ_ONLY: [&str; 6] = [
    "server_version",
    "server_encoding",
    "is_superuser",
    "session_authorization",
    "integer_datetimes",
    "in_hot_standby",
];

/// True for a reported parameter that a client can set.
pub fn is_settable(name: &str) -> bool {
    !READ_ONLY.iter().any(|fixed| name.eq_ignore_ascii_case(fixed))
}

/// Name and value of every parameter that differs from the pool's default. Names are lower case, as PostgreSQL
/// compares them; values are raw bytes, since a start-up packet may hold any.
pub type Values = BTreeMap<Box<str>, Box<[u8]>>;

/// One set of values. Two equal sets of one [`ParamSets`] are the same object, so comparing costs one comparison.
#[derive(Debug, PartialEq, Eq)]
pub struct ParamSet {
    values: Values,
}

impl ParamSet {
    /// The values.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The value of a parameter, by its lower-case name.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.values.get(name).map(AsRef::as_ref)
    }
}

/// All sets that are in use. Sets that nobody holds any more are forgotten.
#[derive(Debug, Default)]
pub struct ParamSets {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    sets: AHashMap<u64, Vec<Weak<ParamSet>>>,
    /// Insertions until the next sweep for sets nobody holds.
    until_sweep: usize,
}

const SWEEP_EVERY: usize = 1024;

impl ParamSets {
    /// The one object for these values.
    pub fn intern(&self, values: Values) -> Arc<ParamSet> {
        let hash = HASHER.with(|hasher| hasher.hash_one(&values));
        let mut known = self.known.lock();
        let bucket = known.sets.entry(hash).or_default();
        bucket.retain(|set| set.strong_count() > 0);
        let found = bucket.iter().filter_map(Weak::upgrade).find(|set| set.values == values);
        if let Some(set) = found {
            return set;
        }
        let set = Arc::new(ParamSet { values });
        bucket.push(Arc::downgrade(&set));
        known.sweep();
        set
    }

    /// `set` with `name` changed to `value`; `None` removes it.
    pub fn with(&self, set: &Arc<ParamSet>, name: &str, value: Option<&[u8]>) -> Arc<ParamSet> {
        let name = name.to_ascii_lowercase();
        if set.get(&name) == value {
            return Arc::clone(set);
        }
        let mut values = set.values.clone();
        match value {
            Some(value) => values.insert(name.into(), value.into()),
            None => values.remove(name.as_str()),
        };
        self.intern(values)
    }
}

thread_local! {
    // The same keys for the whole process: the map is shared between threads.
    static HASHER: ahash::RandomState = const { ahash::RandomState::with_seeds(1, 2, 3, 4) };
}

impl Known {
    fn sweep(&mut self) {
        if self.until_sweep > 0 {
            self.until_sweep -= 1;
            return;
        }
        self.sets.retain(|_, bucket| {
            bucket.retain(|set| set.strong_count() > 0);
            !bucket.is_empty()
        });
        self.until_sweep = SWEEP_EVERY.max(self.sets.len());
    }
}

/// SQL that turns a session with `from` into one with `to`; `None` when there is nothing to do.
///
/// Every value is written as an escape string of ASCII characters only, so that it means the same under every
/// `client_encoding` and every `standard_conforming_strings`, and cannot end its own quotes. Values go through
/// `set_config`, which reads them as a start-up packet's values are read (lists included).
pub fn replay_sql(from: &ParamSet, to: &ParamSet) -> Option<String> {
    let mut sql = String::new();
    for name in from.values.keys().filter(|name| !to.values.contains_key(*name)) {
        sql.push_str("RESET ");
        push_name(&mut sql, name);
        sql.push(';');
    }
    let changed = to.values.iter().filter(|(name, value)| from.get(name) != Some(value));
    let mut separator = "SELECT ";
    for (name, value) in changed {
        sql.push_str(separator);
        sql.push_str("pg_catalog.set_config(");
        push_literal(&mut sql, name.as_bytes());
        sql.push(',');
        push_literal(&mut sql, value);
        sql.push_str(",false)");
        separator = ",";
    }
    (!sql.is_empty()).then_some(sql)
}

/// An identifier, or two with a dot between for a custom parameter, quoted.
fn push_name(sql: &mut String, name: &str) {
    for (index, part) in name.split('.').enumerate() {
        if index > 0 {
            sql.push('.');
        }
        sql.push('"');
        sql.push_str(&part.replace('"', "\"\""));
        sql.push('"');
    }
}

fn push_literal(sql: &mut String, value: &[u8]) {
    sql.push_str("E'");
    for &byte in value {
        match byte {
            b'\'' => sql.push_str("''"),
            b'\\' => sql.push_str("\\\\"),
            b' '..=b'~' => sql.push(char::from(byte)),
            // Infallible: the target is a String.
            _ => drop(write!(sql, "\\x{byte:02x}")),
        }
    }
    sql.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(pairs: &[(&str, &str)]) -> Values {
        pairs.iter().map(|(name, value)| ((*name).into(), value.as_bytes().into())).collect()
    }

    #[test]
    fn equal_sets_are_one_object() {
        let sets = ParamSets::default();
        let one = sets.intern(values(&[("timezone", "UTC")]));
        let two = sets.with(&sets.intern(Values::new()), "TimeZone", Some(b"UTC"));
        assert!(Arc::ptr_eq(&one, &two));
        assert!(Arc::ptr_eq(&sets.with(&one, "timezone", None), &sets.intern(Values::new())));
    }

    #[test]
    fn forgotten_sets_are_swept() {
        let sets = ParamSets::default();
        for n in 0..10_000 {
            drop(sets.intern(values(&[("application_name", &n.to_string())])));
        }
        assert!(sets.known.lock().sets.len() <= 2 * SWEEP_EVERY + 2);
    }

    #[test]
    fn replay_resets_what_is_gone_and_sets_what_differs() {
        let sets = ParamSets::default();
        let from = sets.intern(values(&[("datestyle", "German"), ("jit", "off"), ("my.x", "1")]));
        let to = sets.intern(values(&[("jit", "off"), ("timezone", "UTC"), ("work_mem", "4MB")]));
        assert_eq!(
            replay_sql(&from, &to).expect("a difference"),
            "RESET \"datestyle\";RESET \"my\".\"x\";\
             SELECT pg_catalog.set_config(E'timezone',E'UTC',false),\
             pg_catalog.set_config(E'work_mem',E'4MB',false)"
        );
        assert_eq!(replay_sql(&to, &to), None);
    }

    #[test]
    fn values_cannot_leave_their_quotes() {
        let mut sql = String::new();
        push_literal(&mut sql, b"\x95\\'; DROP TABLE t; --\n\xe9");
        assert_eq!(sql, r"E'\x95\\''; DROP TABLE t; --\x0a\xe9'");
    }

    #[test]
    fn settable_parameters_ignore_case() {
        assert!(is_settable("TimeZone"));
        assert!(!is_settable("Server_Version"));
    }
}
