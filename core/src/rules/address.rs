//! Addresses of clients: however they are written, and the network that stands for a client.
//!
//! Whoever has one IPv6 address has all of its network. So limits, blocks, plans and the report of usage know a client
//! by its network, and by an IPv4 address, which may be mapped into IPv6, as it is.

use std::net::{IpAddr, Ipv6Addr};

use super::shown;
use crate::error::{Error, Result};

/// The attribute whose values are addresses.
pub(crate) const IP: &str = "ip";

/// An address as an IPv6 one, IPv4 mapped into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Address(u128);

/// How long the network is by which an IPv6 client is known (`ipv6_prefix`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Networks {
    pub(crate) prefix: u8,
    mask: u128,
}

impl Networks {
    pub(crate) fn new(prefix: u8) -> Networks {
        Networks { prefix, mask: mask(prefix) }
    }

    /// By what a client is known.
    #[inline]
    pub(crate) fn of(self, address: Address) -> u128 {
        if address.is_v4() { address.0 } else { address.0 & self.mask }
    }
}

impl Address {
    pub(crate) fn is_v4(self) -> bool {
        self.0 >> 32 == 0xffff
    }

    #[inline]
    pub(crate) fn bits(self) -> u128 {
        self.0
    }

    /// Blanks around it do not matter. A zone (`fe80::1%eth0`) is this machine's business, brackets are a URL's.
    pub(crate) fn read(value: &[u8]) -> Option<Address> {
        let text = str::from_utf8(value).unwrap_or("").trim();
        let text = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let text = text.split_once('%').map_or(text, |(address, _)| address);
        Some(Address(match text.parse::<IpAddr>().ok()? {
            IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
            IpAddr::V6(address) => address.to_bits(),
        }))
    }

    /// As [`Address::read`].
    ///
    /// # Errors
    /// It is none.
    pub(crate) fn expect(value: &[u8]) -> Result<Address> {
        Address::read(value).ok_or_else(|| {
            Error::argument(
                IP,
                format!("{} is not an address", shown(value)),
                "give an IPv4 or IPv6 address without a port, such as \"203.0.113.9\"",
            )
        })
    }
}

/// A network as text: its first address.
pub(crate) fn text(network: [u8; 16]) -> String {
    Ipv6Addr::from(network).to_canonical().to_string()
}

fn mask(prefix: u8) -> u128 {
    !u128::MAX.checked_shr(u32::from(prefix)).unwrap_or(0)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_client_in_every_spelling() {
        for (prefix, network, spellings) in [
            (64, "1.2.3.4", &["1.2.3.4", "::ffff:1.2.3.4", "::FFFF:102:304", " 1.2.3.4 "][..]),
            (1, "1.2.3.4", &["1.2.3.4", "[::ffff:1.2.3.4]"]),
            (64, "2001:db8:0:1::", &["2001:DB8:0:1::9", "2001:0db8:0000:0001:ffff::%eth0"]),
            (48, "2001:db8:0:0::", &["2001:db8:0:1::9", "[2001:db8:0:ffff:0:0:0:1]"]),
            (128, "2001:db8::1", &["2001:db8::1", "2001:db8:0:0:0:0:0:1"]),
        ] {
            let network: IpAddr = network.parse().unwrap();
            for spelling in spellings {
                let address = Address::read(spelling.as_bytes()).expect(spelling);
                let known = Networks::new(prefix).of(address).to_be_bytes();
                assert_eq!(text(known), network.to_string(), "{spelling}/{prefix}");
            }
        }
        for wrong in ["", "1.2.3", "1.2.3.4:80", "::g", "[::1", "localhost"] {
            assert_eq!(Address::read(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
