use jose_x509::binding::{
    ClientMetadata, DpopAlgorithms, Introspection, OAuthError, Part, ServerMetadata,
};
use jose_x509::jwt::Confirmation;
use jose_x509::{Algorithm, Algorithms, Error};
use serde_json::{Value, json};

use crate::support::{code, verifier};

fn client(members: &Value) -> Result<ClientMetadata, Error> {
    ClientMetadata::from_slice(members.to_string().as_bytes())
}

fn server(members: &Value) -> Result<ServerMetadata, Error> {
    ServerMetadata::from_slice(members.to_string().as_bytes())
}

/// Covers: POP-8705.2.1.1-1, POP-8705.2.1.2-1, POP-8705.2.2.1-1
#[test]
fn a_client_registers_one_method_and_one_subject() {
    let registration = |members: Value| client(&members).unwrap().registration(None);
    let members = [
        ("tls_client_auth_subject_dn", "CN=a"),
        ("tls_client_auth_san_dns", "a.example"),
        ("tls_client_auth_san_uri", "urn:a"),
        ("tls_client_auth_san_ip", "192.0.2.1"),
        ("tls_client_auth_san_email", "a@b.example"),
    ];
    for (i, (name, value)) in members.iter().enumerate() {
        let one =
            registration(json!({"token_endpoint_auth_method": "tls_client_auth", *name: value}))
                .unwrap();
        assert_eq!(one.method(), "tls_client_auth");
        for (other, other_value) in &members[i + 1..] {
            let two = registration(json!({"token_endpoint_auth_method": "tls_client_auth", *name: value, *other: other_value})).unwrap_err();
            assert_eq!(two.code(), "subject_count");
            assert_eq!(
                OAuthError::of(Part::Registration, &two),
                Some(OAuthError::InvalidClientMetadata)
            );
            assert!(two.to_string().contains('2'));
        }
        let malformed =
            registration(json!({"token_endpoint_auth_method": "tls_client_auth", *name: "\u{1}"}));
        assert_eq!(code(malformed), "invalid_subject");
    }
    assert_eq!(
        code(registration(
            json!({"token_endpoint_auth_method": "tls_client_auth"})
        )),
        "subject_count"
    );
    for other in [
        "TLS_CLIENT_AUTH",
        "tls_client_auth ",
        "private_key_jwt",
        "",
        "self_signed_tls_client_auth2",
    ] {
        let refusal = registration(
            json!({"token_endpoint_auth_method": other, "tls_client_auth_san_uri": "urn:a"}),
        );
        assert_eq!(code(refusal), "other_auth_method", "{other}");
    }
    assert_eq!(
        code(registration(json!({"tls_client_auth_san_uri": "urn:a"}))),
        "other_auth_method"
    );
    let self_signed = json!({"token_endpoint_auth_method": "self_signed_tls_client_auth"});
    assert_eq!(
        code(registration(self_signed.clone())),
        "no_registered_certificate"
    );
    let without = client(&self_signed)
        .unwrap()
        .registration(Some(br#"{"keys":[]}"#));
    assert_eq!(code(without), "no_registered_certificate");
}

/// Covers: POP-8705.3.3-1, POP-8705.3.4-1, POP-9449.5.2-1
#[test]
fn booleans_are_booleans_and_false_by_default() {
    let absent = client(&json!({"other": {"a": [1]}})).unwrap();
    assert!(!absent.tls_client_certificate_bound_access_tokens && !absent.dpop_bound_access_tokens);
    assert!(
        !server(&json!({}))
            .unwrap()
            .tls_client_certificate_bound_access_tokens
    );
    let name = "tls_client_certificate_bound_access_tokens";
    assert!(
        client(&json!({name: true}))
            .unwrap()
            .tls_client_certificate_bound_access_tokens
    );
    assert!(
        server(&json!({name: true}))
            .unwrap()
            .tls_client_certificate_bound_access_tokens
    );
    assert!(
        client(&json!({"dpop_bound_access_tokens": true}))
            .unwrap()
            .dpop_bound_access_tokens
    );
    for value in [json!("true"), json!(1), json!(null), json!([true])] {
        assert_eq!(code(client(&json!({name: value}))), "metadata");
        assert_eq!(code(server(&json!({name: value}))), "metadata");
        assert_eq!(
            code(client(&json!({"dpop_bound_access_tokens": value}))),
            "metadata"
        );
    }
    assert_eq!(
        code(ClientMetadata::from_slice(br#"{"a":1,"a":2}"#)),
        "duplicate_member"
    );
    let written = serde_json::to_value(client(&json!({name: true})).unwrap()).unwrap();
    assert_eq!(
        client(&written).unwrap(),
        client(&json!({name: true})).unwrap()
    );
}

/// Covers: POP-8705.5-1, POP-8705.5-2, POP-8705.5-3
#[test]
fn aliases_are_for_clients_with_mutual_tls_and_https() {
    let plain = "https://as.example/token";
    let alias = "https://mtls.as.example/token";
    let metadata = server(&json!({"issuer": "https://as.example", "mtls_endpoint_aliases": {"token_endpoint": alias}})).unwrap();
    assert_eq!(metadata.endpoint("token_endpoint", plain, true), alias);
    assert_eq!(metadata.endpoint("token_endpoint", plain, false), plain);
    assert_eq!(metadata.endpoint("revocation_endpoint", plain, true), plain);
    assert_eq!(
        server(&json!({}))
            .unwrap()
            .endpoint("token_endpoint", plain, true),
        plain
    );
    for bad in [
        json!("http://mtls.as.example/token"),
        json!("mtls.as.example"),
        json!(""),
        json!("https://a@b.example/"),
        json!("https://a.example/#x"),
        json!(1),
        json!(null),
        json!([alias]),
        json!({}),
    ] {
        let refusal = server(&json!({"mtls_endpoint_aliases": {"token_endpoint": bad}}));
        assert_eq!(code(refusal), "metadata", "{bad}");
    }
    for bad in [json!([]), json!(alias), json!(1)] {
        assert_eq!(
            code(server(&json!({"mtls_endpoint_aliases": bad}))),
            "metadata"
        );
    }
    let written = serde_json::to_value(&metadata).unwrap();
    assert_eq!(server(&written).unwrap(), metadata);
}

/// Covers: POP-9449.5.1-1, POP-9449.11.6-1
#[test]
fn the_algorithms_of_proofs_are_listed_without_symmetric_ones() {
    let read = |value: Value| {
        let metadata = server(&json!({"dpop_signing_alg_values_supported": value}))?;
        Ok(metadata
            .dpop_signing_alg_values_supported
            .map(DpopAlgorithms::algorithms))
    };
    let es256 = Algorithms::of(&[Algorithm::Es256]);
    assert_eq!(read(json!(["ES256"])), Ok(Some(es256)));
    assert_eq!(
        read(json!(["ES256", "ES256K", "ML-DSA-44"])),
        Ok(Some(es256))
    );
    assert_eq!(
        server(&json!({}))
            .unwrap()
            .dpop_signing_alg_values_supported,
        None
    );
    for bad in [
        json!(["ES256", "none"]),
        json!(["HS256"]),
        json!(["None"]),
        json!("ES256"),
        json!([1]),
        json!({}),
    ] {
        assert_eq!(code(read(bad.clone())), "metadata", "{bad}");
    }
    let mut metadata = ServerMetadata::default();
    metadata.dpop_signing_alg_values_supported = Some(DpopAlgorithms::new(verifier().algorithms()));
    let written = serde_json::to_value(&metadata).unwrap();
    assert_eq!(
        written["dpop_signing_alg_values_supported"],
        json!(["ES256", "ES384", "Ed25519", "EdDSA"])
    );
}

/// Covers: POP-8705.3.2-1, POP-9449.6.2-1
#[test]
fn an_introspection_response_says_what_a_token_is_bound_to() {
    let read = |members: Value| Introspection::from_slice(members.to_string().as_bytes());
    let (jkt, x5t) = (
        "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I",
        "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0",
    );
    let bound = read(json!({"active": true, "token_type": "DPoP", "cnf": {"jkt": jkt}}))
        .unwrap()
        .unwrap();
    assert_eq!(
        bound.confirmation().unwrap().jkt,
        Some(jose_x509::dpop::parse_jkt(jkt).unwrap())
    );
    assert_eq!(bound.token_type(), Some("DPoP"));
    let untold = read(json!({"active": true, "cnf": {"jkt": jkt}}));
    let untold = untold.unwrap().unwrap();
    assert_eq!(untold.confirmation(), bound.confirmation());
    assert_eq!(untold.token_type(), None);
    let bound = read(json!({"active": true, "cnf": {"x5t#S256": x5t}}))
        .unwrap()
        .unwrap();
    assert_eq!(
        bound.confirmation(),
        Some(&Confirmation::of_certificate(
            jose_x509::mtls::parse_thumbprint(x5t).unwrap()
        ))
    );
    assert_eq!(read(json!({"active": false, "cnf": 1})).unwrap(), None);
    assert_eq!(
        read(json!({"active": true}))
            .unwrap()
            .unwrap()
            .confirmation(),
        None
    );
    for (members, expected) in [
        (
            json!({"active": true, "token_type": "Bearer", "cnf": {"jkt": jkt}}),
            "introspection_type",
        ),
        (
            json!({"active": true, "token_type": "DPoP"}),
            "introspection_type",
        ),
        (
            json!({"active": true, "token_type": "DPoP", "cnf": {"x5t#S256": x5t}}),
            "introspection_type",
        ),
        (json!({"active": true, "token_type": 1}), "introspection"),
        (json!({"active": "true"}), "introspection"),
        (json!({}), "introspection"),
        (json!({"active": true, "cnf": {}}), "unusable_confirmation"),
        (
            json!({"active": true, "cnf": {"x5t#S256": "AAAA"}}),
            "claim_type",
        ),
    ] {
        assert_eq!(code(read(members.clone())), expected, "{members}");
    }
    assert_eq!(
        code(Introspection::from_slice(
            br#"{"active":true,"active":true}"#
        )),
        "duplicate_member"
    );
}

/// Covers: POP-8705.3.1-1, POP-8705.7.2-1, POP-A25
#[test]
fn thumbprints_in_cnf_are_43_canonical_characters() {
    let good = "A4DtL2JmUMhAsvJj5tKyn64SqzmuXbMrJa0n761y5v0";
    for name in ["x5t#S256", "jkt"] {
        assert!(Confirmation::from_value(&json!({name: good})).is_ok());
        for bad in [
            json!(1),
            json!([good]),
            json!(null),
            json!(""),
            json!(&good[..42]),
            json!(format!("{good}A")),
            json!(format!("{good}=")),
            json!("bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"),
            json!("03:80:ed:2f"),
            json!("0380ed2f626650c840b2f263e6d2b29fae12ab39ae5db32b25ad27efad72e6fd"),
        ] {
            assert_eq!(
                code(Confirmation::from_value(&json!({name: bad}))),
                "claim_type",
                "{bad}"
            );
        }
        let lower = Confirmation::from_value(&json!({name: good.to_lowercase()}));
        assert_ne!(
            lower.ok(),
            Confirmation::from_value(&json!({name: good})).ok()
        );
    }
}
