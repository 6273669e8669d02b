//! The addresses a line is for.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::token::Token;

/// A network: an address and the bits of it that count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Net {
    /// Some address of the network.
    pub address: IpAddr,
    /// One bits count.
    pub mask: IpAddr,
}

impl Net {
    /// A network from an address and the number of leading bits that count; `None` when there are not as many.
    pub fn new(address: IpAddr, bits: u8) -> Option<Self> {
        let mask = match address {
            IpAddr::V4(_) if bits <= 32 => {
                let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
                IpAddr::V4(Ipv4Addr::from_bits(mask))
            }
            IpAddr::V6(_) if bits <= 128 => {
                let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
                IpAddr::V6(Ipv6Addr::from_bits(mask))
            }
            _ => return None,
        };
        Some(Net { address, mask })
    }

    /// Whether an address is in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, self.mask, address) {
            (IpAddr::V4(net), IpAddr::V4(mask), IpAddr::V4(address)) => {
                (net.to_bits() ^ address.to_bits()) & mask.to_bits() == 0
            }
            (IpAddr::V6(net), IpAddr::V6(mask), IpAddr::V6(address)) => {
                (net.to_bits() ^ address.to_bits()) & mask.to_bits() == 0
            }
            _ => false,
        }
    }
}

/// The addresses a line is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    All,
    /// Any of these networks.
    Nets(Vec<Net>),
}

impl Addresses {
    pub(super) fn contain(&self, address: IpAddr) -> bool {
        match self {
            Addresses::All => true,
            Addresses::Nets(nets) => nets.iter().any(|net| net.contains(address)),
        }
    }

    /// Reads the address of a line, and its mask if it stands in a column of its own.
    pub(super) fn read(
        token: &Token,
        mask: Option<&Token>,
        own: &[Net],
    ) -> Result<Self, (u32, String)> {
        let wrong = |message: &str| Err((token.column, message.to_owned()));
        if token.is("all") {
            return Ok(Addresses::All);
        }
        if token.is("samenet") {
            return Ok(Addresses::Nets(own.to_vec()));
        }
        if token.is("samehost") {
            let host =
                |net: &Net| Net::new(net.address, if net.address.is_ipv4() { 32 } else { 128 });
            return Ok(Addresses::Nets(own.iter().filter_map(host).collect()));
        }
        let (address, bits) = match token.text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (token.text.as_str(), None),
        };
        let Ok(address) = address.parse::<IpAddr>() else {
            return wrong(&format!(
                "\"{}\" is not an address; host names are not supported here, write addresses",
                token.text
            ));
        };
        let net = match (bits, mask) {
            (Some(bits), _) => bits.parse().ok().and_then(|bits| Net::new(address, bits)),
            (None, Some(mask)) => match mask.text.parse::<IpAddr>() {
                Ok(mask) if mask.is_ipv4() == address.is_ipv4() => Some(Net { address, mask }),
                _ => {
                    let message = format!("\"{}\" is not a mask for {address}", mask.text);
                    return Err((mask.column, message));
                }
            },
            (None, None) => {
                return wrong("the address needs a length such as /32, or a mask after it");
            }
        };
        match net {
            Some(net) => Ok(Addresses::Nets(vec![net])),
            None => wrong(&format!("\"{}\" has no valid length", token.text)),
        }
    }

    /// Whether a mask follows this address in the next column.
    pub(super) fn wants_mask(token: &Token) -> bool {
        token.text.parse::<IpAddr>().is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Net {
        let (address, bits) = text.split_once('/').unwrap();
        Net::new(address.parse().unwrap(), bits.parse().unwrap()).unwrap()
    }

    #[test]
    fn networks_contain_their_addresses() {
        for (text, inside, outside) in [
            ("10.1.0.0/16", "10.1.255.255", "10.2.0.0"),
            ("10.1.2.3/32", "10.1.2.3", "10.1.2.2"),
            ("0.0.0.0/0", "255.0.0.1", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("::/0", "::1", "127.0.0.1"),
            ("::1/128", "::1", "::2"),
        ] {
            assert!(net(text).contains(inside.parse().unwrap()), "{text} {inside}");
            assert!(!net(text).contains(outside.parse().unwrap()), "{text} {outside}");
        }
        assert_eq!(Net::new("1.2.3.4".parse().unwrap(), 33), None);
        assert_eq!(Net::new("::".parse().unwrap(), 129), None);
    }
}
