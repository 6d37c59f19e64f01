//! Tells what a token, certificate chain, bundle or document is, and verifies it on demand.
//!
//! Without a kind nothing is trusted and nothing is verified: what is shown is what the sender claims.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use pki_types::UnixTime;

mod checks;
mod detect;
mod place;
mod report;
mod trust;
mod verify;

pub use report::{Check, Refusal, Report};

/// What somebody wants to know.
#[derive(Clone, Debug, Default)]
pub struct InspectOptions {
    /// The file; `-` or none is standard input.
    pub file: Option<PathBuf>,
    /// Verify as this kind.
    pub kind: Option<Kind>,
    /// `TRUST_DOMAIN=FILE`.
    pub bundles: Vec<String>,
    /// The WIT of a WPT.
    pub wit: Option<PathBuf>,
    /// A key set.
    pub jwks: Option<PathBuf>,
    /// The expected audience.
    pub audience: Option<String>,
    /// The expected issuer.
    pub issuer: Option<String>,
    /// Where a document was fetched from.
    pub url: Option<String>,
    /// The time of verification.
    pub at: Option<String>,
}

/// A kind of thing that can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
#[non_exhaustive]
pub enum Kind {
    /// A SPIFFE ID.
    SpiffeId,
    /// A pattern of SPIFFE IDs.
    SpiffeIdPattern,
    /// A SPIFFE bundle document.
    Bundle,
    /// A Client ID Metadata Document; needs --url.
    Cimd,
    /// An X509-SVID, PEM chain or DER leaf; needs --bundle.
    X509Svid,
    /// A JWT-SVID; needs --bundle and --audience.
    JwtSvid,
    /// A WIT-SVID; needs --bundle.
    WitSvid,
    /// A Workload Proof Token; needs --bundle, --wit and --audience, the target URI of the request.
    Wpt,
    /// A transaction token; needs --jwks and --audience, the trust domain; --issuer if `iss` is to be checked.
    TxnToken,
    /// An OAuth access token (RFC 9068); needs --jwks, --issuer and --audience.
    AccessToken,
    /// A security event token in the profile of Shared Signals; needs --jwks, --issuer and --audience.
    Set,
    /// A security event token of RFC 8417; needs --jwks, --issuer and --audience.
    #[value(name = "rfc8417-set")]
    Rfc8417Set,
    /// A client assertion; --issuer is the client id, --audience the server's issuer; needs --jwks.
    ClientAssertion,
}

impl Kind {
    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SpiffeId => "spiffe-id",
            Self::SpiffeIdPattern => "spiffe-id-pattern",
            Self::Bundle => "bundle",
            Self::Cimd => "cimd",
            Self::X509Svid => "x509-svid",
            Self::JwtSvid => "jwt-svid",
            Self::WitSvid => "wit-svid",
            Self::Wpt => "wpt",
            Self::TxnToken => "txn-token",
            Self::AccessToken => "access-token",
            Self::Set => "set",
            Self::Rfc8417Set => "rfc8417-set",
            Self::ClientAssertion => "client-assertion",
        }
    }

    /// The clauses that are checked for this kind and what they ask for, in order.
    pub fn checks(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        checks::steps(self)
            .iter()
            .map(|(_, requirement, text)| (*requirement, *text))
    }

    /// Whether it is a compact token, and its content claims.
    const fn is_token(self) -> bool {
        !matches!(
            self,
            Self::SpiffeId | Self::SpiffeIdPattern | Self::Bundle | Self::Cimd | Self::X509Svid
        )
    }
}

/// Wrong use of the command: nothing was inspected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UseError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// An option is missing for this kind.
    #[error("--as {kind} needs {option}")]
    Missing {
        /// The kind.
        kind: &'static str,
        /// The option.
        option: &'static str,
    },
    /// An option is malformed.
    #[error("{option} is malformed: {problem}")]
    Malformed {
        /// The option.
        option: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// Longest input in bytes: 4 MiB.
pub const MAX_INPUT: usize = 4 * 1024 * 1024;

/// Inspects.
///
/// # Errors
///
/// [`UseError`]: wrong options or unreadable files. What is refused or malformed is a [`Report`].
pub fn run(options: &InspectOptions) -> Result<Report, UseError> {
    let input = match options.file.as_deref() {
        None => read_stdin()?,
        Some(path) if path == Path::new("-") => read_stdin()?,
        Some(path) => read(path)?,
    };
    let now = match &options.at {
        None => crate::net::now(),
        Some(text) => parse_time(text)?,
    };
    inspect(&input, options, now)
}

/// Inspects bytes that were read already, at the time `now`; `file` and `at` of the options are not used.
///
/// # Errors
///
/// As [`run`].
pub fn inspect(input: &[u8], options: &InspectOptions, now: UnixTime) -> Result<Report, UseError> {
    if input.len() > MAX_INPUT {
        return Ok(too_large(options.kind));
    }
    let input = without_newline(input);
    match options.kind {
        None => Ok(detect::describe(input)),
        Some(kind) => verify::verify(kind, input, options, now),
    }
}

fn too_large(kind: Option<Kind>) -> Report {
    let reason = format!("the input is longer than the limit of {MAX_INPUT} bytes");
    let report = detect::malformed(kind.map_or("unknown", Kind::name), "too_large", &reason);
    Report {
        verified: kind.map(|_| false),
        ..report
    }
}

/// One newline at the end is not part of the thing.
fn without_newline(input: &[u8]) -> &[u8] {
    input
        .strip_suffix(b"\r\n")
        .or_else(|| input.strip_suffix(b"\n"))
        .unwrap_or(input)
}

fn read(path: &Path) -> Result<Vec<u8>, UseError> {
    let failed = |source| UseError::Read {
        path: path.display().to_string(),
        source,
    };
    limited(std::fs::File::open(path).map_err(failed)?).map_err(failed)
}

fn read_stdin() -> Result<Vec<u8>, UseError> {
    limited(std::io::stdin().lock()).map_err(|source| UseError::Read {
        path: "standard input".to_owned(),
        source,
    })
}

/// Reads a little more than the limit, so that what is too long is seen to be.
fn limited(source: impl Read) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MAX_INPUT)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    source.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn parse_time(text: &str) -> Result<UnixTime, UseError> {
    let seconds = text.parse::<u64>().ok().or_else(|| {
        let time: jiff::Timestamp = text.parse().ok()?;
        u64::try_from(time.as_second()).ok()
    });
    let seconds = seconds.ok_or(UseError::Malformed {
        option: "--at",
        problem: "give RFC 3339, such as 2026-01-02T03:04:05Z, or seconds since 1970".to_owned(),
    })?;
    Ok(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
}
