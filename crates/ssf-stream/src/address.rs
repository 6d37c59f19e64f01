//! Which addresses a peer may make this side connect to.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whom a URL that a peer chose may lead to. Ask at the time of the connection, for each address that the name resolved to,
/// and connect to those very addresses: a name that was harmless when the stream was made may point elsewhere later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressPolicy {
    allowed: Vec<IpAddr>,
}

impl AddressPolicy {
    /// Only public addresses: none of the own host or network, no multicast, none that IANA lists for special purposes.
    #[must_use]
    pub fn public() -> Self {
        Self::default()
    }

    /// Allows one more address, such as a receiver in the own network.
    #[must_use]
    pub fn with_allowed(mut self, address: IpAddr) -> Self {
        self.allowed.push(address);
        self
    }

    /// Whether a connection is allowed.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        self.allowed.contains(&address)
            || match address {
                IpAddr::V4(address) => is_public_v4(address),
                IpAddr::V6(address) => is_public_v6(address),
            }
    }

    /// Whether a URL may be used, as far as can be told without resolving: a literal address has to be allowed, and
    /// `localhost` is none.
    #[must_use]
    pub fn allows_url(&self, url: &url::Url) -> bool {
        match url.host() {
            Some(url::Host::Ipv4(address)) => self.allows(address.into()),
            Some(url::Host::Ipv6(address)) => self.allows(address.into()),
            Some(url::Host::Domain(name)) => {
                let name = name.strip_suffix('.').unwrap_or(name);
                name != "localhost" && !name.ends_with(".localhost")
            }
            None => false,
        }
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let special = match address.octets() {
        [0 | 10 | 127, ..] | [169, 254, ..] | [192, 168, ..] => true,
        [100, second, ..] => second & 0xc0 == 64,
        [172, second, ..] => second & 0xf0 == 16,
        [192, 0, 0 | 2, _] | [192, 88, 99, _] => true,
        [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => true,
        // Multicast, reserved and broadcast.
        [first, ..] => first >= 224,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // What carries an IPv4 address has no business here.
        [0x2001, second, ..] => second >= 0x200 && second != 0xdb8,
        [0x2002, ..] => false,
        [0x3fff, second, ..] => second >= 0x1000,
        // Global unicast is 2000::/3 so far.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::AddressPolicy;

    /// Covers: SSF-A2, SET-PUSH-A8
    #[test]
    fn special_addresses_are_refused() {
        let policy = AddressPolicy::public();
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            let address = special.parse().unwrap();
            assert!(!policy.allows(address), "{special}");
            assert!(policy.clone().with_allowed(address).allows(address));
        }
        for good in [
            "1.1.1.1",
            "100.63.255.255",
            "172.32.0.1",
            "223.255.255.255",
            "2001:4860:4860::8888",
        ] {
            assert!(policy.allows(good.parse().unwrap()), "{good}");
        }
        for url in [
            "https://127.0.0.1/x",
            "https://[::1]/",
            "https://0x7f.1/",
            "https://2130706433/",
            "https://localhost/",
            "https://a.localhost./",
        ] {
            assert!(!policy.allows_url(&url::Url::parse(url).unwrap()), "{url}");
        }
        assert!(policy.allows_url(&url::Url::parse("https://rx.example.org/").unwrap()));
    }
}
