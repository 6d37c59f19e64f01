//! The vectors of `test-vectors/ssf-stream`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use serde_json::{Value, json};
use ssf_set::{Strictness, Subject};
use ssf_stream::Error;
use ssf_stream::metadata::{TransmitterMetadata, well_known_url};
use ssf_stream::stream::{
    ConfigurationRequest, StreamConfiguration, StreamStatusDocument, SubjectRequest,
    VerificationRequest,
};

#[test]
fn streams() {
    let file = include_str!("../../../test-vectors/ssf-stream/stream.json");
    let file: Value = serde_json::from_str(file).unwrap();
    let mut count = 0;
    for group in file["groups"].as_array().unwrap() {
        for case in group["cases"].as_array().unwrap() {
            let name = format!("{}: {}", group["name"], case["name"]);
            let expected = &case["expected"];
            match run(group["type"].as_str().unwrap(), case) {
                Ok(values) => {
                    assert_eq!(expected["result"], "valid", "{name}");
                    assert_eq!(values, expected["values"], "{name}");
                }
                Err(error) => {
                    assert_eq!(expected["result"], "invalid", "{name}: {error}");
                    assert_eq!(expected["code"], error.code(), "{name}: {error}");
                }
            }
            count += 1;
        }
    }
    assert!(count > 50);
}

fn run(kind: &str, case: &Value) -> Result<Value, Error> {
    let option = |name: &str| case["options"][name].as_str().unwrap().to_owned();
    let text = case["input"].as_str().unwrap_or_default();
    let body = text.as_bytes();
    let document =
        |bytes: Vec<u8>| json!({"document": serde_json::from_slice::<Value>(&bytes).unwrap()});
    Ok(match kind {
        "ssf-metadata" => {
            json!({"document": TransmitterMetadata::parse(body, &option("issuer"))?.to_value()})
        }
        "ssf-well-known" => json!({"url": well_known_url(text)?}),
        "ssf-stream" => json!({"document": StreamConfiguration::parse(body)?.to_value()}),
        "ssf-request" => document(match option("request").as_str() {
            "create" => ConfigurationRequest::parse_create(body)?.to_json(),
            "update" => ConfigurationRequest::parse_update(body)?.to_json(),
            "status" => StreamStatusDocument::parse(body)?.to_json(),
            "subject" => SubjectRequest::parse(body)?.to_json(),
            "verification" => VerificationRequest::parse(body)?.to_json(),
            other => panic!("unknown request {other}"),
        }),
        "ssf-match" => {
            let subject = |name: &str| {
                Subject::from_value(&case["input"][name], Strictness::Strict).map_err(Error::Set)
            };
            json!({"match": subject("filter")?.matches(&subject("event")?)})
        }
        other => panic!("unknown type {other}"),
    })
}
