//! Which addresses a fetch may go to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How far fetches reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Addresses of the public internet only.
    Public,
    /// Those of this machine and of private networks too, as its commands may.
    Private,
}

impl Reach {
    /// Returns whether an address may be connected to. Link-local ones never: clouds keep
    /// their machines' credentials there.
    pub fn allows(self, address: IpAddr) -> bool {
        match (kind(address), self) {
            (Kind::Public, Reach::Public | Reach::Private) | (Kind::Private, Reach::Private) => {
                true
            }
            (Kind::Private, Reach::Public) | (Kind::Never, Reach::Public | Reach::Private) => false,
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Public,
    /// This machine, or a network of the user's.
    Private,
    /// Link-local, multicast, or no address at all.
    Never,
}

fn kind(address: IpAddr) -> Kind {
    match address {
        IpAddr::V4(address) => kind_v4(address),
        IpAddr::V6(address) => kind_v6(address),
    }
}

fn kind_v4(address: Ipv4Addr) -> Kind {
    let [a, b, c, _] = address.octets();
    match (a, b, c) {
        (169, 254, _) | (224..=255, _, _) => Kind::Never,
        // Alibaba's metadata service is in the range of carriers' networks.
        (100, 100, 100) => Kind::Never,
        (0 | 10 | 127, _, _) | (172, 16..=31, _) | (192, 168, _) | (100, 64..=127, _) => {
            Kind::Private
        }
        // Protocol assignments, documentation, benchmarks.
        (192, 0, 0 | 2) | (198, 18..=19, _) | (198, 51, 100) | (203, 0, 113) => Kind::Private,
        (_, _, _) => Kind::Public,
    }
}

fn kind_v6(address: Ipv6Addr) -> Kind {
    let segments = address.segments();
    if address == Ipv6Addr::LOCALHOST || address == Ipv6Addr::UNSPECIFIED {
        return Kind::Private;
    }
    match segments {
        // An IPv4 address in another dress: mapped, compatible, translated (NAT64), 6to4.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low]
        | [0x2002, high, low, _, _, _, _, _] => {
            let [a, b] = high.to_be_bytes();
            let [c, d] = low.to_be_bytes();
            kind_v4(Ipv4Addr::new(a, b, c, d))
        }
        [0xfd00, 0xec2, ..] => Kind::Never,
        [0xfe80..=0xfebf, ..] | [0xff00..=0xffff, ..] => Kind::Never,
        [0xfc00..=0xfdff, ..] | [0xfec0..=0xfeff, ..] | [0x2001, 0xdb8, ..] | [0x2001, 0, ..] => {
            Kind::Private
        }
        [0x2000..=0x3fff, ..] => Kind::Public,
        _ => Kind::Private,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn tells_addresses_apart() {
        for (address, expected) in [
            ("1.1.1.1", Kind::Public),
            ("93.184.216.34", Kind::Public),
            ("172.32.0.1", Kind::Public),
            ("2606:4700::1111", Kind::Public),
            ("127.0.0.1", Kind::Private),
            ("127.8.8.8", Kind::Private),
            ("0.0.0.0", Kind::Private),
            ("10.1.2.3", Kind::Private),
            ("172.16.0.1", Kind::Private),
            ("192.168.1.1", Kind::Private),
            ("100.64.0.1", Kind::Private),
            ("::1", Kind::Private),
            ("::", Kind::Private),
            ("fd12:3456::1", Kind::Private),
            ("::ffff:127.0.0.1", Kind::Private),
            ("::ffff:169.254.169.254", Kind::Never),
            ("64:ff9b::7f00:1", Kind::Private),
            ("2002:7f00:1::", Kind::Private),
            ("169.254.169.254", Kind::Never),
            ("100.100.100.200", Kind::Never),
            ("224.0.0.1", Kind::Never),
            ("255.255.255.255", Kind::Never),
            ("fe80::1", Kind::Never),
            ("fd00:ec2::254", Kind::Never),
            ("ff02::1", Kind::Never),
        ] {
            assert_eq!(kind(address.parse().unwrap()), expected, "{address}");
        }
        assert!(Reach::Private.allows("127.0.0.1".parse().unwrap()));
        assert!(!Reach::Public.allows("127.0.0.1".parse().unwrap()));
        assert!(!Reach::Private.allows("169.254.169.254".parse().unwrap()));
    }
}
