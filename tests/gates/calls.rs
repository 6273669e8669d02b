//! What strace has seen, read.

use std::collections::BTreeMap;
use std::fmt;
use std::iter::Sum;

/// What brings bytes in.
pub(crate) const RECEIVES: &[&str] = &["read", "readv", "recvfrom", "recvmsg", "recvmmsg"];

/// What sends bytes, or wakes a thread.
pub(crate) const SENDS: &[&str] =
    &["write", "writev", "sendto", "sendmsg", "sendmmsg", "io_uring_enter"];

/// What waits for sockets.
pub(crate) const WAITS: &[&str] = &["epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll"];

/// What changes the sockets that are waited for.
pub(crate) const WATCHES: &[&str] = &["epoll_ctl"];

/// What sets a timer, or sleeps.
pub(crate) const TIMERS: &[&str] =
    &["timerfd_settime", "timer_settime", "setitimer", "alarm", "nanosleep", "clock_nanosleep"];

/// Whether reading the clock is a system call depends on the machine.
const CLOCKS: &[&str] = &["clock_gettime", "gettimeofday", "time"];

/// Numbers of system calls, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Calls(BTreeMap<String, usize>);

impl Calls {
    /// How many there are of some.
    pub(crate) fn of(&self, names: &[&str]) -> usize {
        names.iter().filter_map(|&name| self.0.get(name)).sum()
    }

    /// How many there are of all.
    pub(crate) fn total(&self) -> usize {
        self.0.values().sum()
    }

    fn add(&mut self, name: &str) {
        *self.0.entry(name.to_owned()).or_default() += 1;
    }
}

impl<'a> Sum<&'a Calls> for Calls {
    fn sum<I: Iterator<Item = &'a Calls>>(all: I) -> Self {
        let mut sum = Calls::default();
        for (name, count) in all.flat_map(|calls| &calls.0) {
            *sum.0.entry(name.clone()).or_default() += count;
        }
        sum
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> =
            self.0.iter().map(|(name, count)| format!("{count} {name}")).collect();
        f.write_str(&words.join(", "))
    }
}

/// The calls of all threads, parted into transactions: each begins when a message with the tag `first` is received.
///
/// A call counts where it ends: of two threads' calls one may end within the other.
pub(crate) fn transactions(trace: &str, first: u8) -> Vec<Calls> {
    let begin = format!("\"{}", char::from(first));
    parts(trace, |name, line| RECEIVES.contains(&name) && line.contains(&begin))
}

/// [`transactions`] for logins: each begins when a connection is accepted.
pub(crate) fn logins(trace: &str) -> Vec<Calls> {
    parts(trace, |name, line| name == "accept4" && !line.contains("EAGAIN"))
}

fn parts(trace: &str, begins: impl Fn(&str, &str) -> bool) -> Vec<Calls> {
    let mut parts: Vec<Calls> = Vec::new();
    for line in trace.lines() {
        let Some(name) = ended_call(line) else { continue };
        if begins(name, line) {
            parts.push(Calls::default());
        }
        if let Some(calls) = parts.last_mut()
            && !CLOCKS.contains(&name)
        {
            calls.add(name);
        }
    }
    parts
}

/// The call that ends in a line; `None` for one that only begins, and for signals.
fn ended_call(line: &str) -> Option<&str> {
    let (_thread, text) = line.split_once(' ')?;
    let text = text.trim_start();
    if text.ends_with("<unfinished ...>") {
        return None;
    }
    let name = match text.strip_prefix("<... ") {
        Some(resumed) => resumed.split_once(' ')?.0,
        None => text.split_once('(')?.0,
    };
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_').then_some(name)
}

#[cfg(test)]
mod tests {
    use super::{Calls, RECEIVES, SENDS, WAITS, transactions};

    const TRACE: &str = r#"
7 epoll_wait(3, [{events=EPOLLIN, data={u32=0, u64=0}}], 1024, 8) = 1
7 recvfrom(25, "Q\0\0\0\rsel"..., 4096, 0, NULL, NULL) = 14
7 sendto(26, "Q\0\0\0\rsel"..., 14, MSG_DONTWAIT|MSG_NOSIGNAL, NULL, 0) = 14
8 clock_gettime(CLOCK_MONOTONIC, {tv_sec=1, tv_nsec=2}) = 0
7 epoll_wait(11,  <unfinished ...>
8 write(4, "\1\0\0\0\0\0\0\0", 8) = 8
7 <... epoll_wait resumed>[{events=EPOLLIN, data={u32=0, u64=0}}], 1024, 7) = 1
7 --- SIGCHLD {si_signo=SIGCHLD} ---
7 recvfrom(25,  <unfinished ...>
8 futex(0x55, FUTEX_WAKE_PRIVATE, 1)     = 1
7 <... recvfrom resumed>"Q\0\0\0\rsel"..., 4096, 0, NULL, NULL) = 14
8 +++ exited with 0 +++
"#;

    #[test]
    fn parts_a_trace_where_requests_come() {
        let seen = transactions(TRACE, b'Q');
        let words: Vec<String> = seen.iter().map(Calls::to_string).collect();
        assert_eq!(words, ["1 epoll_wait, 1 futex, 1 recvfrom, 1 sendto, 1 write", "1 recvfrom"]);
        assert!(transactions(TRACE, b'P').is_empty());
    }

    #[test]
    fn counts_kinds() {
        let sum: Calls = transactions(TRACE, b'Q').iter().sum();
        assert_eq!((sum.of(RECEIVES), sum.of(SENDS), sum.of(WAITS), sum.total()), (2, 2, 1, 6));
    }
}
