//! Verification by kind: the crate of each standard decides; here its verdict is put into a report.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, Uri, header};
use jose_x509::jwt::Jwt;
use jose_x509::provider::ring;
use jose_x509::x509::{X509Error, pem};
use jose_x509::{Algorithms, Error as JoseError, MemoryReplayGuard};
use oauth_spiffe_client_auth::assertion::verify_client_assertion;
use pki_types::{CertificateDer, UnixTime};
use serde_json::Value;
use spiffe_bundle::{Bundle, BundleSet, WitBundleSource};
use spiffe_id::{SpiffeId, SpiffeIdPattern, TrustDomain};
use ssf_set::{EventPolicy, SetVerifier};
use svid::jwt::JwtSvidVerifier;
use svid::wit::WitSvidVerifier;
use svid::x509::VerifyOptions;
use txn_token::TxnTokenVerifier;
use wimse::wit::WORKLOAD_IDENTITY_TOKEN;
use wimse::{TrustAnchors, WitAnchors, WitVerifier, WorkloadIdentifier, WptVerifier};

use super::checks::{self, Place};
use super::detect::{self, MAX_CERTIFICATES, without_secrets};
use super::report::{Refusal, Report};
use super::{InspectOptions, Kind, UseError, place, trust};
use crate::broker::access_token;

/// What is known of a thing that passed.
#[derive(Default)]
struct Passed {
    subject: Option<String>,
    document: Option<Value>,
    notes: Vec<String>,
}

impl Passed {
    fn of(subject: impl Into<String>) -> Self {
        Self {
            subject: Some(subject.into()),
            ..Self::default()
        }
    }

    fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// What is known of a thing that is refused.
struct Refused {
    place: Place,
    code: &'static str,
    requirement: Option<&'static str>,
    message: String,
}

/// Every error of the crates has the same methods and no common trait.
macro_rules! refused {
    ($place:expr) => {
        |error| Refused {
            place: $place(&error),
            code: error.code(),
            requirement: error.requirement(),
            message: error.to_string(),
        }
    };
}

type Verdict = Result<Passed, Refused>;

pub(super) fn verify(
    kind: Kind,
    input: &[u8],
    options: &InspectOptions,
    now: UnixTime,
) -> Result<Report, UseError> {
    let verdict = match kind {
        Kind::SpiffeId => spiffe_id(input),
        Kind::SpiffeIdPattern => spiffe_id_pattern(input),
        Kind::Bundle => bundle(input)?,
        Kind::Cimd => cimd_document(
            input,
            trust::required(kind, "--url", options.url.as_deref())?,
        ),
        Kind::X509Svid => x509_svid(input, &trust::bundles(kind, options)?, now),
        Kind::JwtSvid => {
            let bundles = trust::bundles(kind, options)?;
            jwt_svid(
                input,
                &bundles,
                trust::text(kind, "--audience", options.audience.as_deref())?,
                now,
            )
        }
        Kind::WitSvid => wit_svid(input, &trust::bundles(kind, options)?, now),
        Kind::Wpt => {
            let bundles = trust::bundles(kind, options)?;
            let wit = trust::wit(kind, options)?;
            wpt(
                input,
                &wit,
                bundles,
                trust::text(kind, "--audience", options.audience.as_deref())?,
                now,
            )
        }
        Kind::TxnToken => txn_token(input, options, now)?,
        Kind::AccessToken | Kind::Set | Kind::Rfc8417Set | Kind::ClientAssertion => {
            issued(kind, input, options, now)?
        }
    };
    Ok(report(kind, input, options, verdict))
}

fn report(kind: Kind, input: &[u8], options: &InspectOptions, verdict: Verdict) -> Report {
    let shown = detect::describe(input);
    let mut report = Report {
        kind: kind.name().to_owned(),
        ..Report::default()
    };
    if kind.is_token() {
        report.header = shown.header;
        report.claims = shown.claims;
    } else {
        report.document = shown.document;
    }
    match verdict {
        Ok(passed) => {
            report.verified = Some(true);
            report.subject = passed.subject;
            report.document = passed.document.or(report.document);
            report.notes = passed.notes;
            report.checks = checks::passed(kind);
        }
        Err(refused) => {
            report.verified = Some(false);
            let (checks, requirement) = checks::failed(kind, refused.place, refused.requirement);
            report.checks = checks;
            report.error = Some(Refusal {
                code: refused.code.to_owned(),
                requirement,
                message: refused.message,
            });
        }
    }
    // What does not apply to this input was not checked.
    let not_applied = match kind {
        Kind::TxnToken if options.issuer.is_none() => Some("JWT-7519.4.1.1-2"),
        Kind::X509Svid if is_der(input) => Some("X509-profile.pem-1"),
        _ => None,
    };
    report
        .checks
        .retain(|check| !check.ok || Some(check.requirement) != not_applied);
    report
}

fn is_der(input: &[u8]) -> bool {
    input.first() == Some(&0x30)
}

fn spiffe_id(input: &[u8]) -> Verdict {
    let text = lossless(input);
    let id = SpiffeId::parse(&text).map_err(refused!(|error| place::spiffe_id(error, &text)))?;
    Ok(Passed::of(id.as_str()))
}

fn spiffe_id_pattern(input: &[u8]) -> Verdict {
    let text = lossless(input);
    let pattern = SpiffeIdPattern::parse_allowing_trust_domain(&text)
        .map_err(refused!(|error| place::spiffe_id(error, &text)))?;
    let passed = Passed::of(text.as_str());
    Ok(if pattern.covers_trust_domain() {
        passed.with_note("it covers every workload of the trust domain; clients with such a spiffe_id are refused by default")
    } else {
        passed
    })
}

/// The text, byte for byte where it is ASCII; another byte becomes a character that no rule allows.
fn lossless(input: &[u8]) -> String {
    String::from_utf8(input.to_vec()).unwrap_or_else(|_| {
        input
            .iter()
            .map(|byte| {
                if byte.is_ascii() {
                    char::from(*byte)
                } else {
                    '\u{7f}'
                }
            })
            .collect()
    })
}

fn bundle(input: &[u8]) -> Result<Verdict, UseError> {
    // A bundle does not name its trust domain, and nothing in it depends on the name.
    let trust_domain = TrustDomain::parse("inspected.invalid")
        .map_err(|error| trust::malformed("--as", &error.to_string()))?;
    Ok(Bundle::parse(&ring::provider(), trust_domain, input)
        .map(|bundle| {
            let mut passed = Passed::default();
            if bundle.is_empty() {
                passed = passed
                    .with_note("it has no usable key: every SVID of the trust domain is refused");
            }
            for diagnostic in bundle.diagnostics() {
                let left_out = if diagnostic.problem.is_fatal() {
                    "is left out"
                } else {
                    "is used"
                };
                passed = passed.with_note(format!(
                    "key {} {left_out}: {}",
                    diagnostic.index, diagnostic.problem
                ));
            }
            passed
        })
        .map_err(refused!(place::bundle)))
}

fn cimd_document(input: &[u8], url: &str) -> Verdict {
    let refused = refused!(place::cimd);
    let url = cimd::ClientIdUrl::parse(url).map_err(refused)?;
    let metadata =
        cimd::ClientMetadata::parse(&url, input, &cimd::DocumentPolicy::new()).map_err(refused)?;
    let document = without_secrets(&Value::Object(metadata.members().clone()));
    let mut passed = Passed {
        document: Some(document),
        ..Passed::of(url.as_str())
    };
    for warning in url.warnings() {
        passed = passed.with_note(match warning {
            cimd::UrlWarning::Query => "the URL has a query, which the draft advises against",
            cimd::UrlWarning::RootPath => {
                "the path of the URL is only `/`, which the draft advises against"
            }
            _ => "the URL is long, which the draft advises against",
        });
    }
    Ok(passed)
}

fn x509_svid(input: &[u8], bundles: &BundleSet, now: UnixTime) -> Verdict {
    let refused = refused!(place::svid);
    let chain = if is_der(input) {
        vec![CertificateDer::from(input.to_vec())]
    } else {
        pem::certificates(input, MAX_CERTIFICATES)
            .map_err(|error: X509Error| refused(svid::Error::X509(error)))?
    };
    let algorithms = ring::provider().certificate_algorithms;
    let identity = svid::x509::verify(&chain, bundles, &VerifyOptions::default(), algorithms, now)
        .map_err(refused)?;
    Ok(Passed::of(identity.unproven_spiffe_id().as_str())
        .with_note("a certificate identifies its presenter only with a proof of its key, as in a TLS handshake"))
}

fn jwt_svid(input: &[u8], bundles: &BundleSet, audience: &str, now: UnixTime) -> Verdict {
    let refused = refused!(place::svid);
    let in_token = |source| svid::Error::Token {
        credential: svid::Credential::Jwt,
        source,
    };
    let token = compact(input).map_err(|source| refused(in_token(source)))?;
    let verifier = JwtSvidVerifier::new(audience).map_err(refused)?;
    let svid = verifier.verify(token, bundles, now).map_err(refused)?;
    Ok(Passed::of(svid.spiffe_id().as_str()))
}

fn wit_svid(input: &[u8], bundles: &BundleSet, now: UnixTime) -> Verdict {
    let id = unproven_wit(input, bundles, now).map_err(refused!(place::svid))?;
    Ok(Passed::of(id)
        .with_note("a WIT alone identifies nobody: whoever presents it has to prove its key"))
}

fn unproven_wit(input: &[u8], bundles: &BundleSet, now: UnixTime) -> Result<String, svid::Error> {
    let in_token = |source| svid::Error::Token {
        credential: svid::Credential::Wit,
        source,
    };
    let token = compact(input).map_err(in_token)?;
    // The authority is one of proofs, of which none is verified here.
    let verified =
        WitSvidVerifier::new("https://inspected.invalid")?.verify_wit(token, bundles, now)?;
    Ok(verified.unproven_spiffe_id().as_str().to_owned())
}

/// The WIT keys of a bundle verify WITs of its trust domain, under any scheme of Workload Identifiers.
struct Anchors(BundleSet);

impl WitAnchors for Anchors {
    fn anchors(&self, identifier: &WorkloadIdentifier) -> Option<TrustAnchors> {
        let (_, name) = identifier.origin().split_once("://")?;
        let keys = self
            .0
            .wit_authorities((&TrustDomain::parse(name).ok()?).into())?;
        Some(TrustAnchors {
            keys,
            issuers: Arc::new([]),
        })
    }
}

fn wpt(input: &[u8], wit: &[u8], bundles: BundleSet, audience: &str, now: UnixTime) -> Verdict {
    let refused = refused!(place::wpt);
    let of = |token| move |source| wimse::Error::Token { token, source };
    let wit_text = compact(wit)
        .map_err(of(wimse::Token::Wit))
        .map_err(refused)?;
    // A WIT for a SPIFFE ID is a WIT-SVID and has to obey its stricter rules too.
    let anchors = Anchors(bundles);
    let verifier = WitVerifier::new().with_algorithms(Algorithms::ALL);
    let unproven = verifier.verify(wit_text, &anchors, now).map_err(refused)?;
    if unproven
        .unproven_identifier()
        .as_str()
        .starts_with("spiffe://")
    {
        unproven_wit(wit, &anchors.0, now).map_err(refused!(|_: &svid::Error| Place::Wit))?;
    }
    let token = compact(input)
        .map_err(of(wimse::Token::Wpt))
        .map_err(refused)?;
    let field = |value: &str| {
        HeaderValue::from_str(value)
            .map_err(|_| of(wimse::Token::Wpt)(JoseError::SegmentCount))
            .map_err(refused)
    };
    let mut headers = HeaderMap::new();
    headers.insert(WORKLOAD_IDENTITY_TOKEN, field(wit_text)?);
    headers.insert(
        header::AUTHORIZATION,
        field(&format!("{} {token}", wimse::wpt::WPT_SCHEME))?,
    );
    let workload = WptVerifier::new(verifier)
        .with_exact_audience(audience)
        .verify(
            &headers,
            &Uri::from_static("/"),
            &anchors,
            &MemoryReplayGuard::new(1),
            now,
        )
        .map_err(refused)?;
    Ok(Passed::of(workload.identifier().as_str())
        .with_note("whether the proof was used before (WIMSE-WPT-2-28) is not checked here"))
}

fn txn_token(input: &[u8], options: &InspectOptions, now: UnixTime) -> Result<Verdict, UseError> {
    let kind = Kind::TxnToken;
    let keys = trust::keys(kind, options)?;
    let trust_domain = trust::text(kind, "--audience", options.audience.as_deref())?;
    let verifier = match options.issuer.as_deref() {
        Some(issuer) => {
            TxnTokenVerifier::new(trust_domain, trust::text(kind, "--issuer", Some(issuer))?)
        }
        None => TxnTokenVerifier::with_predetermined_keys(trust_domain),
    };
    let verdict = compact(input)
        .map_err(txn_token::Error::Token)
        .and_then(|token| verifier.verify(token, &keys, now))
        .map_err(refused!(place::txn_token));
    Ok(verdict.map(|token| {
        let passed = Passed::of(token.subject());
        match options.issuer {
            Some(_) => passed,
            None => passed.with_note("iss is not checked: the key set is taken to be that of the trust domain's token service alone"),
        }
    }))
}

/// Tokens of one issuer for one audience, by its key set.
fn issued(
    kind: Kind,
    input: &[u8],
    options: &InspectOptions,
    now: UnixTime,
) -> Result<Verdict, UseError> {
    let keys = trust::keys(kind, options)?;
    let audience = trust::text(kind, "--audience", options.audience.as_deref())?;
    let issuer = trust::text(kind, "--issuer", options.issuer.as_deref())?;
    let token = compact(input);
    if kind == Kind::AccessToken {
        let jwt =
            token.and_then(|token| access_token::validate(token, issuer, audience, &keys, now));
        return Ok(jwt
            .map(|jwt| subject_of(&jwt))
            .map_err(refused!(place::token)));
    }
    if kind == Kind::ClientAssertion {
        let jwt = token
            .map_err(oauth_spiffe_client_auth::Error::Assertion)
            .and_then(|token| verify_client_assertion(token, issuer, audience, &keys, None, now));
        let note = "whether the assertion was used before (RFC7523-3-10) is not checked here";
        return Ok(jwt
            .map(|jwt| subject_of(&jwt).with_note(note))
            .map_err(refused!(place::client_assertion)));
    }
    let keys = Arc::new(keys);
    let verifier = match kind {
        Kind::Set => SetVerifier::ssf(issuer, keys, [audience]),
        _ => SetVerifier::rfc8417(EventPolicy::IgnoreUnknown, issuer, keys, [audience]),
    };
    let verifier = verifier.map_err(|error| trust::malformed("--issuer", &error.to_string()))?;
    let set = token
        .map_err(ssf_set::Error::Token)
        .and_then(|token| verifier.verify(token, now));
    Ok(set
        .map(|set| {
            let subject = set
                .sub()
                .map(str::to_owned)
                .or_else(|| detect::subject(set.claims()));
            let note = "whether the token was received before (SET-2.2-5) is not checked here";
            Passed {
                subject,
                ..Passed::default()
            }
            .with_note(note)
        })
        .map_err(refused!(place::set)))
}

fn subject_of(jwt: &Jwt) -> Passed {
    Passed {
        subject: jwt.subject().map(str::to_owned),
        ..Passed::default()
    }
}

/// A compact token has no other bytes than these, so it is text.
fn compact(input: &[u8]) -> Result<&str, JoseError> {
    core::str::from_utf8(input).map_err(|error| JoseError::TokenCharacters {
        offset: error.valid_up_to(),
    })
}
