//! Over `ring`.

use pki_types::SignatureVerificationAlgorithm;

const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] =
    jose_x509::provider::ring::provider().certificate_algorithms;

#[path = "../path.rs"]
mod path;
#[path = "../properties.rs"]
mod properties;
