//! The `Txn-Token` field (draft section 12): taking the token from a request, and passing it on as it is.

use http::uri::Scheme;
use http::{HeaderMap, HeaderValue, Request, Uri};
use jose_x509::{CryptoProvider, base64url};

use crate::TXN_TOKEN_HEADER;
use crate::error::Error;
use crate::token::signing_input;

/// Longest token, in bytes.
pub(crate) const MAX_TOKEN: usize = 16 * 1024;

/// What stands in the one `Txn-Token` field of a request. Nothing of it is verified.
#[derive(Clone, Copy)]
pub struct UnverifiedTxnToken<'a>(&'a str);

impl<'a> UnverifiedTxnToken<'a> {
    /// Takes the value of the one field. No other field is looked at; a transaction token in `Authorization` is none.
    ///
    /// # Errors
    ///
    /// [`Error::MissingField`], [`Error::FieldCount`], [`Error::FieldValue`], [`Error::FieldTooLong`].
    pub fn from_headers(headers: &'a HeaderMap) -> Result<Self, Error> {
        let mut values = headers.get_all(TXN_TOKEN_HEADER).iter();
        let value = values.next().ok_or(Error::MissingField)?;
        if values.next().is_some() {
            return Err(Error::FieldCount);
        }
        if value.len() > MAX_TOKEN {
            return Err(Error::FieldTooLong);
        }
        let text = value.to_str().map_err(|_| Error::FieldValue)?;
        if text.contains(',') {
            return Err(Error::FieldCount);
        }
        let token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
        if text.is_empty() || !text.bytes().all(token) {
            return Err(Error::FieldValue);
        }
        Ok(Self(text))
    }

    /// The token.
    #[must_use]
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// SHA-256 of header and payload in base64url: what may be logged instead of the token, the same as that of the verified one.
    #[must_use]
    pub fn hash_for_logs(&self, provider: &CryptoProvider) -> String {
        base64url::encode(&provider.sha256(signing_input(self.0).as_bytes()))
    }
}

impl std::fmt::Debug for UnverifiedTxnToken<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnverifiedTxnToken").finish_non_exhaustive()
    }
}

/// Puts the token of an incoming request on outgoing ones, byte for byte, and only within the trust domain.
#[derive(Clone, Debug)]
pub struct Propagation {
    hosts: Vec<String>,
    plain_http: bool,
}

impl Propagation {
    /// To these hosts of the trust domain over `https`. A name that begins with a dot stands for all names below it.
    #[must_use]
    pub fn to_hosts<T: AsRef<str>>(hosts: impl IntoIterator<Item = T>) -> Self {
        let hosts = hosts
            .into_iter()
            .map(|host| host.as_ref().to_ascii_lowercase());
        Self {
            hosts: hosts.collect(),
            plain_http: false,
        }
    }

    /// Also over `http`: where a proxy beside the workload sets up TLS.
    #[must_use]
    pub const fn with_plain_http(mut self) -> Self {
        self.plain_http = true;
        self
    }

    /// Puts the token of `incoming` on `outgoing`, in place of any that is there.
    ///
    /// # Errors
    ///
    /// [`Error::OutsideTrustDomain`] for another host, and then `outgoing` has no token; those of
    /// [`UnverifiedTxnToken::from_headers`].
    pub fn propagate<B>(
        &self,
        incoming: &HeaderMap,
        outgoing: &mut Request<B>,
    ) -> Result<(), Error> {
        outgoing.headers_mut().remove(TXN_TOKEN_HEADER);
        if !self.reaches(outgoing.uri()) {
            return Err(Error::OutsideTrustDomain);
        }
        let token = UnverifiedTxnToken::from_headers(incoming)?;
        let mut value = HeaderValue::from_str(token.as_str()).map_err(|_| Error::FieldValue)?;
        value.set_sensitive(true);
        outgoing.headers_mut().insert(TXN_TOKEN_HEADER, value);
        Ok(())
    }

    /// Before a redirect is followed: takes the token away unless the new target has the host, the port and the scheme of the
    /// old one.
    pub fn redirected<B>(&self, from: &Uri, request: &mut Request<B>) {
        let to = request.uri();
        let same = from.scheme() == to.scheme()
            && from.port_u16() == to.port_u16()
            && from.host().map(str::to_ascii_lowercase) == to.host().map(str::to_ascii_lowercase);
        if !same || !self.reaches(to) {
            request.headers_mut().remove(TXN_TOKEN_HEADER);
        }
    }

    fn reaches(&self, uri: &Uri) -> bool {
        let secure = uri.scheme() == Some(&Scheme::HTTPS);
        let plain = self.plain_http && uri.scheme() == Some(&Scheme::HTTP);
        let Some(host) = uri.host().map(str::to_ascii_lowercase) else {
            return false;
        };
        let is = |allowed: &String| match allowed.strip_prefix('.') {
            Some(_) => host.len() > allowed.len() && host.ends_with(allowed.as_str()),
            None => host == *allowed,
        };
        (secure || plain) && self.hosts.iter().any(is)
    }
}
