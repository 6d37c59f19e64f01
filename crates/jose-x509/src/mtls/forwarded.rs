//! Certificates that a TLS-terminating proxy passes on in fields (RFC 9440).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki_types::CertificateDer;

use super::certificate::ClientCertificate;
use super::error::MtlsError;
use super::xfcc;
use crate::error::Error;
use crate::x509::MAX_CERTIFICATE_SIZE;

/// Most certificates behind the leaf.
pub const MAX_FORWARDED: usize = 8;
/// Longest value of a field in bytes.
const MAX_FIELD: usize = 128 * 1024;

const CLIENT_CERT: &str = "client-cert";
const CLIENT_CERT_CHAIN: &str = "client-cert-chain";
pub(super) const XFCC: &str = "x-forwarded-client-cert";

/// The fields by which proxies pass client certificates on, in lower case. A request of anybody else has
/// to lose them: see [`Forwarded::keeps`].
pub const CERTIFICATE_FIELDS: [&str; 8] = [
    CLIENT_CERT,
    CLIENT_CERT_CHAIN,
    XFCC,
    "x-client-cert",
    "x-client-certificate",
    "ssl-client-cert",
    "x-ssl-client-cert",
    "x-ssl-cert",
];

/// Decides which peers are proxies that may speak for clients. A peer is whatever the caller knows of the
/// connection and cannot be forged: a verified identity, or an address in a closed network.
pub trait TrustedPeer<P: ?Sized> {
    /// Whether this peer terminates TLS for this server.
    fn is_trusted(&self, peer: &P) -> bool;
}

impl<P: ?Sized, F: Fn(&P) -> bool> TrustedPeer<P> for F {
    fn is_trusted(&self, peer: &P) -> bool {
        self(peer)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Rfc9440,
    Envoy,
}

/// Reads certificates from the fields of one format, of trusted peers alone.
#[derive(Clone, Copy, Debug)]
pub struct Forwarded<T> {
    format: Format,
    trust: T,
}

impl<T> Forwarded<T> {
    /// `Client-Cert` and `Client-Cert-Chain` (RFC 9440).
    #[must_use]
    pub const fn rfc9440(trust: T) -> Self {
        Self {
            format: Format::Rfc9440,
            trust,
        }
    }

    /// `X-Forwarded-Client-Cert` of an Envoy that sets the field (`SANITIZE_SET`) with `Cert`, and perhaps
    /// `Chain` and `Hash`.
    #[must_use]
    pub const fn envoy(trust: T) -> Self {
        Self {
            format: Format::Envoy,
            trust,
        }
    }

    /// The certificate that `peer` vouches for in the fields of this request, given with their names; `None`
    /// if there is none or the peer is not trusted.
    ///
    /// # Errors
    ///
    /// Of a trusted peer only: [`MtlsError::MultipleValues`], [`MtlsError::MalformedField`],
    /// [`MtlsError::ChainWithoutCertificate`], [`MtlsError::Contradiction`], and [`Error::X509`] for a leaf that the
    /// strict parser refuses.
    pub fn read<'f, P: ?Sized>(
        &self,
        peer: &P,
        fields: impl IntoIterator<Item = (&'f str, &'f [u8])>,
    ) -> Result<Option<ClientCertificate<'static>>, Error>
    where
        T: TrustedPeer<P>,
    {
        if !self.trust.is_trusted(peer) {
            return Ok(None);
        }
        let (mut leaf, mut chain) = (Vec::new(), Vec::new());
        let leaf_field = match self.format {
            Format::Rfc9440 => CLIENT_CERT,
            Format::Envoy => XFCC,
        };
        for (name, value) in fields {
            if name.eq_ignore_ascii_case(leaf_field) {
                leaf.push(value);
            } else if self.format == Format::Rfc9440 && name.eq_ignore_ascii_case(CLIENT_CERT_CHAIN)
            {
                chain.push(value);
            }
        }
        let value = match leaf.as_slice() {
            [] if chain.is_empty() => return Ok(None),
            [] => return Err(MtlsError::ChainWithoutCertificate.into()),
            [one] => text(one, leaf_field)?,
            _ => return Err(MtlsError::MultipleValues { field: leaf_field }.into()),
        };
        match self.format {
            Format::Rfc9440 => {
                let leaf = certificate(value, CLIENT_CERT)?;
                ClientCertificate::new(leaf, parse_chain(&chain)?).map(Some)
            }
            Format::Envoy => xfcc::parse(value),
        }
    }

    /// Whether a field of this name may stay in a request of this peer. Every other certificate field has to be
    /// taken out before the request is used or passed on, also one written with underscores, which some servers
    /// take for the same.
    #[must_use]
    pub fn keeps<P: ?Sized>(&self, peer: &P, name: &str) -> bool
    where
        T: TrustedPeer<P>,
    {
        let plain = name.to_ascii_lowercase().replace('_', "-");
        if !CERTIFICATE_FIELDS.contains(&plain.as_str()) {
            return true;
        }
        let ours = match self.format {
            Format::Rfc9440 => plain == CLIENT_CERT || plain == CLIENT_CERT_CHAIN,
            Format::Envoy => plain == XFCC,
        };
        ours && !name.contains('_') && self.trust.is_trusted(peer)
    }
}

fn text<'f>(value: &'f [u8], field: &'static str) -> Result<&'f str, Error> {
    core::str::from_utf8(value)
        .ok()
        .filter(|text| text.len() <= MAX_FIELD)
        .map(|text| text.trim_matches([' ', '\t']))
        .ok_or_else(|| MtlsError::MalformedField { field }.into())
}

/// A byte sequence of RFC 8941 without parameters: none are defined. Strict base64 makes two values
/// two certificates.
fn certificate(item: &str, field: &'static str) -> Result<CertificateDer<'static>, Error> {
    if item.contains(',') {
        return Err(MtlsError::MultipleValues { field }.into());
    }
    item.strip_prefix(':')
        .and_then(|item| item.strip_suffix(':'))
        .filter(|base64| base64.len() <= MAX_CERTIFICATE_SIZE.div_ceil(3) * 4)
        .and_then(|base64| STANDARD.decode(base64).ok())
        .filter(|der| !der.is_empty())
        .map(CertificateDer::from)
        .ok_or_else(|| MtlsError::MalformedField { field }.into())
}

/// Several fields are one list.
fn parse_chain(fields: &[&[u8]]) -> Result<Vec<CertificateDer<'static>>, Error> {
    let field = CLIENT_CERT_CHAIN;
    let mut certificates = Vec::new();
    for value in fields {
        for item in text(value, field)?.split(',') {
            if certificates.len() == MAX_FORWARDED {
                return Err(MtlsError::MalformedField { field }.into());
            }
            certificates.push(certificate(item.trim_matches([' ', '\t']), field)?);
        }
    }
    Ok(certificates)
}
