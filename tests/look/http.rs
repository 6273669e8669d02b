//! A request as a browser sends it, with whatever a browser, or somebody else, would put into it.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

/// A request to 127.0.0.1.
pub(crate) struct Request {
    port: u16,
    line: String,
    host: String,
    headers: Vec<(String, String)>,
    body: String,
}

/// Its answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    head: String,
    pub(crate) body: String,
}

impl Request {
    pub(crate) fn get(port: u16, path: &str) -> Self {
        Request {
            port,
            line: format!("GET {path}"),
            host: format!("127.0.0.1:{port}"),
            headers: Vec::new(),
            body: String::new(),
        }
    }

    pub(crate) fn post(port: u16, path: &str, body: &Value) -> Self {
        let request = Request {
            line: format!("POST {path}"),
            body: body.to_string(),
            ..Request::get(port, path)
        };
        request.with("content-type", "application/json")
    }

    pub(crate) fn host(self, host: &str) -> Self {
        Request { host: host.to_owned(), ..self }
    }

    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) fn send(self) -> Reply {
        let line = self.line.clone();
        self.try_send().unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    pub(crate) fn try_send(self) -> std::io::Result<Reply> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let Request { line, host, body, .. } = &self;
        let mut text = format!("{line} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n");
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        stream.write_all(text.as_bytes())?;
        let mut bytes = Vec::new();
        let mut some = [0; 4096];
        loop {
            let reply = Reply::read(&bytes);
            if reply.as_ref().is_some_and(Reply::is_whole) {
                return reply.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into());
            }
            match stream.read(&mut some)? {
                0 => return reply.ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into()),
                read => bytes.extend_from_slice(&some[..read]),
            }
        }
    }
}

impl Reply {
    fn read(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Reply { status, head: head.to_owned(), body: body.to_owned() })
    }

    /// Not every server closes the connection when it is asked to.
    fn is_whole(&self) -> bool {
        let length = self.header("content-length").and_then(|length| length.parse::<usize>().ok());
        length.is_some_and(|length| self.body.len() >= length)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut pairs = self.head.lines().filter_map(|line| line.split_once(':'));
        pairs.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}
