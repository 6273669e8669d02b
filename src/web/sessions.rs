//! Who has signed in: pure, but for randomness and the console that each holds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use subtle::ConstantTimeEq;

use super::Desk;

/// The cookie.
pub(super) const COOKIE: &str = "pgusher_session";
/// More people than this are not signed in at a time: the one who was away for longest has to go.
const MOST: usize = 16;
/// Whoever asks nothing for so long is signed out. The page asks every second or so while it is on view.
const AWAY: Duration = Duration::from_secs(15 * 60);
/// Nobody stays signed in for longer.
const LONGEST: Duration = Duration::from_secs(12 * 60 * 60);
const BYTES: usize = 32;

/// Somebody who has signed in.
pub(super) struct Session {
    token: String,
    /// What the page has to say beside the cookie, which other pages make browsers send.
    pub(super) guard: String,
    pub(super) user: String,
    pub(super) desk: Box<dyn Desk>,
    since: Instant,
}

impl Session {
    /// True when the page, and not another one, asks.
    pub(super) fn is_guarded_by(&self, guard: &str) -> bool {
        self.guard.as_bytes().ct_eq(guard.as_bytes()).into()
    }
}

/// Everybody who has signed in.
#[derive(Default)]
pub(super) struct Sessions(Mutex<Vec<(Arc<Session>, Instant)>>);

fn random() -> Result<String, String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|error| format!("no randomness: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

impl Sessions {
    /// Enters somebody; gives the cookie's value.
    pub(super) fn enter(
        &self,
        user: &str,
        desk: Box<dyn Desk>,
        now: Instant,
    ) -> Result<String, String> {
        let token = random()?;
        let session = Arc::new(Session {
            token: token.clone(),
            guard: random()?,
            user: user.to_owned(),
            desk,
            since: now,
        });
        let mut all = self.0.lock();
        if all.len() >= MOST
            && let Some((oldest, _)) = all.iter().enumerate().min_by_key(|(_, (_, seen))| *seen)
        {
            all.remove(oldest);
        }
        all.push((session, now));
        Ok(token)
    }

    /// Who it is that sends these cookies.
    pub(super) fn find(&self, cookies: &str, now: Instant) -> Option<Arc<Session>> {
        let mut all = self.0.lock();
        all.retain(|(session, seen)| {
            now.duration_since(*seen) < AWAY
                && now.duration_since(session.since) < LONGEST
                && session.desk.is_open()
        });
        let sent = value(cookies)?.as_bytes();
        let found = all.iter_mut().find(|(session, _)| session.token.as_bytes().ct_eq(sent).into());
        found.map(|(session, seen)| {
            *seen = now;
            Arc::clone(session)
        })
    }

    /// Signs somebody out.
    pub(super) fn leave(&self, leaving: &Arc<Session>) {
        self.0.lock().retain(|(session, _)| !Arc::ptr_eq(session, leaving));
    }
}

fn value(cookies: &str) -> Option<&str> {
    let mut pairs = cookies.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE).map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::Answer;

    struct Open;

    impl Desk for Open {
        fn is_admin(&self) -> bool {
            true
        }

        fn is_open(&self) -> bool {
            true
        }

        fn order<'a>(&'a self, _: &'a str) -> Answer<'a, Result<bool, String>> {
            Box::pin(async { Ok(true) })
        }
    }

    fn cookie(token: &str) -> String {
        format!("other=1; {COOKIE}={token}")
    }

    #[test]
    fn whoever_is_away_for_long_is_signed_out() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let token = sessions.enter("boss", Box::new(Open), start).unwrap();
        let soon = start + AWAY - Duration::from_secs(1);
        let session = sessions.find(&cookie(&token), soon).unwrap();
        assert!(session.is_guarded_by(&session.guard) && !session.is_guarded_by("x"));
        assert!(sessions.find(&cookie(&token), soon + AWAY).is_none());
        assert!(sessions.find(&cookie(&token), start).is_none(), "for good");
    }

    #[test]
    fn nobody_stays_for_ever_and_signing_out_is_at_once() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let token = sessions.enter("boss", Box::new(Open), start).unwrap();
        let mut now = start;
        while now.duration_since(start) + AWAY / 2 < LONGEST {
            now += AWAY / 2;
            assert!(sessions.find(&cookie(&token), now).is_some());
        }
        assert!(sessions.find(&cookie(&token), now + AWAY / 2).is_none());
        let token = sessions.enter("boss", Box::new(Open), now).unwrap();
        sessions.leave(&sessions.find(&cookie(&token), now).unwrap());
        assert!(sessions.find(&cookie(&token), now).is_none());
    }

    #[test]
    fn sessions_are_few_and_strangers_have_none() {
        let (sessions, start) = (Sessions::default(), Instant::now());
        let tokens: Vec<_> = (0..=MOST)
            .map(|number| {
                let now = start + Duration::from_secs(number as u64);
                sessions.enter("boss", Box::new(Open), now).unwrap()
            })
            .collect();
        let is_in = |token: &String| sessions.find(&cookie(token), start).is_some();
        assert_eq!(tokens.iter().filter(|token| is_in(token)).count(), MOST);
        assert!(!is_in(&tokens[0]) && !is_in(&"0".repeat(64)) && !is_in(&String::new()));
    }
}
