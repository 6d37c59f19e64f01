//! Which addresses a peer may make this side connect to.

use std::net::IpAddr;

use special_purpose_ip::is_special_purpose;

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
        self.allowed.contains(&address) || !is_special_purpose(address)
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

#[cfg(test)]
mod tests {
    use super::AddressPolicy;

    /// Covers: SSF-A2, SET-PUSH-A8
    #[test]
    fn special_addresses_are_refused() {
        let policy = AddressPolicy::public();
        for special in [
            "10.1.2.3",
            "127.0.0.1",
            "169.254.169.254",
            "::1",
            "::ffff:1.1.1.1",
        ] {
            let address = special.parse().unwrap();
            assert!(!policy.allows(address), "{special}");
            assert!(policy.clone().with_allowed(address).allows(address));
        }
        assert!(policy.allows("1.1.1.1".parse().unwrap()));
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
