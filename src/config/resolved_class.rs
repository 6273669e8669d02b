//! Classes of clients, resolved.

use crate::types::{Name, Timeout};

/// One `[classes.NAME]`: clients that wait in a queue of their own.
#[derive(Clone, Debug, PartialEq)]
pub struct Class {
    /// What it is called.
    pub name: Name,
    /// Who belongs to it, and what they are entitled to.
    pub settings: ClassSettings,
}

/// What a `[classes.NAME]` says.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassSettings {
    /// Databases, as clients call them; empty: all.
    pub databases: Vec<Name>,
    /// Users that clients log in as; empty: all.
    pub users: Vec<Name>,
    /// Values of `application_name`, `*` for any characters; empty: all.
    pub application_names: Vec<Name>,
    /// Values of the parameter `pgusher.class`; empty: all.
    pub tags: Vec<Name>,
    /// Its part of the servers' time, against classes of its priority.
    pub weight: u32,
    /// While it has fewer servers of a pool than this and wants one, it is next.
    pub min_servers: usize,
    /// It never has more servers of a pool than this; `None`: no limit.
    pub max_servers: Option<usize>,
    /// Classes of a higher priority are served first.
    pub priority: u8,
    /// Its clients that may wait for one pool; `None`: the pool's `max_queue`.
    pub max_queue: Option<usize>,
    /// How long its clients may have to wait; `None`: the pool's `queue_deadline`.
    pub queue_deadline: Timeout,
}

/// What a client's class is told by.
#[derive(Clone, Copy, Debug)]
pub struct ClassMarks<'a> {
    /// The database it asked for.
    pub database: &'a str,
    /// Who it logged in as.
    pub user: &'a str,
    /// Its application_name.
    pub application_name: &'a str,
    /// Its parameter `pgusher.class`; empty if it has none.
    pub tag: &'a str,
}

impl Class {
    /// True when clients of this database may belong to it.
    pub fn is_for(&self, database: &str) -> bool {
        lists(&self.settings.databases, |name| name == database)
    }

    /// True when a client belongs to it.
    pub fn includes(&self, marks: ClassMarks<'_>) -> bool {
        self.is_for(marks.database)
            && lists(&self.settings.users, |name| name == marks.user)
            && lists(&self.settings.application_names, |name| is_like(marks.application_name, name))
            && lists(&self.settings.tags, |name| name == marks.tag)
    }
}

fn lists(names: &[Name], is_it: impl Fn(&str) -> bool) -> bool {
    names.is_empty() || names.iter().any(|name| is_it(name))
}

/// Compares a text with a pattern in which `*` stands for any characters.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(mut text) = text.strip_prefix(start) else { return false };
    let mut parts: Vec<_> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        // The first place will do: what is left is longest then.
        let Some(at) = text.find(part) else { return false };
        text = text.get(at + part.len()..).unwrap_or_default();
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_stars_and_letters() {
        for (text, pattern, expected) in [
            ("celery", "celery", true),
            ("celery", "celer", false),
            ("celery beat", "celery*", true),
            ("my celery", "*celery", true),
            ("celery", "*", true),
            ("", "*", true),
            ("abcabc", "a*c*c", true),
            ("abc", "a*c*c", false),
            ("ab", "ab*b", false),
            ("aXbXc", "a*b*c", true),
        ] {
            assert_eq!(is_like(text, pattern), expected, "{text} {pattern}");
        }
    }
}
