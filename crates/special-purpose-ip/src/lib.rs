#![doc = include_str!("../README.md")]
#![no_std]
#![forbid(unsafe_code)]

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

#[cfg(feature = "tokio")]
mod connect;

#[cfg(feature = "tokio")]
pub use connect::{HEAD_START, MAX_ADDRESSES, connect_any};

/// Whether an address lies in a block of IANA's Special-Purpose Address Registries, is no unicast address, or is none
/// that has been assigned.
#[must_use]
pub fn is_special_purpose(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let bits = address.to_bits();
            let holds = |(network, length): &(Ipv4Addr, u32)| {
                (bits ^ network.to_bits()).leading_zeros() >= *length
            };
            V4.iter().any(holds)
        }
        IpAddr::V6(address) => {
            let bits = address.to_bits();
            let holds = |(network, length): &(Ipv6Addr, u32)| {
                (bits ^ network.to_bits()).leading_zeros() >= *length
            };
            // 2000::/3 is all that is global unicast so far.
            bits >> 125 != 0b001 || V6.iter().any(holds)
        }
    }
}

/// The IPv4 address inside one of the well-known prefix of NAT64, 64:ff9b::/96 (RFC 6052).
#[must_use]
pub fn nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.octets() {
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => {
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}

/// Network and length of its prefix.
const V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved and broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Inside 2000::/3.
const V6: &[(Ipv6Addr, u32)] = &[
    // IETF protocol assignments, Teredo among them.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4: has an IPv4 address inside.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
