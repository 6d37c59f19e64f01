//! A holder's files as tools write them: PEM with explanatory text around the blocks (RFC 7468, section 2).

use jose_x509::x509::pem;
use pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::parse::MAX_CHAIN;
use crate::error::Error;

pub(super) fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, Error> {
    pem::certificates(blocks(text).as_bytes(), MAX_CHAIN).map_err(Error::X509)
}

/// The blocks, and whatever else begins as one. Lines of text between them become empty, so that errors count lines as
/// the file does.
pub(super) fn blocks(text: &str) -> Zeroizing<String> {
    // Of full size from the beginning: what grows leaves copies behind.
    let mut kept = Zeroizing::new(String::with_capacity(text.len().saturating_add(1)));
    let mut inside = false;
    for line in text.lines() {
        let boundary = line.starts_with("-----");
        if inside || boundary {
            kept.push_str(line);
        }
        kept.push('\n');
        if boundary {
            inside = line.starts_with("-----BEGIN ");
        }
    }
    kept
}

/// What follows upon the block that `openssl ecparam -genkey` writes before the key, which names the curve itself.
pub(super) fn without_parameters(blocks: &str) -> &str {
    let inside = blocks
        .trim_ascii_start()
        .strip_prefix("-----BEGIN EC PARAMETERS-----");
    inside
        .and_then(|inside| inside.split_once("-----END EC PARAMETERS-----"))
        .map_or(blocks, |(_, behind)| behind)
}
