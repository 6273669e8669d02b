//! A clock that ticks in a descriptor.
//!
//! A timer of the runtime has every wait of the thread bounded in time, which costs the kernel a timer for each wait and
//! the runtime two looks at the clock. A thread that waits for descriptors alone is spared that.

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;

use super::TICK;
use super::stream::{Owner, register};

/// The descriptor.
#[derive(Debug)]
struct Alarm(TimerFd);

// It is neither taken out nor replaced.
impl Owner for Alarm {}

impl AsRawFd for Alarm {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

/// Ticks every [`TICK`], for one task.
#[derive(Debug)]
pub struct Ticker {
    alarm: AsyncFd<Alarm>,
}

impl Ticker {
    /// A clock on the current runtime that stands still.
    ///
    /// # Errors
    /// The kernel has no timer for us.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
        Ok(Ticker { alarm: register(Alarm(timer))? })
    }

    /// Lets it run.
    ///
    /// # Errors
    /// The kernel's.
    pub fn start(&self) -> io::Result<()> {
        let every = Expiration::Interval(TimeSpec::from_duration(TICK));
        Ok(self.alarm.get_ref().0.set(every, TimerSetTimeFlags::empty())?)
    }

    /// Stops it.
    ///
    /// # Errors
    /// The kernel's.
    pub fn stop(&self) -> io::Result<()> {
        Ok(self.alarm.get_ref().0.unset()?)
    }

    /// Waits for the next tick; those that nobody waited for are one.
    ///
    /// # Errors
    /// The runtime's, when it is shutting down.
    pub async fn tick(&self) -> io::Result<()> {
        loop {
            let mut ready = self.alarm.readable().await?;
            let ticked = self.alarm.get_ref().0.wait();
            // Looking has emptied it: the next tick is told of anew.
            ready.clear_ready();
            match ticked {
                Ok(()) => return Ok(()),
                Err(nix::errno::Errno::EAGAIN) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[tokio::test]
    async fn it_ticks_while_it_runs() {
        let ticker = Ticker::new().expect("a timer");
        let patience = tokio::time::timeout(2 * TICK, ticker.tick());
        assert!(patience.await.is_err(), "it ticks before it was started");
        let began = Instant::now();
        ticker.start().expect("started");
        ticker.tick().await.expect("a tick");
        ticker.tick().await.expect("another");
        assert!(began.elapsed() >= 2 * TICK);
        ticker.stop().expect("stopped");
        let patience = tokio::time::timeout(2 * TICK, ticker.tick());
        assert!(patience.await.is_err(), "it ticks after it was stopped");
    }
}
