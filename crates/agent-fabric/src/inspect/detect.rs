//! What a thing seems to be. Nothing here is verified.

use jose_x509::x509::{self, Certificate};
use jose_x509::{base64url, json};
use pki_types::CertificateDer;
use serde_json::{Map, Value, json};
use spiffe_id::SpiffeId;

use super::report::{Refusal, Report};

const MAX_CERTIFICATES: usize = 64;

/// Decodes whatever it is.
pub(super) fn describe(input: &[u8]) -> Report {
    let text = core::str::from_utf8(input).ok();
    let trimmed = text.map(str::trim_ascii).unwrap_or_default();
    if trimmed.starts_with("-----BEGIN ") {
        return certificates(x509::pem::certificates(input, MAX_CERTIFICATES));
    }
    if trimmed.starts_with('{') || trimmed.starts_with('[') {
        return document(input);
    }
    if trimmed.starts_with("spiffe:") {
        return spiffe_id(text.unwrap_or_default());
    }
    if input.first() == Some(&0x30) {
        return certificates(Ok(vec![CertificateDer::from(input.to_vec())]));
    }
    match text {
        Some(text) if text.contains('.') => compact(text),
        _ => malformed("unknown", "unrecognised", "this is neither a compact token, PEM, DER, JSON nor a SPIFFE ID"),
    }
}

pub(super) fn malformed(kind: &str, code: &str, message: &str) -> Report {
    let error = Refusal { code: code.to_owned(), requirement: None, message: message.to_owned() };
    Report { kind: kind.to_owned(), error: Some(error), ..Report::default() }
}

fn spiffe_id(text: &str) -> Report {
    match SpiffeId::parse(text) {
        Ok(id) => Report {
            kind: "spiffe-id".to_owned(),
            subject: Some(id.as_str().to_owned()),
            document: Some(json!({"trust_domain": id.trust_domain().as_str(), "path": id.path()})),
            ..Report::default()
        },
        Err(error) => Report {
            kind: "spiffe-id".to_owned(),
            error: Some(Refusal {
                code: error.code().to_owned(),
                requirement: error.requirement(),
                message: error.to_string(),
            }),
            ..Report::default()
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
    for der in &chain {
        match Certificate::parse(der) {
            Ok(certificate) => {
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
        kind: "certificate-chain".to_owned(),
        subject,
        document: Some(Value::Array(views)),
        ..Report::default()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn document(input: &[u8]) -> Report {
    let members = match json::object(input, &json::Limits::DOCUMENT) {
        Ok(members) => members,
        Err(error) => return malformed("json", error.kind().code(), &format!("the document is refused: {error}")),
    };
    let is = |name: &str| members.contains_key(name);
    let uses = |prefix: &str| {
        members.get("keys").and_then(Value::as_array).is_some_and(|keys| {
            keys.iter().any(|key| key.get("use").and_then(Value::as_str).is_some_and(|text| text.ends_with(prefix)))
        })
    };
    if is("signatures") || (is("payload") && is("protected")) {
        return malformed("jws", "json_serialization", "this is a JWS JSON serialization; send the compact one");
    }
    let kind = if is("keys") && (is("spiffe_sequence") || is("spiffe_refresh_hint") || uses("-svid")) {
        "bundle"
    } else if is("keys") {
        "jwk-set"
    } else if is("kty") {
        "jwk"
    } else if is("client_id") {
        "cimd"
    } else {
        "json"
    };
    let subject = members.get("client_id").and_then(Value::as_str).map(str::to_owned);
    Report { kind: kind.to_owned(), subject, document: Some(Value::Object(without_secrets(members))), ..Report::default() }
}

/// Private members of keys are cut wherever they stand.
fn without_secrets(members: Map<String, Value>) -> Map<String, Value> {
    const SECRET: [&str; 9] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "client_secret"];
    members
        .into_iter()
        .map(|(name, value)| {
            let value = match value {
                _ if SECRET.contains(&name.as_str()) => Value::from("(cut)"),
                Value::Object(inner) => Value::Object(without_secrets(inner)),
                Value::Array(items) => items
                    .into_iter()
                    .map(|item| match item {
                        Value::Object(inner) => Value::Object(without_secrets(inner)),
                        other => other,
                    })
                    .collect(),
                other => other,
            };
            (name, value)
        })
        .collect()
}

/// Header and claims of a compact token, whatever its algorithm: this is for looking, not for trusting.
fn compact(text: &str) -> Report {
    let segments: Vec<&str> = text.splitn(6, '.').collect();
    let [header, payload, _] = segments.as_slice() else {
        return match segments.len() {
            5 => malformed("jwe", "encrypted_not_signed", "this is an encrypted token (JWE); only signed ones are read"),
            _ => malformed("token", "segment_count", "a compact token has exactly three segments separated by dots"),
        };
    };
    let decode = |segment: &str, what: &'static str, limits: &json::Limits| {
        let bytes = base64url::decode(segment, what).map_err(|error| malformed("token", error.code(), &error.to_string()))?;
        json::object(&bytes, limits)
            .map_err(|error| malformed("token", error.kind().code(), &format!("the {what} is refused: {error}")))
    };
    let header = match decode(header, "header", &json::Limits::HEADER) {
        Ok(header) => header,
        Err(report) => return report,
    };
    let claims = match decode(payload, "payload", &json::Limits::CLAIMS) {
        Ok(claims) => claims,
        Err(report) => return report,
    };
    let typ = header.get("typ").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let kind = match typ.strip_prefix("application/").unwrap_or(&typ) {
        "wit+jwt" => "wit",
        "wpt+jwt" => "wpt",
        "txntoken+jwt" => "txn-token",
        "at+jwt" => "access-token",
        "secevent+jwt" => "set",
        "dpop+jwt" => "dpop-proof",
        _ if claims.get("sub").and_then(Value::as_str).is_some_and(|sub| sub.starts_with("spiffe://")) => "jwt-svid",
        _ => "jwt",
    };
    Report {
        kind: kind.to_owned(),
        subject: claims.get("sub").and_then(Value::as_str).map(str::to_owned),
        document: Some(json!({"header": header})),
        claims: Some(Value::Object(claims)),
        ..Report::default()
    }
}
