//! A hand-made HTTP/1.1 client, enough for metrics and health pages.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

/// Asks 127.0.0.1 for a page; gives the status and the body.
///
/// # Errors
/// There is no answer, or none of HTTP; the text says which.
pub fn get(port: u16, path: &str) -> Result<(u16, String), String> {
    let reply =
        exchange(port, path).map_err(|error| format!("GET {path} on port {port}: {error}"))?;
    parse(&reply).ok_or_else(|| format!("GET {path}: not an HTTP reply: {reply:?}"))
}

fn exchange(port: u16, path: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // In one piece: a page that answers before the last piece closes the connection under the others.
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply).into_owned())
}

fn parse(reply: &str) -> Option<(u16, String)> {
    let (head, body) = reply.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let head = head.to_ascii_lowercase();
    let chunked =
        head.lines().any(|line| line.starts_with("transfer-encoding:") && line.contains("chunked"));
    Some((status, if chunked { unchunk(body)? } else { body.to_owned() }))
}

fn unchunk(mut body: &str) -> Option<String> {
    let mut text = String::new();
    loop {
        let (size, rest) = body.split_once("\r\n")?;
        let size = usize::from_str_radix(size.split(';').next()?.trim(), 16).ok()?;
        if size == 0 {
            return Some(text);
        }
        text.push_str(rest.get(..size)?);
        body = rest.get(size..)?.strip_prefix("\r\n")?;
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_plain_and_chunked_replies() {
        let plain = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy";
        assert_eq!(parse(plain), Some((503, "busy".to_owned())));
        let chunked =
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(parse(chunked), Some((200, "abcde".to_owned())));
        assert_eq!(parse("SSH-2.0-x\r\n\r\n"), None);
    }
}
