//! What a thing seems to be. Nothing here is verified.

use jose_x509::x509::{self, Certificate};
use jose_x509::{base64url, json};
use pki_types::CertificateDer;
use serde_json::{Map, Value, json};
use spiffe_id::{SpiffeId, SpiffeIdPattern};

use super::MAX_INPUT;
use super::report::{Refusal, Report};

pub(super) const MAX_CERTIFICATES: usize = 64;

/// Decodes whatever it is.
pub(super) fn describe(input: &[u8]) -> Report {
    let text = core::str::from_utf8(input).ok();
    let trimmed = input.trim_ascii();
    if trimmed.is_empty() {
        return malformed("unknown", "empty", "the input is empty");
    }
    if trimmed.starts_with(b"-----BEGIN ") {
        return certificates(x509::pem::certificates(input, MAX_CERTIFICATES));
    }
    if trimmed.starts_with(b"{") || trimmed.starts_with(b"[") {
        return document(input);
    }
    if trimmed
        .get(..7)
        .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"spiffe:"))
    {
        return spiffe_id(&String::from_utf8_lossy(input));
    }
    if input.first() == Some(&0x30) && text.is_none_or(|text| !text.contains('.')) {
        return certificates(Ok(vec![CertificateDer::from(input.to_vec())]));
    }
    match text {
        Some(text) if text.contains('.') => compact(text),
        _ => malformed(
            "unknown",
            "unrecognised",
            "this is neither a compact token, PEM, DER, JSON nor a SPIFFE ID",
        ),
    }
}

pub(super) fn malformed(kind: &str, code: &str, message: &str) -> Report {
    let error = Refusal {
        code: code.to_owned(),
        requirement: None,
        message: message.to_owned(),
    };
    Report {
        kind: kind.to_owned(),
        error: Some(error),
        ..Report::default()
    }
}

fn spiffe_id(text: &str) -> Report {
    let kind = if text.contains('*') {
        "spiffe-id-pattern"
    } else {
        "spiffe-id"
    };
    let report = Report {
        kind: kind.to_owned(),
        ..Report::default()
    };
    let decoded = if text.contains('*') {
        SpiffeIdPattern::parse_allowing_trust_domain(text)
            .map(|pattern| json!({"covers_trust_domain": pattern.covers_trust_domain()}))
    } else {
        SpiffeId::parse(text)
            .map(|id| json!({"trust_domain": id.trust_domain().as_str(), "path": id.path()}))
    };
    match decoded {
        Ok(document) => Report {
            subject: Some(text.to_owned()),
            document: Some(document),
            ..report
        },
        Err(error) => Report {
            error: Some(Refusal {
                code: error.code().to_owned(),
                requirement: error.requirement(),
                message: error.to_string(),
            }),
            ..report
        },
    }
}

fn certificates(chain: Result<Vec<CertificateDer<'static>>, x509::X509Error>) -> Report {
    let refused = |error: &x509::X509Error| Report {
        kind: "certificate-chain".to_owned(),
        error: Some(Refusal {
            code: error.code().to_owned(),
            requirement: error.requirement(),
            message: error.to_string(),
        }),
        ..Report::default()
    };
    let chain = match chain {
        Ok(chain) => chain,
        Err(error) => return refused(&error),
    };
    let mut views = Vec::new();
    let mut subject = None;
    let mut kind = "certificate-chain";
    for der in &chain {
        match Certificate::parse(der) {
            Ok(certificate) => {
                let workload = certificate
                    .uri_names()
                    .any(|uri| uri.starts_with("spiffe://"));
                if views.is_empty() && workload && !certificate.is_ca() {
                    kind = "x509-svid";
                }
                subject = subject.or_else(|| certificate.uri_names().next().map(str::to_owned));
                views.push(json!({
                    "uri_names": certificate.uri_names().collect::<Vec<_>>(),
                    "dns_names": certificate.dns_names().collect::<Vec<_>>(),
                    "serial": hex(certificate.serial()),
                    "not_before": certificate.not_before().as_secs(),
                    "not_after": certificate.not_after().as_secs(),
                    "ca": certificate.is_ca(),
                }));
            }
            Err(error) => return refused(&error),
        }
    }
    Report {
        kind: kind.to_owned(),
        subject,
        document: Some(Value::Array(views)),
        ..Report::default()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn document(input: &[u8]) -> Report {
    let members = match json::object(input, &json::Limits::DOCUMENT.with_bytes(MAX_INPUT)) {
        Ok(members) => members,
        Err(error) => {
            return malformed(
                "json",
                error.kind().code(),
                &format!("the document is refused: {error}"),
            );
        }
    };
    let is = |name: &str| members.contains_key(name);
    let of_spiffe = || {
        members
            .get("keys")
            .and_then(Value::as_array)
            .is_some_and(|keys| {
                keys.iter().any(|key| {
                    key.get("use")
                        .and_then(Value::as_str)
                        .is_some_and(|text| text.ends_with("-svid"))
                })
            })
    };
    if is("signatures") || (is("payload") && is("protected")) {
        return malformed(
            "jws",
            "json_serialization",
            "this is a JWS JSON serialization; send the compact one",
        );
    }
    let kind = if is("keys") && (is("spiffe_sequence") || is("spiffe_refresh_hint") || of_spiffe())
    {
        "bundle"
    } else if is("keys") {
        "jwk-set"
    } else if is("trust_domains") {
        "bundle-map"
    } else if is("kty") {
        "jwk"
    } else if is("client_id") {
        "cimd"
    } else if is("delivery_methods_supported") || is("configuration_endpoint") {
        "ssf-configuration"
    } else if is("stream_id") {
        "ssf-stream"
    } else if is("issuer") && (is("token_endpoint") || is("jwks_uri")) {
        "authorization-server-metadata"
    } else if is("resource") && is("authorization_servers") {
        "protected-resource-metadata"
    } else {
        "json"
    };
    let subject = ["client_id", "issuer", "resource"]
        .iter()
        .find_map(|name| members.get(*name)?.as_str());
    let subject = subject.map(str::to_owned);
    let document = without_secrets(&Value::Object(members));
    Report {
        kind: kind.to_owned(),
        subject,
        document: Some(document),
        ..Report::default()
    }
}

const CUT: &str = "(cut)";

/// The document without private members of keys, secrets and tokens, wherever they stand.
pub(super) fn without_secrets(value: &Value) -> Value {
    const SECRET: [&str; 16] = [
        "d",
        "p",
        "q",
        "dp",
        "dq",
        "qi",
        "oth",
        "k",
        "priv",
        "client_secret",
        "access_token",
        "refresh_token",
        "id_token",
        "subject_token",
        "actor_token",
        "client_assertion",
    ];
    cut(value, &|_, name| SECRET.contains(&name))
}

/// Claims without private members of the keys in them, and without tokens.
fn without_secret_claims(value: &Value) -> Value {
    const PRIVATE: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
    cut(value, &|members, name| {
        (PRIVATE.contains(&name) && members.contains_key("kty"))
            || name.ends_with("_token")
            || name == "client_secret"
    })
}

/// The JSON reader has bounded the depth.
fn cut(value: &Value, is_secret: &dyn Fn(&Map<String, Value>, &str) -> bool) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(name, inner)| {
                let shown = if is_secret(members, name) {
                    Value::from(CUT)
                } else {
                    cut(inner, is_secret)
                };
                (name.clone(), shown)
            })
            .collect(),
        Value::Array(items) => items.iter().map(|item| cut(item, is_secret)).collect(),
        Value::String(text) if is_token(text) || text.contains("PRIVATE KEY-----") => {
            Value::from(CUT)
        }
        other => other.clone(),
    }
}

