//! A client for bulk data: it throws away what comes and repeats what it sends.

use pgusher_testkit::frontend;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

/// Longest silence of a server.
const PATIENCE: Duration = Duration::from_secs(120);

/// A blocking connection; panics when the server reports an error.
#[derive(Debug)]
pub(crate) struct Sponge {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// The bytes of the buffer that have come and not been looked at.
    unread: std::ops::Range<usize>,
    /// All bytes that have come.
    received: u64,
}

impl Sponge {
    /// Connects to a port of 127.0.0.1 and logs in; nobody may ask for a password.
    pub(crate) fn login(port: u16, database: &str, user: &str) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connect");
        stream.set_nodelay(true).expect("set TCP_NODELAY");
        stream.set_read_timeout(Some(PATIENCE)).expect("set a time limit");
        let mut sponge = Sponge { stream, buffer: vec![0; 256 * 1024], unread: 0..0, received: 0 };
        sponge.send(&frontend::startup(0, &[("user", user), ("database", database)]));
        sponge.skip_until(b'Z');
        sponge
    }

    /// Runs a query and throws its answer away; gives the answer's size in bytes.
    pub(crate) fn soak(&mut self, sql: &str) -> u64 {
        let before = self.received;
        self.send(&frontend::query(sql));
        self.skip_until(b'Z');
        self.received - before
    }

    /// Runs a COPY FROM STDIN with `chunk` sent `times` times; gives the number of bytes sent.
    pub(crate) fn squeeze(&mut self, sql: &str, chunk: &[u8], times: u64) -> u64 {
        self.send(&frontend::query(sql));
        self.skip_until(b'G');
        let message = frontend::copy_data(chunk);
        for _ in 0..times {
            self.send(&message);
        }
        self.send(&frontend::copy_done());
        self.skip_until(b'Z');
        message.len() as u64 * times
    }

    fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("send");
    }

    fn skip_until(&mut self, last: u8) {
        loop {
            let head: [u8; 5] = self.take();
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let body = (length as usize).checked_sub(4).expect("a length of a message");
            if head[0] == b'E' {
                panic!("the server says: {}", self.text(body));
            }
            self.skip(body);
            if head[0] == last {
                return;
            }
        }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        for byte in &mut bytes {
            if self.unread.is_empty() {
                self.fill();
            }
            *byte = self.buffer[self.unread.start];
            self.unread.start += 1;
        }
        bytes
    }

    fn skip(&mut self, mut count: usize) {
        while count > self.unread.len() {
            count -= self.unread.len();
            self.fill();
        }
        self.unread.start += count;
    }

    fn text(&mut self, count: usize) -> String {
        let bytes: Vec<u8> = (0..count).flat_map(|_| self.take::<1>()).collect();
        String::from_utf8_lossy(&bytes).replace('\0', " ")
    }

    fn fill(&mut self) {
        let count = self.stream.read(&mut self.buffer).expect("receive");
        assert!(count > 0, "the server closed the connection");
        self.unread = 0..count;
        self.received += count as u64;
    }
}
