//! Which network addresses and ports a document may be fetched from.

use std::net::{IpAddr, SocketAddr};

use special_purpose_ip::{is_special_purpose, nat64};

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
        let inside = match address {
            IpAddr::V6(address) if self.nat64 => nat64(address),
            _ => None,
        };
        !is_special_purpose(inside.map_or(address, IpAddr::V4))
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