/// Whether a text has a compact token in it: a header that begins like JSON, and two dots.
fn is_token(text: &str) -> bool {
    text.find("eyJ")
        .and_then(|at| text.get(at..))
        .is_some_and(|rest| rest.bytes().filter(|byte| *byte == b'.').nth(1).is_some())
}

/// Whom the claims of a security event token are about, if that is one text.
pub(super) fn subject(claims: &Map<String, Value>) -> Option<String> {
    let text =
        |members: &Map<String, Value>, name: &str| members.get(name)?.as_str().map(str::to_owned);
    let id = claims.get("sub_id").and_then(Value::as_object)?;
    ["uri", "email", "phone_number", "id", "url", "sub"]
        .iter()
        .find_map(|name| text(id, name))
}

/// Header and claims of a compact token, whatever its algorithm: this is for looking, not for trusting.
fn compact(text: &str) -> Report {
    let segments: Vec<&str> = text.splitn(6, '.').collect();
    let [header, payload, _signature] = segments.as_slice() else {
        return match segments.len() {
            5 => malformed(
                "jwe",
                "encrypted_not_signed",
                "this is an encrypted token (JWE); only signed ones are read",
            ),
            _ => malformed(
                "token",
                "segment_count",
                "a compact token has exactly three segments separated by dots",
            ),
        };
    };
    let refusal = |code: &str, message: String| Refusal {
        code: code.to_owned(),
        requirement: None,
        message,
    };
    let decode = |segment: &str, what: &'static str, limits: &json::Limits| {
        let bytes = base64url::decode(segment, what)
            .map_err(|error| refusal(error.code(), error.to_string()))?;
        json::object(&bytes, limits).map_err(|error| {
            refusal(
                error.kind().code(),
                format!("the {what} is refused: {error}"),
            )
        })
    };
    let decoded = decode(header, "header", &json::Limits::HEADER)
        .and_then(|header| Ok((header, decode(payload, "payload", &json::Limits::CLAIMS)?)));
    let (header, claims) = match decoded {
        Ok(decoded) => decoded,
        Err(error) => return malformed("token", &error.code, &error.message),
    };
    let of_spiffe = claims
        .get("sub")
        .and_then(Value::as_str)
        .is_some_and(|sub| sub.starts_with("spiffe://"));
    let typ = header
        .get("typ")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_ascii_lowercase();
    let kind = match typ.strip_prefix("application/").unwrap_or(&typ) {
        "wit+jwt" if of_spiffe => "wit-svid",
        "wit+jwt" => "wit",
        "wpt+jwt" => "wpt",
        "txntoken+jwt" => "txn-token",
        "at+jwt" => "access-token",
        "secevent+jwt" => "set",
        "dpop+jwt" => "dpop-proof",
        "client-authentication+jwt" => "client-assertion",
        "oauth-id-jag+jwt" => "id-jag",
        "oauth-client-attestation+jwt" => "client-attestation",
        "oauth-client-attestation-pop+jwt" => "client-attestation-pop",
        "logout+jwt" => "logout-token",
        _ if claims.contains_key("events") => "set",
        "" | "jwt" | "jose" if of_spiffe => "jwt-svid",
        _ => "jwt",
    };
    Report {
        kind: kind.to_owned(),
        subject: claims
            .get("sub")
            .and_then(Value::as_str)
            .map(str::to_owned)
            .or_else(|| subject(&claims)),
        header: Some(without_secret_claims(&Value::Object(header))),
        claims: Some(without_secret_claims(&Value::Object(claims))),
        ..Report::default()
    }
}
