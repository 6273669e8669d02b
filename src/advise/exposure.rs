//! How long requests worked, and how many others worked meanwhile.
//!
//! That requests take longer when many work at once can be seen in two ways that mislead: long requests meet more
//! others than short ones do, and a burst is over before those end that began in it. So requests are told apart by
//! what they found when they began, which does not depend on how long they are going to last: had the servers not
//! slowed each other down, every group would need the same work. How much work it was follows from the time that the
//! group spent beside so many others, for every law that is tried ([`Law::fit`](super::Law::fit)).

use super::sweep::steps;
use super::window::Window;

/// Levels are told apart up to here; beyond, the highest stands for all.
const HIGHEST: usize = 256;
/// How much less the past counts with each window that is added.
const FADING: f64 = 0.9;

/// The requests that found so many servers at work, their own included.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Group {
    /// How many.
    pub(super) requests: f64,
    /// The time they worked, by the number of servers that worked meanwhile, in microseconds.
    pub(super) time_at: Vec<f64>,
    /// The sum of the squares of their times.
    pub(super) squares: f64,
}

/// What windows have shown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Exposure {
    groups: Vec<Group>,
}

impl Exposure {
    /// Adds what a window shows; what was seen before counts a little less.
    pub fn absorb(&mut self, window: &Window) {
        for group in &mut self.groups {
            group.requests *= FADING;
            group.squares *= FADING;
            group.time_at.iter_mut().for_each(|time| *time *= FADING);
        }
        let mut working: Vec<Working> = Vec::new();
        // How long so many servers have worked, up to now.
        let (mut clock, mut now): (Vec<f64>, f64) = (Vec::new(), 0.0);
        for step in steps(window) {
            let level = working.len().min(HIGHEST);
            clock.resize(clock.len().max(level + 1), 0.0);
            clock[level] += step.at - now;
            now = step.at;
            if step.begins {
                // What began before the window did was not seen to begin.
                let level = (step.at > 0.0).then_some((working.len() + 1).min(HIGHEST));
                let since = clock.clone();
                working.push(Working { request: step.request, level, since, began: now });
            } else if let Some(at) = working.iter().position(|one| one.request == step.request) {
                let one = working.swap_remove(at);
                let is_whole = !window.requests.get(step.request).is_some_and(|one| one.is_open);
                if let Some(level) = one.level.filter(|_| is_whole && now < window.length) {
                    self.enter(level, &one, &clock, now);
                }
            }
        }
    }

    fn enter(&mut self, level: usize, one: &Working, clock: &[f64], now: f64) {
        if self.groups.len() <= level {
            self.groups.resize(level + 1, Group::default());
        }
        let group = &mut self.groups[level];
        group.time_at.resize(group.time_at.len().max(clock.len()), 0.0);
        // More may have worked since than ever before it began.
        let before = one.since.iter().copied().chain(std::iter::repeat(0.0));
        let spent = clock.iter().zip(before).map(|(now, then)| now - then);
        group.time_at.iter_mut().zip(spent).for_each(|(sum, time)| *sum += time);
        group.requests += 1.0;
        group.squares += (now - one.began).powi(2);
    }

    /// The groups that are large enough to say something, with what they found.
    pub(super) fn groups(&self, enough: f64) -> impl Iterator<Item = (usize, &Group)> {
        self.groups.iter().enumerate().filter(move |(_, group)| group.requests >= enough)
    }
}

/// A request at work.
struct Working {
    request: usize,
    /// How many worked when it began, itself included; `None` if nobody knows.
    level: Option<usize>,
    /// The clock when it began.
    since: Vec<f64>,
    began: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Request;

    #[test]
    fn time_is_split_by_the_number_of_servers_at_work() {
        // One from 10 to 50, the other from 30 to 60, silent from 55 on.
        let requests = vec![
            Request { ended: 50, hold: 40, ..Request::default() },
            Request { ended: 60, hold: 30, idle: 5, ..Request::default() },
        ];
        let mut exposure = Exposure::default();
        exposure.absorb(&Window { size: 2, length: 100.0, requests });
        let groups: Vec<_> = exposure.groups(1.0).collect();
        let (first, second) = (groups[0].1, groups[1].1);
        assert_eq!((groups[0].0, groups[1].0), (1, 2));
        assert_eq!((first.time_at[1], first.time_at[2], first.squares), (20.0, 20.0, 1600.0));
        assert_eq!((second.time_at[1], second.time_at[2], second.squares), (5.0, 20.0, 625.0));
    }

    #[test]
    fn what_was_not_seen_whole_does_not_count() {
        let requests = vec![
            Request { ended: 20, hold: 40, ..Request::default() },
            Request { ended: 100, hold: 40, is_open: true, ..Request::default() },
        ];
        let mut exposure = Exposure::default();
        exposure.absorb(&Window { size: 2, length: 100.0, requests });
        assert_eq!(exposure.groups(0.5).count(), 0);
    }
}
