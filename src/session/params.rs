//! Run-time parameters: sets of them, compared by identity.

use std::collections::BTreeMap;
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

/// What a server said at its login.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// Parameters, by name: the pool's defaults.
    pub values: Vec<(Box<str>, Box<[u8]>)>,
    /// NoticeResponse messages.
    pub notices: Vec<Box<[u8]>>,
}

impl Reported {
    /// The value of a parameter, by name in any case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.values
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_ref())
    }

    /// True when the server tells every change of this parameter.
    pub fn tells(&self, name: &str) -> bool {
        is_settable(name) && self.get(name).is_some()
    }
}

/// Name and value of every parameter that differs from the pool's default. Names are lower case, as PostgreSQL
/// compares them; values are raw bytes, since a start-up packet may hold any.
pub type Values = BTreeMap<Box<str>, Box<[u8]>>;

/// One set of values. Two equal sets of one [`ParamSets`] are the same object, so comparing costs one comparison.
#[derive(Debug, Default, PartialEq, Eq)]
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

    /// Roughly the memory it takes.
    pub fn weight(&self) -> usize {
        self.values.iter().map(|(name, value)| name.len() + value.len() + 64).sum()
    }
}

/// All sets that are in use. Sets that nobody holds any more are forgotten.
#[derive(Debug, Default)]
pub struct ParamSets {
    known: Mutex<Known>,
    /// What most clients ask for: no values.
    none: Arc<ParamSet>,
    /// Clients choose the values: its keys are random, so that nobody can aim at one bucket.
    hasher: ahash::RandomState,
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
        if values.is_empty() {
            return Arc::clone(&self.none);
        }
        let hash = self.hasher.hash_one(&values);
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

    /// `set`, but with the values `other` has for the names that `takes` chooses.
    pub fn mixed(
        &self,
        set: &ParamSet,
        other: &ParamSet,
        takes: impl Fn(&str) -> bool,
    ) -> Arc<ParamSet> {
        let own = set.values.iter().filter(|(name, _)| !takes(name));
        let taken = other.values.iter().filter(|(name, _)| takes(name));
        self.intern(own.chain(taken).map(|(name, value)| (name.clone(), value.clone())).collect())
    }
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
    fn settable_parameters_ignore_case() {
        assert!(is_settable("TimeZone"));
        assert!(!is_settable("Server_Version"));
    }
}
