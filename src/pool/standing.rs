//! What a client's class entitles it to.

use super::core::Core;
use super::{ClassId, ClassRules, Outlook, Pool, PoolError};
use crate::config::{Class, ClassMarks, PoolSettings};
use crate::types::{Name, Timeout};
use std::time::Instant;

/// A client's class in one pool, and how long its queue may be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whose queue it waits in.
    pub class: ClassId,
    /// So many may wait there.
    pub max_queue: Option<usize>,
    /// So long may it have to wait.
    pub deadline: Timeout,
}

impl Standing {
    /// Why a client is not let into its queue now.
    pub(super) fn refusal<S, W>(&self, core: &Core<S, W>, now: Instant) -> Option<PoolError> {
        if self.max_queue.is_none() && self.deadline.is_none() {
            return None;
        }
        let (ahead, expected) = core.outlook(self.class, now);
        let outlook = || Box::new(Outlook { ahead, expected });
        if self.max_queue.is_some_and(|max| ahead >= max) {
            return Some(PoolError::QueueFull(outlook()));
        }
        let late = self.deadline.zip(expected).is_some_and(|(deadline, wait)| wait > deadline);
        (late && !core.is_paused()).then(|| PoolError::TooLate(outlook()))
    }
}

impl Pool {
    /// What a client with these marks is entitled to.
    pub fn standing(&self, settings: &PoolSettings, marks: ClassMarks<'_>) -> Standing {
        let class = settings.classes.iter().find(|class| class.includes(marks));
        let Some(Class { name, settings: rules }) = class else {
            let (max_queue, deadline) = (settings.max_queue, settings.queue_deadline);
            return Standing { class: ClassId::EVERYBODY, max_queue, deadline };
        };
        Standing {
            class: self.class(name),
            max_queue: rules.max_queue.or(settings.max_queue),
            deadline: rules.queue_deadline.or(settings.queue_deadline),
        }
    }
}

/// The classes of a configuration as the schedule knows them.
pub(super) fn rules(settings: &PoolSettings) -> Vec<ClassRules> {
    let rules = settings.classes.iter().map(|class| ClassRules {
        name: Name::clone(&class.name),
        weight: class.settings.weight,
        min: class.settings.min_servers,
        max: class.settings.max_servers,
        priority: class.settings.priority,
    });
    rules.collect()
}
