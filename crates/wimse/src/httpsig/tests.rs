//! The published examples, whose WITs cannot be verified here: their signature bases and signatures.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use jose_x509::jws::UnverifiedJws;
use jose_x509::{Algorithm, CryptoProvider, Jwk, VerifyingKey, base64url, provider::ring};
use serde_json::{Value, json};
use sfv::ListEntry;

use super::base::signature_base;
use super::component::{Message, RequestView};
use super::fields::{components, dictionary, serialize};
use super::verify::{Rules, wit_field};
use super::{Profile, SIGNATURE, SIGNATURE_INPUT, digest};
use crate::wit::WitVerifier;

const PROVIDER: CryptoProvider = ring::provider();

fn fields(message: &Value) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for field in message["fields"].as_array().unwrap() {
        let name: HeaderName = field[0].as_str().unwrap().parse().unwrap();
        headers.append(
            name,
            HeaderValue::from_str(field[1].as_str().unwrap()).unwrap(),
        );
    }
    headers
}

struct Request(Method, Uri, HeaderMap);

impl Request {
    fn new(message: &Value) -> Self {
        Self(
            message["method"].as_str().unwrap().parse().unwrap(),
            message["target"].as_str().unwrap().parse().unwrap(),
            fields(message),
        )
    }

    fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.0,
            uri: &self.1,
            headers: &self.2,
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Base, signature, coverage and digest of every example; the signature fails over another base.
///
/// Covers: WIMSE-HTTPSIG-R9421-2.5-1, WIMSE-HTTPSIG-R9421-3.3.7-1, WIMSE-HTTPSIG-R9421-2.4-1
#[test]
fn published_examples() {
    let file: Value = serde_json::from_str(include_str!(
        "../../../../test-vectors/wimse/http-signature.json"
    ))
    .unwrap();
    let groups = file["groups"].as_array().unwrap();
    let group = groups
        .iter()
        .find(|group| group["type"] == "http-signature-base")
        .unwrap();
    for case in group["cases"].as_array().unwrap() {
        let (input, name) = (&case["input"], &case["name"]);
        let is_response = input["status"].is_u64();
        let request = Request::new(if is_response {
            &input["request"]
        } else {
            input
        });
        let headers = fields(input);
        let message = if is_response {
            let status = u16::try_from(input["status"].as_u64().unwrap()).unwrap();
            Message::Response {
                status: StatusCode::from_u16(status).unwrap(),
                headers: &headers,
                request: request.view(),
            }
        } else {
            Message::Request(request.view())
        };
        let inputs = dictionary(&headers, SIGNATURE_INPUT).unwrap();
        let member = inputs.first().unwrap();
        let ListEntry::InnerList(list) = member.1 else {
            panic!("{name}")
        };
        let text = serialize(member).unwrap();
        let params = text.split_once('=').unwrap().1;
        let base = signature_base(&components(list).unwrap(), params, &message).unwrap();
        let content = input["content"].as_str().unwrap();
        digest::check(&PROVIDER, &headers, content.as_bytes()).unwrap();

        let jwk = match case["options"]["key"].as_str() {
            Some(x) => json!({"kty": "OKP", "crv": "Ed25519", "x": x, "alg": "EdDSA"}),
            None => {
                let mut rules = Rules {
                    profile: if case["options"]["profile"] == "06" {
                        Profile::V06
                    } else {
                        Profile::V07
                    },
                    ..Rules::new(WitVerifier::new())
                };
                // The published responses live for 302 seconds.
                rules
                    .set_max_lifetime(std::time::Duration::from_secs(302))
                    .unwrap();
                let now = pki_types::UnixTime::since_unix_epoch(std::time::Duration::from_secs(
                    case["now"].as_u64().unwrap(),
                ));
                let tagged = rules.parse(&headers, content.as_bytes(), now).unwrap();
                assert_eq!(tagged.text, params);
                rules.check_coverage(&tagged, &message).unwrap();
                let expected = &case["expected"]["values"]["base_sha256"];
                assert_eq!(*expected, hex(&PROVIDER.sha256(base.as_bytes())), "{name}");
                let wit = UnverifiedJws::parse(wit_field(&headers).unwrap()).unwrap();
                let claims: Value = serde_json::from_slice(wit.unverified_payload()).unwrap();
                claims["cnf"]["jwk"].clone()
            }
        };
        let jwk = Jwk::from_slice(jwk.to_string().as_bytes()).unwrap();
        let key = VerifyingKey::from_jwk(&PROVIDER, jwk).unwrap();
        let signature = headers[SIGNATURE].to_str().unwrap();
        let signature = signature.split_once("=:").unwrap().1.trim_end_matches(':');
        let signature = signature
            .trim_end_matches('=')
            .replace('+', "-")
            .replace('/', "_");
        let signature = base64url::decode(&signature, "signature").unwrap();
        key.verify(Algorithm::EdDsa, base.as_bytes(), &signature)
            .unwrap();
        let other = base.replace("@method", "@Method");
        key.verify(Algorithm::EdDsa, other.as_bytes(), &signature)
            .unwrap_err();
    }
}
