//! What the options of the command name: trust, and what the verifier is.

use std::path::Path;

use jose_x509::KeySet;
use jose_x509::provider::ring;
use spiffe_bundle::{Bundle, BundleSet};
use spiffe_id::TrustDomain;

use super::{InspectOptions, Kind, MAX_INPUT, UseError, read, without_newline};

/// The value of an option that the kind needs.
pub(super) fn required<'o, T: ?Sized>(
    kind: Kind,
    option: &'static str,
    value: Option<&'o T>,
) -> Result<&'o T, UseError> {
    value.ok_or(UseError::Missing {
        kind: kind.name(),
        option,
    })
}

/// Text that the kind needs and that must not be empty.
pub(super) fn text<'o>(
    kind: Kind,
    option: &'static str,
    value: Option<&'o str>,
) -> Result<&'o str, UseError> {
    match required(kind, option, value)? {
        "" => Err(malformed(option, "it must not be empty")),
        value => Ok(value),
    }
}

/// The bundles of `--bundle`.
pub(super) fn bundles(kind: Kind, options: &InspectOptions) -> Result<BundleSet, UseError> {
    const OPTION: &str = "--bundle";
    if options.bundles.is_empty() {
        return Err(UseError::Missing {
            kind: kind.name(),
            option: OPTION,
        });
    }
    let mut set = BundleSet::new();
    for value in &options.bundles {
        let (name, file) = value.split_once('=').ok_or_else(|| {
            malformed(
                OPTION,
                "write TRUST_DOMAIN=FILE, such as example.org=bundle.json",
            )
        })?;
        let trust_domain = TrustDomain::parse(name).map_err(|error| {
            malformed(
                OPTION,
                &format!("what stands before `=` is not a trust domain: {error}"),
            )
        })?;
        if set.get(&trust_domain).is_some() {
            return Err(malformed(
                OPTION,
                &format!("trust domain {trust_domain} is given twice"),
            ));
        }
        let document = contents(OPTION, Path::new(file))?;
        let bundle = Bundle::parse(&ring::provider(), trust_domain, &document)
            .map_err(|error| malformed(OPTION, &format!("{file} is refused: {error}")))?;
        set.force_install(bundle);
    }
    Ok(set)
}

/// The key set of `--jwks`.
pub(super) fn keys(kind: Kind, options: &InspectOptions) -> Result<KeySet, UseError> {
    const OPTION: &str = "--jwks";
    let file = required(kind, OPTION, options.jwks.as_deref())?;
    let document = contents(OPTION, file)?;
    let keys = KeySet::from_jwks_slice(&ring::provider(), &document)
        .map_err(|error| malformed(OPTION, &format!("{} is refused: {error}", file.display())))?;
    if keys.keys().is_empty() {
        let problem = format!(
            "{} has no public key that can verify a signature",
            file.display()
        );
        return Err(malformed(OPTION, &problem));
    }
    Ok(keys)
}

/// The token of `--wit`, whatever it is.
pub(super) fn wit(kind: Kind, options: &InspectOptions) -> Result<Vec<u8>, UseError> {
    contents("--wit", required(kind, "--wit", options.wit.as_deref())?)
}

fn contents(option: &'static str, file: &Path) -> Result<Vec<u8>, UseError> {
    let bytes = read(file)?;
    if bytes.len() > MAX_INPUT {
        return Err(malformed(
            option,
            &format!("{} is longer than {MAX_INPUT} bytes", file.display()),
        ));
    }
    Ok(without_newline(&bytes).to_vec())
}

pub(super) fn malformed(option: &'static str, problem: &str) -> UseError {
    UseError::Malformed {
        option,
        problem: problem.to_owned(),
    }
}
