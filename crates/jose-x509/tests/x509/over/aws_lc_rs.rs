//! Over `aws-lc-rs`.

use pki_types::SignatureVerificationAlgorithm;

const ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] =
    jose_x509::provider::aws_lc_rs::provider().certificate_algorithms;

#[path = "../path.rs"]
mod path;
#[path = "../properties.rs"]
mod properties;
