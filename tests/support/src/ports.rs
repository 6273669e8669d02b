//! Free TCP ports.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use socket2::{Domain, Socket, Type};

/// Below the range from which kernels take ports for outgoing connections, so no client of another test can sit on one.
const FIRST: u16 = 16_000;
const COUNT: u16 = 16_000;

/// How many ports are tried when others are faster.
pub(crate) const ATTEMPTS: usize = 10;

static NEXT: AtomicU16 = AtomicU16::new(0);

/// A port that nobody listens on now, on 127.0.0.1 nor on ::1.
///
/// Somebody else may take it before the caller does; the kit's own users try again then.
pub fn free_port() -> u16 {
    // Test processes start with neighbouring ids: a stride keeps their searches apart.
    let seed = u32_to_u16(std::process::id()).wrapping_mul(257);
    (0..COUNT)
        .map(|_| FIRST + seed.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .find(|&port| is_free(port))
        .expect("no free TCP port on 127.0.0.1")
}

/// Listens on a port of 127.0.0.1 that can be given up and taken again: no outgoing connection sits down on it meanwhile.
pub(crate) async fn listen() -> tokio::net::TcpListener {
    for _ in 0..ATTEMPTS {
        if let Ok(listener) =
            tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, free_port())).await
        {
            return listener;
        }
    }
    panic!("no free TCP port to listen on");
}

/// Whether this machine can listen on ::1.
pub(crate) fn has_ipv6() -> bool {
    TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok()
}

fn u32_to_u16(number: u32) -> u16 {
    (number % u32::from(u16::MAX)) as u16
}

fn is_free(port: u16) -> bool {
    can_bind((Ipv4Addr::LOCALHOST, port).into())
        && (!has_ipv6() || can_bind((Ipv6Addr::LOCALHOST, port).into()))
}

/// Never listens: the test that waits for a server of its own at this port would take us for it.
fn can_bind(address: SocketAddr) -> bool {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None);
    let bound = socket.and_then(|socket| {
        // As servers do; fails where somebody listens all the same.
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())
    });
    bound.is_ok()
}

#[cfg(test)]
mod tests {
    use super::{free_port, is_free};
    use std::net::{Ipv4Addr, TcpListener};

    #[test]
    fn gives_different_ports_that_can_be_listened_on() {
        let (one, two) = (free_port(), free_port());
        assert_ne!(one, two);
        let _held = TcpListener::bind((Ipv4Addr::LOCALHOST, one)).unwrap();
        assert!(!is_free(one));
    }
}
