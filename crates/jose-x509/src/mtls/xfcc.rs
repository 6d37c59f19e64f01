//! Envoy's `X-Forwarded-Client-Cert`: pairs of key and value, one element for each proxy on the way.

use pki_types::CertificateDer;

use super::certificate::ClientCertificate;
use super::error::MtlsError;
use super::forwarded::{MAX_FORWARDED, XFCC};
use crate::error::Error;
use crate::x509::pem;

const MALFORMED: MtlsError = MtlsError::MalformedField { field: XFCC };

/// The certificate of the one element that is accepted: with several, anybody could have written the
/// first ones.
pub(super) fn parse(field: &str) -> Result<Option<ClientCertificate<'static>>, Error> {
    let pairs = pairs(field)?;
    let single = |key: &str| {
        let mut found = pairs
            .iter()
            .filter(|(name, _)| name.eq_ignore_ascii_case(key));
        match (found.next(), found.next()) {
            (None, _) => Ok(None),
            (Some((_, value)), None) => Ok(Some(value.as_str())),
            _ => Err(MtlsError::MultipleValues { field: XFCC }),
        }
    };
    const KNOWN: [&str; 7] = ["By", "Hash", "Cert", "Chain", "Subject", "URI", "DNS"];
    let known = |name: &str| KNOWN.iter().any(|known| known.eq_ignore_ascii_case(name));
    if !pairs.iter().all(|(name, _)| known(name)) {
        return Err(MALFORMED.into());
    }
    // Without the certificate itself, names and hashes are no more than somebody's word.
    let Some(cert) = single("Cert")? else {
        return Err(MALFORMED.into());
    };
    let leaf = certificates(cert, 1)?.pop().ok_or(MALFORMED)?;
    let mut chain = match single("Chain")? {
        None => Vec::new(),
        Some(chain) => certificates(chain, MAX_FORWARDED)?,
    };
    if !chain.is_empty() {
        // The chain begins with the leaf.
        if chain.remove(0) != leaf {
            return Err(MtlsError::Contradiction { field: XFCC }.into());
        }
    }
    ClientCertificate::new(leaf, chain).map(Some)
}

/// Percent-encoded PEM.
fn certificates(encoded: &str, max: usize) -> Result<Vec<CertificateDer<'static>>, Error> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut bytes = encoded.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |digit: Option<u8>| char::from(digit?).to_digit(16);
                let (high, low) = (digit(bytes.next()), digit(bytes.next()));
                high.zip(low)
                    .and_then(|(high, low)| u8::try_from(high * 16 + low).ok())
                    .ok_or(MALFORMED)?
            }
            byte => byte,
        });
    }
    Ok(pem::certificates(&decoded, max)?)
}

/// The pairs of the one element.
fn pairs(field: &str) -> Result<Vec<(String, String)>, Error> {
    let mut pairs = Vec::new();
    let mut rest = field;
    loop {
        let (name, value) = rest.split_once('=').ok_or(MALFORMED)?;
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(MALFORMED.into());
        }
        let (value, behind) = match value.strip_prefix('"') {
            Some(quoted) => quoted_value(quoted).ok_or(MALFORMED)?,
            None => {
                let end = value.find([';', ',']).unwrap_or(value.len());
                let (value, behind) = value.split_at_checked(end).ok_or(MALFORMED)?;
                if value.contains(['"', '=']) {
                    return Err(MALFORMED.into());
                }
                (value.to_owned(), behind)
            }
        };
        if pairs.len() == 64 {
            return Err(MALFORMED.into());
        }
        pairs.push((name.to_owned(), value));
        match behind.split_at_checked(1) {
            None => return Ok(pairs),
            Some((";", behind)) => rest = behind,
            Some((",", _)) => return Err(MtlsError::MultipleValues { field: XFCC }.into()),
            Some(_) => return Err(MALFORMED.into()),
        }
    }
}

/// The value up to its closing quote, and what stands behind that.
fn quoted_value(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            c => value.push(c),
        }
    }
}
