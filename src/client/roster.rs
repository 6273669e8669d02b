//! How many workers carry the clients, and who is to move where. Pure.
//!
//! A second thread makes every transaction dearer by about a third (sockets change hands, and two threads are woken where one
//! was awake), so clients are packed on as few workers as carry them. One that is full shares with the
//! least busy, or with one more; when all would fit on one worker less, and have for [`CALM`] periods, the last of them
//! goes out of service. Between growing and shrinking lies more than what the second thread costs, so that neither
//! brings about the other.

/// Workers gather when with one less none would be busier on average than this part of what is full.
const ROOMY: f64 = 0.7;
/// So many periods in a row, or a short rest would gather what is spread again at once.
const CALM: u32 = 5;
/// After a move, so many periods say nothing: clients move between their transactions, and then it has to be measured.
const SETTLING: u32 = 2;
/// Workers that are apart by less than this part of what is full are equally busy.
const WORTH_A_MOVE: f64 = 0.3;

/// What a worker has been doing for a period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Load {
    /// The part of the time in which its thread was running.
    pub(super) busy: f64,
    /// Clients that asked for something.
    pub(super) clients: usize,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many clients of one worker go to another.
    Share {
        /// Who has too many.
        from: usize,
        /// Who has room; the first that was out of service comes in for this.
        to: usize,
        /// How many.
        clients: usize,
    },
    /// This worker goes out of service, and all its clients go to the others.
    Retire(usize),
}

/// Which workers are in service: the first so many.
#[derive(Debug)]
pub(super) struct Roster {
    /// A worker that is busy for more of the time than this is to share.
    full: f64,
    active: usize,
    calm: u32,
    settling: u32,
}

impl Roster {
    /// One worker, which shares when it is busy for more of the time than `full`.
    pub(super) fn new(full: f64) -> Self {
        Roster { full, active: 1, calm: 0, settling: 0 }
    }

    /// How many are in service.
    pub(super) fn active(&self) -> usize {
        self.active
    }

    /// Looks at what all workers did in the last period.
    pub(super) fn judge(&mut self, loads: &[Load]) -> Option<Step> {
        if self.settling > 0 {
            self.settling -= 1;
            return None;
        }
        let step = self.share(loads).or_else(|| self.gather(loads))?;
        self.settling = SETTLING;
        self.calm = 0;
        Some(step)
    }

    fn share(&mut self, loads: &[Load]) -> Option<Step> {
        let active = || loads.iter().copied().enumerate().take(self.active);
        let (from, high) = active().max_by(|(_, a), (_, b)| a.busy.total_cmp(&b.busy))?;
        let (to, low) = active().min_by(|(_, a), (_, b)| a.busy.total_cmp(&b.busy))?;
        if high.busy <= self.full {
            return None;
        }
        let is_uneven = high.busy - low.busy > WORTH_A_MOVE * self.full;
        let (to, low) = match is_uneven {
            true => (to, low.busy),
            false if self.active < loads.len() => (self.active, 0.0),
            false => return None,
        };
        let clients = part(high.clients, (high.busy - low) / (2.0 * high.busy));
        if clients == 0 {
            return None;
        }
        self.active = self.active.max(to + 1);
        Some(Step::Share { from, to, clients })
    }

    fn gather(&mut self, loads: &[Load]) -> Option<Step> {
        let fewer = self.active - 1;
        let busy: f64 = loads.iter().take(self.active).map(|load| load.busy).sum();
        #[allow(clippy::cast_precision_loss, reason = "a few hundred at most")]
        let is_roomy = fewer > 0 && busy < fewer as f64 * ROOMY * self.full;
        self.calm = if is_roomy { self.calm + 1 } else { 0 };
        if self.calm < CALM {
            return None;
        }
        self.active = fewer;
        Some(Step::Retire(fewer))
    }
}

/// A part of a number, not rounded up.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "numbers of clients, and a part between 0 and 1"
)]
fn part(all: usize, part: f64) -> usize {
    (all as f64 * part) as usize
}

#[cfg(test)]
#[path = "roster_tests.rs"]
mod tests;
