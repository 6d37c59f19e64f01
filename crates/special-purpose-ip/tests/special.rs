//! Both ends of every block, and the standard library's opinion.
#![allow(clippy::unwrap_used, missing_docs)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use special_purpose_ip::{is_special_purpose, nat64};

fn special(address: &str) -> bool {
    is_special_purpose(address.parse().unwrap())
}

#[test]
fn blocks_begin_and_end_where_the_registries_say() {
    for (first, last) in [
        ("0.0.0.0", "0.255.255.255"),
        ("10.0.0.0", "10.255.255.255"),
        ("100.64.0.0", "100.127.255.255"),
        ("127.0.0.0", "127.255.255.255"),
        ("169.254.0.0", "169.254.255.255"),
        ("172.16.0.0", "172.31.255.255"),
        ("192.0.0.0", "192.0.0.255"),
        ("192.0.2.0", "192.0.2.255"),
        ("192.31.196.0", "192.31.196.255"),
        ("192.52.193.0", "192.52.193.255"),
        ("192.88.99.0", "192.88.99.255"),
        ("192.168.0.0", "192.168.255.255"),
        ("192.175.48.0", "192.175.48.255"),
        ("198.18.0.0", "198.19.255.255"),
        ("198.51.100.0", "198.51.100.255"),
        ("203.0.113.0", "203.0.113.255"),
        ("224.0.0.0", "255.255.255.255"),
    ] {
        let bits = |text: &str| text.parse::<Ipv4Addr>().unwrap().to_bits();
        let at = |bits| is_special_purpose(Ipv4Addr::from_bits(bits).into());
        let (first, last) = (bits(first), bits(last));
        assert!(at(first) && at(last), "{}", Ipv4Addr::from_bits(first));
        for outside in [first.checked_sub(1), last.checked_add(1)]
            .into_iter()
            .flatten()
        {
            assert!(!at(outside), "{}", Ipv4Addr::from_bits(outside));
        }
    }
    for (first, last) in [
        ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff"),
    ] {
        let bits = |text: &str| text.parse::<Ipv6Addr>().unwrap().to_bits();
        let at = |bits| is_special_purpose(Ipv6Addr::from_bits(bits).into());
        let (first, last) = (bits(first), bits(last));
        assert!(at(first) && at(last), "{}", Ipv6Addr::from_bits(first));
        for outside in [first - 1, last + 1] {
            assert!(!at(outside), "{}", Ipv6Addr::from_bits(outside));
        }
    }
}

#[test]
fn ways_home_are_special() {
    for address in [
        "::",
        "::1",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:1.1.1.1",
        "64:ff9b::1.1.1.1",
        "64:ff9b:1::1.1.1.1",
        "100::1",
        "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2002:a00:1::",
        "4000::",
        "5f00::1",
        "fc00::1",
        "fd00:ec2::254",
        "fe80::1",
        "fec0::1",
        "ff02::1",
    ] {
        assert!(special(address), "{address}");
    }
    for address in [
        "1.1.1.1",
        "8.8.8.8",
        "2000::1",
        "2001:4860:4860::8888",
        "2606:4700::1111",
    ] {
        assert!(!special(address), "{address}");
    }
}

#[test]
fn nat64_has_one_prefix() {
    let inside = |text: &str| nat64(text.parse().unwrap());
    assert_eq!(inside("64:ff9b::a00:1"), Some(Ipv4Addr::new(10, 0, 0, 1)));
    for other in [
        "64:ff9b:1::a00:1",
        "64:ff9b::1:a00:1",
        "::ffff:10.0.0.1",
        "::10.0.0.1",
    ] {
        assert_eq!(inside(other), None, "{other}");
    }
}

proptest! {
    #[test]
    fn what_the_standard_library_calls_special_is(bits in any::<u32>()) {
        let address = Ipv4Addr::from_bits(bits);
        let theirs = address.is_private()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_broadcast()
            || address.is_documentation()
            || address.is_multicast()
            || address.is_unspecified();
        prop_assert!(!theirs || is_special_purpose(address.into()));
        // No IPv6 address leads to an IPv4 address that was not judged.
        let mapped = address.to_ipv6_mapped();
        prop_assert!(is_special_purpose(IpAddr::V6(mapped)));
        prop_assert!(is_special_purpose(IpAddr::V6(address.to_ipv6_compatible())));
    }

    #[test]
    fn what_it_calls_special_of_ipv6_is(bits in any::<u128>()) {
        let address = Ipv6Addr::from_bits(bits);
        let theirs = address.is_loopback()
            || address.is_multicast()
            || address.is_unspecified()
            || address.is_unique_local()
            || address.is_unicast_link_local()
            || address.to_ipv4().is_some();
        prop_assert!(!theirs || is_special_purpose(address.into()));
    }
}
