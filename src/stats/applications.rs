//! How long servers are held, and held in silence, by application.

use parking_lot::Mutex;

use super::{Counter, PoolStats};
use crate::types::Name;

/// So many applications of a pool are told apart, those that share the first number included.
const MANY: usize = 32;

/// Names of a pool's applications, by number. The first that come have numbers of their own; all others share number 0.
#[derive(Debug, Default)]
pub struct Applications {
    names: Mutex<Vec<Name>>,
}

/// One thread's counts of all applications. Times are in microseconds.
#[derive(Debug)]
pub struct ApplicationCells([Cells; MANY]);

#[derive(Debug, Default)]
struct Cells {
    held: Counter,
    idle: Counter,
}

/// What one application's clients did with their servers. Times are in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplicationHolds {
    /// What it calls itself; `None` for all that have no number of their own.
    pub name: Option<Name>,
    /// How long its clients held servers.
    pub held: u64,
    /// How long of that they were silent inside their transactions.
    pub idle: u64,
}

impl Applications {
    /// The number of an application.
    pub fn number(&self, name: &Name) -> u8 {
        let mut names = self.names.lock();
        let at = names.iter().position(|known| known == name);
        let at = at.or_else(|| {
            let has_room = names.len() + 1 < MANY;
            has_room.then(|| names.push(Name::clone(name)));
            has_room.then(|| names.len() - 1)
        });
        at.and_then(|at| u8::try_from(at + 1).ok()).unwrap_or_default()
    }

    /// What each application's clients did, by number.
    pub fn holds(&self, stats: &PoolStats) -> Vec<ApplicationHolds> {
        let names = self.names.lock();
        let sum = |number: usize, pick: fn(&Cells) -> &Counter| {
            let shares = stats.shares().iter().filter_map(|share| share.applications.0.get(number));
            shares.map(|cells| pick(cells).get()).sum()
        };
        let names = std::iter::once(None).chain(names.iter().map(|name| Some(Name::clone(name))));
        let holds = names.enumerate().map(|(number, name)| ApplicationHolds {
            name,
            held: sum(number, |cells| &cells.held),
            idle: sum(number, |cells| &cells.idle),
        });
        holds.collect()
    }
}

impl Default for ApplicationCells {
    fn default() -> Self {
        ApplicationCells(std::array::from_fn(|_| Cells::default()))
    }
}

impl ApplicationCells {
    /// A client of this application gave its server back.
    pub fn add(&self, number: u8, held: u64, idle: u64) {
        if let Some(cells) = self.0.get(usize::from(number)) {
            cells.held.add(held);
            cells.idle.add(idle.min(held));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Buckets;
    use crate::types::WorkerId;

    #[test]
    fn the_first_have_numbers_and_the_others_share_one() {
        let applications = Applications::default();
        for number in 1..MANY {
            let name = number.to_string().into();
            assert_eq!(usize::from(applications.number(&name)), number);
            assert_eq!(usize::from(applications.number(&name)), number);
        }
        assert_eq!(applications.number(&"one too many".into()), 0);
        assert_eq!(applications.number(&"7".into()), 7);
    }

    #[test]
    fn holds_are_summed_over_threads() {
        let (applications, stats) =
            (Applications::default(), PoolStats::new(2, &Buckets::new(&[])));
        let number = applications.number(&"shop".into());
        stats.of(WorkerId(0)).applications.add(number, 10, 4);
        stats.of(WorkerId(1)).applications.add(number, 5, 50);
        stats.of(WorkerId(1)).applications.add(0, 3, 0);
        let other = ApplicationHolds { name: None, held: 3, idle: 0 };
        let shop = ApplicationHolds { name: Some("shop".into()), held: 15, idle: 9 };
        assert_eq!(applications.holds(&stats), [other, shop]);
    }
}
