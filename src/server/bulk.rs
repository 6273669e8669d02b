//! Replies that come thick: it pays to let the socket fill before it is read.
//!
//! PostgreSQL sends 8 KiB at a time. Whoever reads each piece as it comes pays a wake-up, a receive and a send for
//! every one of them. While much comes fast, the kernel is asked to wake us for a large piece only; a second look after
//! a millisecond finds the end of the data, which is less.

use std::task::Context;
use std::time::{Duration, Instant};

use crate::net::{Nudges, Stream};

/// The rate is taken over this many bytes. A result that is smaller never waits.
const WINDOW: usize = 4 * 1024 * 1024;
/// So quickly a window must pass: 50 MB/s. Below it a piece takes longer to fill than a second look to come.
const QUICK: Duration = Duration::from_millis(80);
/// What is waited for; less than the buffer holds, so that the server need not stop meanwhile.
const PIECE: i32 = 192 * 1024;

/// How thick a server's replies come.
#[derive(Debug, Default)]
pub struct Bulk {
    /// When the window began, and what has come since.
    window: Option<(Instant, usize)>,
    /// The socket was asked to fill first.
    waits: bool,
    /// The round of nudges that was asked for since something came last.
    asked: Option<u64>,
    /// A second look has found nothing since then.
    looked: bool,
}

impl Bulk {
    /// True while the socket fills before it is read.
    pub fn is_waiting(&self) -> bool {
        self.waits
    }

    /// So many bytes have come.
    pub fn received(&mut self, count: usize, now: Instant, stream: &mut Stream) {
        (self.asked, self.looked) = (None, false);
        let (since, total) = self.window.unwrap_or((now, 0));
        let total = total + count;
        if total < WINDOW {
            self.window = Some((since, total));
            return;
        }
        self.window = None;
        let quick = now.saturating_duration_since(since) < QUICK;
        if quick && !self.waits {
            self.waits = stream.fill_first(PIECE);
        } else if !quick {
            self.end(stream);
        }
    }

    /// Nothing was reported. True when it is time to look whether something is there all the same.
    pub fn dried(&mut self, cx: &Context<'_>, nudges: &Nudges, stream: &mut Stream) -> bool {
        if !self.waits {
            return false;
        }
        match self.asked {
            None => self.asked = Some(nudges.ask(cx)),
            Some(round) if nudges.round() == round => {}
            // The server has fallen silent.
            Some(_) if self.looked => self.end(stream),
            Some(_) => {
                (self.asked, self.looked) = (None, true);
                stream.look();
                return true;
            }
        }
        false
    }

    /// The conversation is over: whatever comes next is read as it comes.
    pub fn end(&mut self, stream: &mut Stream) {
        if self.waits {
            stream.fill_first(1);
        }
        *self = Bulk::default();
    }
}
