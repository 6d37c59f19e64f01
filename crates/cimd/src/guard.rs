//! Which network addresses and ports a document may be fetched from.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::Error;

/// Refuses special-use addresses (RFC 6890 and the IANA registries), so that a client cannot make the server reach into
/// its own network.
///
/// ```
/// use cimd::guard::AddressPolicy;
///
/// let policy = AddressPolicy::new();
/// assert!(policy.is_allowed("93.184.215.14".parse().unwrap()));
/// assert!(!policy.is_allowed("169.254.169.254".parse().unwrap()));
/// assert!(!policy.is_allowed("::ffff:127.0.0.1".parse().unwrap()));
/// ```
#[derive(Debug, Clone, Default)]
pub struct AddressPolicy {
    development: bool,
    nat64: bool,
    exceptions: Vec<IpAddr>,
}

impl AddressPolicy {
    /// The policy for production: no exception is possible.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A policy for development and tests, to which exceptions can be added. It has none yet.
    #[must_use]
    pub fn for_development() -> Self {
        Self {
            development: true,
            ..Self::default()
        }
    }

    /// Allows `64:ff9b::/96` where the IPv4 address inside is allowed, for networks that reach IPv4 through NAT64.
    #[must_use]
    pub fn allow_nat64(mut self) -> Self {
        self.nat64 = true;
        self
    }

    /// Allows the loopback address that the server itself listens on, and no other.
    ///
    /// # Errors
    ///
    /// [`Error::ExceptionOutsideDevelopment`] for a production policy, or when `server` is not a loopback address.
    pub fn dangerous_allow_loopback(self, server: IpAddr) -> Result<Self, Error> {
        if !server.is_loopback() {
            return Err(Error::ExceptionOutsideDevelopment);
        }
        self.dangerous_allow_exact(server)
    }

    /// Allows one address whatever it is.
    ///
    /// # Errors
    ///
    /// [`Error::ExceptionOutsideDevelopment`] for a production policy.
    pub fn dangerous_allow_exact(mut self, address: IpAddr) -> Result<Self, Error> {
        if !self.development {
            return Err(Error::ExceptionOutsideDevelopment);
        }
        self.exceptions.push(address);
        Ok(self)
    }

    /// Whether a connection to `address` is allowed.
    #[must_use]
    pub fn is_allowed(&self, address: IpAddr) -> bool {
        if self.exceptions.contains(&address) {
            return true;
        }
        match address {
            IpAddr::V4(v4) => is_global_v4(v4),
            IpAddr::V6(v6) => match nat64(v6) {
                Some(v4) => self.nat64 && is_global_v4(v4),
                None => is_global_v6(v6),
            },
        }
    }

    /// Checks everything a name resolved to. Connect to one of these very addresses; do not resolve again.
    ///
    /// # Errors
    ///
    /// [`Error::NoAddress`] for an empty list, [`Error::AddressRefused`] when any address is refused or has a zone.
    pub fn check_all(&self, addresses: &[SocketAddr]) -> Result<(), Error> {
        if addresses.is_empty() {
            return Err(Error::NoAddress);
        }
        let allowed = |address: &SocketAddr| {
            let zoned = matches!(address, SocketAddr::V6(v6) if v6.scope_id() != 0);
            !zoned && self.is_allowed(address.ip())
        };
        if addresses.iter().all(allowed) {
            Ok(())
        } else {
            Err(Error::AddressRefused)
        }
    }
}

/// Ports that documents are fetched from: 443 and those from 1024 on, except a list of denied ones.
#[derive(Debug, Clone, Default)]
pub struct PortPolicy {
    denied: Vec<u16>,
}

impl PortPolicy {
    /// 443, and every port from 1024 on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Denies one more port.
    #[must_use]
    pub fn deny(mut self, port: u16) -> Self {
        self.denied.push(port);
        self
    }

    /// Checks one port.
    ///
    /// # Errors
    ///
    /// [`Error::PortRefused`].
    pub fn check(&self, port: u16) -> Result<(), Error> {
        if (port == 443 || port >= 1024) && !self.denied.contains(&port) {
            Ok(())
        } else {
            Err(Error::PortRefused { port })
        }
    }
}

/// Network and prefix length.
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
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

/// Special ranges inside 2000::/3; nothing outside it is global unicast, see [`is_global_v6`].
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    // IETF protocol assignments, Teredo among them.
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    // 6to4: embeds IPv4.
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

fn is_global_v4(address: Ipv4Addr) -> bool {
    let bits = address.to_bits();
    !SPECIAL_V4
        .iter()
        .any(|(network, length)| (bits ^ network.to_bits()).leading_zeros() >= *length)
}

/// Global unicast is 2000::/3 so far. That leaves out ::/96, IPv4-mapped, 64:ff9b:1::/48, 100::/64, 5f00::/16, fc00::/7,
/// fe80::/10, fec0::/10, ff00::/8 and everything unassigned.
fn is_global_v6(address: Ipv6Addr) -> bool {
    let bits = address.to_bits();
    bits >> 125 == 0b001
        && !SPECIAL_V6
            .iter()
            .any(|(network, length)| (bits ^ network.to_bits()).leading_zeros() >= *length)
}

/// The IPv4 address in the well-known NAT64 prefix 64:ff9b::/96.
fn nat64(address: Ipv6Addr) -> Option<Ipv4Addr> {
    match address.octets() {
        [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, a, b, c, d] => {
            Some(Ipv4Addr::new(a, b, c, d))
        }
        _ => None,
    }
}
