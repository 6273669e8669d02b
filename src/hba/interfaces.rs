//! The networks this machine is in, for `samehost` and `samenet`.

use std::io;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use nix::sys::socket::SockaddrStorage;

use super::address::Net;

/// The addresses of this machine's interfaces, with their masks.
///
/// # Errors
/// The operating system does not tell.
pub fn own_networks() -> io::Result<Vec<Net>> {
    let all = getifaddrs().map_err(io::Error::from)?;
    let net = |address: Option<SockaddrStorage>, mask: Option<SockaddrStorage>| {
        let (address, mask) = (ip(&address?)?, ip(&mask?)?);
        (address.is_ipv4() == mask.is_ipv4()).then_some(Net { address, mask })
    };
    Ok(all.filter_map(|interface| net(interface.address, interface.netmask)).collect())
}

fn ip(address: &SockaddrStorage) -> Option<IpAddr> {
    let v4 = address.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
    v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip())))
}

#[cfg(test)]
mod tests {
    use super::own_networks;

    #[test]
    fn loopback_is_among_them() {
        let nets = own_networks().unwrap();
        assert!(nets.iter().any(|net| net.contains("127.0.0.1".parse().unwrap())), "{nets:?}");
    }
}
