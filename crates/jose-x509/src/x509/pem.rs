//! Certificate bundles in PEM (RFC 7468), strict: only `CERTIFICATE` blocks, and white space between them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pki_types::CertificateDer;

use super::certificate::MAX_CERTIFICATE_SIZE;
use super::error::{PemProblem, X509Error};

/// Largest text that is read, in octets.
pub const MAX_PEM_SIZE: usize = 1024 * 1024;

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";
const END: &[u8] = b"-----END CERTIFICATE-----";
const MAX_BODY: usize = MAX_CERTIFICATE_SIZE.div_ceil(3) * 4;
const MAX_LINE: usize = 76;

/// The certificates of a bundle, in order. They are decoded, and not yet parsed.
///
/// # Errors
///
/// [`X509Error::Pem`] with the number of the line, counted from one, if there is anything but
/// `CERTIFICATE` blocks and white space, if the base64 is not strict, if there are more than
/// `max_certificates` or none, or if the text or a certificate is too large.
pub fn certificates(
    pem: &[u8],
    max_certificates: usize,
) -> Result<Vec<CertificateDer<'static>>, X509Error> {
    if pem.len() > MAX_PEM_SIZE {
        return Err(X509Error::Pem {
            line: 1,
            problem: PemProblem::TooLarge,
        });
    }
    let mut found = Vec::new();
    let mut body: Option<Vec<u8>> = None;
    let mut number = 0;
    for line in pem
        .strip_suffix(b"\n")
        .unwrap_or(pem)
        .split(|byte| *byte == b'\n')
    {
        number += 1;
        let fail = |problem| {
            Err(X509Error::Pem {
                line: number,
                problem,
            })
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match &mut body {
            None if line == BEGIN && found.len() >= max_certificates => {
                return fail(PemProblem::TooMany);
            }
            None if line == BEGIN => body = Some(Vec::new()),
            None if line.starts_with(b"-----") => return fail(PemProblem::Label),
            None if line.trim_ascii().is_empty() => {}
            None => return fail(PemProblem::Text),
            Some(text) if line == END => {
                let Ok(der) = STANDARD.decode(&*text) else {
                    return fail(PemProblem::Base64);
                };
                if der.is_empty() {
                    return fail(PemProblem::Base64);
                }
                found.push(CertificateDer::from(der));
                body = None;
            }
            Some(_) if line.starts_with(b"-----") => return fail(PemProblem::Label),
            Some(_) if line.is_empty() || line.len() > MAX_LINE => {
                return fail(PemProblem::Base64);
            }
            Some(text) if text.len() + line.len() > MAX_BODY => return fail(PemProblem::TooLarge),
            Some(text) => text.extend_from_slice(line),
        }
    }
    if body.is_some() {
        return Err(X509Error::Pem {
            line: number,
            problem: PemProblem::Unfinished,
        });
    }
    if found.is_empty() {
        return Err(X509Error::Pem {
            line: number,
            problem: PemProblem::Empty,
        });
    }
    Ok(found)
}
