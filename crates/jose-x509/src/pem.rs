//! PEM with exactly one object of one label.

use crate::error::{Error, KeyProblem};

/// Above any key of this crate in PEM.
const MAX_PEM: usize = 16 * 1024;

/// The DER bytes of a text that is one PEM object with `label`, and white space around it.
pub(crate) fn decode_one(pem: &str, label: &str) -> Result<zeroize::Zeroizing<Vec<u8>>, Error> {
    const MALFORMED: Error = Error::InvalidKey {
        problem: KeyProblem::Malformed,
    };
    let pem = pem.trim_ascii();
    if pem.len() > MAX_PEM || !pem.starts_with("-----BEGIN ") {
        return Err(MALFORMED);
    }
    let (found, der) = der::pem::decode_vec(pem.as_bytes()).map_err(|_| MALFORMED)?;
    let der = zeroize::Zeroizing::new(der);
    if found == label {
        Ok(der)
    } else if found.ends_with("PRIVATE KEY") {
        Err(Error::InvalidKey {
            problem: KeyProblem::PrivateMaterial,
        })
    } else {
        Err(MALFORMED)
    }
}

/// One PEM object, lines ended by `\n`.
pub(crate) fn encode(label: &str, der: &[u8]) -> Result<String, Error> {
    der::pem::encode_string(label, der::pem::LineEnding::LF, der).map_err(|_| Error::InvalidKey {
        problem: KeyProblem::Malformed,
    })
}
