//! Texts that many clients share, kept once.

use ahash::AHashSet;
use parking_lot::Mutex;

use crate::types::Name;

/// Names looked through for those that nobody has any more: no sooner than there are so many.
const FEW: usize = 256;

/// Names in use. Those that nobody has any more are forgotten sooner or later.
#[derive(Debug, Default)]
pub struct Names {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    names: AHashSet<Name>,
    /// How many there may be before they are looked through.
    enough: usize,
}

impl Names {
    /// The one object for this text.
    pub fn intern(&self, text: &str) -> Name {
        let mut known = self.known.lock();
        if let Some(name) = known.names.get(text) {
            return Name::clone(name);
        }
        if known.names.len() >= known.enough {
            known.names.retain(|name| Name::strong_count(name) > 1);
            known.enough = FEW.max(2 * known.names.len());
        }
        let name = Name::from(text);
        known.names.insert(Name::clone(&name));
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_texts_are_one_object() {
        let names = Names::default();
        let (one, two) = (names.intern("psql"), names.intern("psql"));
        assert!(Name::ptr_eq(&one, &two));
        assert!(!Name::ptr_eq(&one, &names.intern("")));
    }

    #[test]
    fn names_that_nobody_has_are_forgotten() {
        let names = Names::default();
        let kept = names.intern("kept");
        for n in 0..10_000 {
            names.intern(&n.to_string());
        }
        assert!(names.known.lock().names.len() <= FEW);
        assert!(Name::ptr_eq(&kept, &names.intern("kept")));
    }
}
