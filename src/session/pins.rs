//! What ties a client to its server: noted from the text of statements, confirmed by the server.

use crate::sql::{Action, Discard, Piece, Traits, Value, Verdict};
use crate::stats::{Cause, Causes, PinGuard};

/// Causes whose end the server's catalog shows.
pub const CONFIRMABLE: Causes = Causes::of(Cause::Prepare)
    .or(Causes::of(Cause::AdvisoryLock))
    .or(Causes::of(Cause::TempObject))
    .or(Causes::of(Cause::HoldCursor))
    .or(Causes::of(Cause::SessionAuthorization));

/// Causes that DISCARD ALL does not take away: the server is of no use to anybody else.
pub const LASTING: Causes =
    Causes::of(Cause::Load).or(Causes::of(Cause::Seed)).or(Causes::of(Cause::ReplicationOrigin));

/// The ties of one client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pins {
    /// What the client holds.
    held: Causes,
    /// What its statements under way may leave.
    tentative: Causes,
    /// Something may have ended.
    ending: bool,
}

impl Pins {
    /// What ties the client now.
    pub fn causes(&self) -> Causes {
        self.held.or(self.tentative)
    }

    /// True while nothing does.
    pub fn is_empty(&self) -> bool {
        self.causes().is_empty()
    }

    /// A statement that may do this is sent.
    pub fn begin(&mut self, causes: Causes) {
        self.tentative = self.tentative.or(causes);
    }

    /// It is known that the client holds this.
    pub fn hold(&mut self, causes: Causes) {
        self.held = self.held.or(causes);
    }

    /// A statement has succeeded. What no catalog shows is believed.
    pub fn completed(&mut self, piece: &Piece) {
        self.held = self.held.or(causes_of(piece).without(CONFIRMABLE));
        match &piece.action {
            // PostgreSQL keeps what a library, a seed or an origin has changed.
            Action::Discard(Discard::All) => {
                self.held = self.held.and(CONFIRMABLE.or(LASTING).or(Cause::Session.into()));
            }
            Action::Discard(Discard::Sequences) => {
                self.held = self.held.without(Cause::Sequence.into());
            }
            _ => {}
        }
        self.ending |= may_end(piece);
    }

    /// True when there is something to ask, or to forget.
    pub fn is_open(&self) -> bool {
        self.ending || !self.tentative.is_empty()
    }

    /// What the server has to be asked about, now that it is at rest. Where there is nothing to ask, what did not
    /// succeed is forgotten.
    pub fn question(&mut self) -> Option<Causes> {
        self.tentative = self.tentative.and(CONFIRMABLE);
        let open = if self.ending { self.held.and(CONFIRMABLE) } else { Causes::NONE };
        let asked = open.or(self.tentative);
        if asked.is_empty() {
            self.ending = false;
            return None;
        }
        Some(asked)
    }

    /// The server's answer: of those asked about, these are there.
    pub fn answered(&mut self, asked: Causes, found: Causes) {
        self.held = self.held.without(asked).or(found.and(asked));
        self.tentative = self.tentative.without(asked);
        self.ending = false;
    }

    /// The server refused to answer: whatever may be there is held to be.
    pub fn unanswered(&mut self) {
        self.held = self.causes();
        self.tentative = Causes::NONE;
        self.ending = false;
    }
}

/// A client that keeps its server.
#[derive(Debug)]
pub struct Pinned {
    /// What ties it.
    pub pins: Pins,
    /// Its entry in the books.
    pub guard: PinGuard,
    /// What the server is being asked about.
    pub asked: Option<Causes>,
}

impl Pinned {
    /// Enters what ties it now.
    pub fn show(&mut self) {
        let causes = self.pins.causes();
        self.guard.change(causes);
    }
}

/// Whether a client uses what `nextval` leaves in a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sequences {
    /// It was seen doing so.
    pub is_used: bool,
    /// The server it holds has it from this client.
    pub is_here: bool,
    /// The server it holds may have it from another client, and is to forget it.
    pub is_stale: bool,
}

/// What a statement may leave in the session.
pub fn causes_of(piece: &Piece) -> Causes {
    let mut causes = Causes::NONE;
    let mut add = |is: bool, cause: Cause| {
        if is {
            causes = causes.or(cause.into());
        }
    };
    let traits = piece.traits;
    add(traits.has(Traits::ADVISORY_LOCK), Cause::AdvisoryLock);
    add(traits.has(Traits::TEMP), Cause::TempObject);
    add(traits.has(Traits::SETSEED), Cause::Seed);
    add(traits.has(Traits::REPLICATION_ORIGIN), Cause::ReplicationOrigin);
    add(traits.has(Traits::UNSURE), Cause::Unknown);
    match &piece.action {
        Action::Prepare(_) => add(true, Cause::Prepare),
        Action::Declare { hold, .. } => add(*hold, Cause::HoldCursor),
        Action::Load => add(true, Cause::Load),
        Action::SetSessionAuthorization(setting) => {
            add(!setting.local && setting.value != Value::Default, Cause::SessionAuthorization);
        }
        _ => {}
    }
    causes
}

/// What a string of statements may leave in the session.
pub fn causes_of_all(verdict: &Verdict) -> Causes {
    verdict.pieces.iter().fold(Causes::NONE, |all, piece| all.or(causes_of(piece)))
}

/// Whether a statement uses what `nextval` has left in the session, and whether it leaves that.
pub fn sequence_use(verdict: &Verdict) -> (bool, bool) {
    let traits = verdict.traits();
    let uses = traits.has(Traits::CURRVAL | Traits::LASTVAL);
    (uses, traits.has(Traits::NEXTVAL | Traits::SETVAL))
}

/// True for what may end a tie.
fn may_end(piece: &Piece) -> bool {
    const ENDING: Traits = Traits::ADVISORY_UNLOCK;
    let ends = |traits: Traits| piece.traits.has(traits);
    ends(ENDING)
        || ends(Traits::ADVISORY_UNLOCK_ALL)
        || ends(Traits::OPAQUE)
        || ends(Traits::TEMP)
        || matches!(
            piece.action,
            Action::Close(_)
                | Action::Drop
                | Action::Deallocate(_)
                | Action::Discard(_)
                | Action::UnlockAll
                | Action::SetSessionAuthorization(_)
                | Action::Reset(_)
        )
}

#[cfg(test)]
#[path = "pins_tests.rs"]
mod tests;
