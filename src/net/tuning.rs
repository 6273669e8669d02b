//! What every TCP connection gets, on both sides.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::RwLock;
use socket2::{SockRef, TcpKeepalive};

use crate::config::Process;
use crate::types::Timeout;

/// Options of TCP sockets; those made later get what is in force then.
#[derive(Debug)]
pub struct Tuning {
    options: RwLock<Options>,
    /// Counts up when they change, from 1.
    version: AtomicU32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Options {
    buffer: usize,
    keepalive: bool,
    questions: u32,
    silence: Timeout,
    interval: Timeout,
    unacknowledged: Timeout,
}

impl Options {
    fn new(process: &Process) -> Self {
        Options {
            buffer: process.tcp_socket_buffer,
            keepalive: process.tcp_keepalive,
            questions: process.tcp_keepcnt,
            silence: process.tcp_keepidle,
            interval: process.tcp_keepintvl,
            unacknowledged: process.tcp_user_timeout,
        }
    }
}

impl Tuning {
    /// As the configuration says.
    pub fn new(process: &Process) -> Self {
        Tuning { options: RwLock::new(Options::new(process)), version: AtomicU32::new(1) }
    }

    /// As the configuration says from now on.
    pub fn configure(&self, process: &Process) {
        let options = Options::new(process);
        if *self.options.read() != options {
            *self.options.write() = options;
            self.version.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Changes whenever the options do; never 0.
    pub(super) fn version(&self) -> u32 {
        self.version.load(Ordering::Relaxed)
    }

    /// No delay, keepalive so that a dead peer is noticed, and what else is configured.
    ///
    /// # Errors
    /// The socket's.
    pub(super) fn apply<'a>(&self, stream: impl Into<SockRef<'a>>) -> io::Result<()> {
        let options = *self.options.read();
        let socket = stream.into();
        socket.set_tcp_nodelay(true)?;
        if options.buffer > 0 {
            socket.set_recv_buffer_size(options.buffer)?;
            socket.set_send_buffer_size(options.buffer)?;
        }
        socket.set_tcp_user_timeout(options.unacknowledged)?;
        socket.set_keepalive(options.keepalive)?;
        if !options.keepalive {
            return Ok(());
        }
        socket.set_tcp_keepalive(&keepalive(&options))
    }
}

fn keepalive(options: &Options) -> TcpKeepalive {
    let mut keepalive = TcpKeepalive::new();
    // The kernel counts in seconds, and refuses none.
    let whole = |time: Duration| time.max(Duration::from_secs(1));
    if let Some(silence) = options.silence {
        keepalive = keepalive.with_time(whole(silence));
    }
    if let Some(interval) = options.interval {
        keepalive = keepalive.with_interval(whole(interval));
    }
    if options.questions > 0 {
        keepalive = keepalive.with_retries(options.questions);
    }
    keepalive
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_get_what_is_configured() {
        let process = Process {
            tcp_keepcnt: 7,
            tcp_keepidle: Some(Duration::from_secs(11)),
            tcp_keepintvl: Some(Duration::from_secs(3)),
            tcp_user_timeout: Some(Duration::from_millis(12_500)),
            tcp_socket_buffer: 65_536,
            ..Process::default()
        };
        let tuning = Tuning::new(&process);
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let stream = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        tuning.apply(&stream).unwrap();
        let socket = SockRef::from(&stream);
        assert!(socket.keepalive().unwrap() && socket.tcp_nodelay().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(11));
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(3));
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 7);
        assert_eq!(socket.tcp_user_timeout().unwrap(), Some(Duration::from_millis(12_500)));
        assert!(socket.recv_buffer_size().unwrap() >= 65_536);
        tuning.configure(&Process { tcp_keepalive: false, ..process });
        tuning.apply(&stream).unwrap();
        assert!(!socket.keepalive().unwrap());
    }
}
