//! Sockets that nobody reads: one descriptor tells which of them have news.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::task::{Context, Poll, ready};

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use tokio::io::unix::AsyncFd;

use super::stream::register;

/// Sockets told of at once; the others are told of in the next turn.
const AT_ONCE: usize = 128;

/// Watches sockets for bytes and for their end.
///
/// A socket registered with the runtime costs the runtime's memory for it. One on this list costs none: the list is
/// an epoll descriptor of its own, and it alone is registered.
#[derive(Debug)]
pub struct Watchlist {
    epoll: AsyncFd<OwnedFd>,
}

impl Watchlist {
    /// An empty list on the current runtime.
    ///
    /// # Errors
    /// The system gives no descriptor, or it cannot be registered.
    pub fn new() -> io::Result<Self> {
        Ok(Watchlist { epoll: register(epoll::create(CreateFlags::CLOEXEC)?)? })
    }

    /// Watches a socket; its number is told once, when it has something to be read or is at its end. That may be so
    /// already.
    ///
    /// # Errors
    /// The kernel has no room.
    pub fn add(&self, socket: impl AsFd, number: u32) -> io::Result<()> {
        let news = EventFlags::IN | EventFlags::RDHUP | EventFlags::ONESHOT;
        Ok(epoll::add(self.epoll.get_ref(), socket, EventData::new_u64(number.into()), news)?)
    }

    /// Watches a socket no longer.
    pub fn remove(&self, socket: impl AsFd) {
        // It was added and is still open, so there is nothing to fail.
        let _ = epoll::delete(self.epoll.get_ref(), socket);
    }

    /// Appends the numbers of sockets that have news, at least one.
    ///
    /// # Errors
    /// The runtime is shutting down.
    pub fn poll_news(&self, cx: &mut Context<'_>, numbers: &mut Vec<u32>) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.epoll.poll_read_ready(cx))?;
            let mut events =
                [Event { flags: EventFlags::empty(), data: EventData::new_u64(0) }; AT_ONCE];
            let count =
                epoll::wait(guard.get_inner(), &mut events[..], Some(&Timespec::default()))?;
            if count < AT_ONCE {
                guard.clear_ready();
            }
            let told = events.iter().take(count).map(|event| event.data.u64());
            numbers.extend(told.filter_map(|number| u32::try_from(number).ok()));
            if count > 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::Write;
    use std::os::unix::net::UnixStream;

    use super::*;

    async fn news(list: &Watchlist) -> Vec<u32> {
        let mut numbers = Vec::new();
        poll_fn(|cx| list.poll_news(cx, &mut numbers)).await.expect("news");
        numbers.sort_unstable();
        numbers
    }

    #[tokio::test]
    async fn bytes_and_ends_are_told_once() {
        let list = Watchlist::new().expect("epoll");
        let pairs: Vec<_> = (0..3).map(|_| UnixStream::pair().expect("socketpair")).collect();
        for (number, (ours, _)) in (0..).zip(&pairs) {
            list.add(ours, number).expect("add");
        }
        (&pairs[2].1).write_all(b"x").expect("write");
        assert_eq!(news(&list).await, [2]);
        pairs[0].1.shutdown(std::net::Shutdown::Both).expect("shutdown");
        assert_eq!(news(&list).await, [0]);
        list.remove(&pairs[2].0);
        list.add(&pairs[2].0, 7).expect("add again");
        assert_eq!(news(&list).await, [7], "what is there already is told");
    }

    #[tokio::test]
    async fn more_than_one_turn_tells_come_in_several() {
        let list = Watchlist::new().expect("epoll");
        let count = 2 * AT_ONCE + 1;
        let pairs: Vec<_> = (0..count).map(|_| UnixStream::pair().expect("socketpair")).collect();
        for (number, (ours, theirs)) in (0..).zip(&pairs) {
            list.add(ours, number).expect("add");
            (&*theirs).write_all(b"x").expect("write");
        }
        let mut all = Vec::new();
        while all.len() < count {
            all.extend(news(&list).await);
        }
        all.sort_unstable();
        assert!(all.iter().copied().eq(0..u32::try_from(count).expect("few")));
    }
}
