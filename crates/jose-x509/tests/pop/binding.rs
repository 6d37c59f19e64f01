use jose_x509::binding::{
    Authorization, Client, ClientMetadata, GrantBinding, OAuthError, Part, Possession, Presented,
    Refusal, Scheme, TokenRequest, code_key, nonce_fields,
};
use jose_x509::dpop::{
    Challenge, DpopError, DpopProof, Htu, Nonce, ProofRequest, Prover, access_token_hash,
    require_bound_token,
};
use jose_x509::jwt::Confirmation;
use jose_x509::mtls::{ClientCertificate, thumbprint};
use jose_x509::provider::ring;
use jose_x509::{Error, Fault, Jwk, MemoryReplayGuard, SigningKey, base64url};
use pki_types::CertificateDer;
use rcgen::KeyPair;
use serde_json::json;

use crate::certificates::self_signed;
use crate::support::*;

fn read(fields: &[&'static [u8]]) -> Result<Authorization<'static>, Error> {
    Authorization::read(fields.iter().copied())
}

/// Covers: POP-9449.7.1-1, POP-9449.7.2-3, POP-A13
#[test]
fn one_authorization_field_with_one_token() {
    for (field, scheme) in [
        (&b"DPoP a.b-c_d~e+f/g=="[..], Scheme::Dpop),
        (b"dpop a.b-c_d~e+f/g==", Scheme::Dpop),
        (b"DPOP   a.b-c_d~e+f/g==", Scheme::Dpop),
        (b"Bearer a.b-c_d~e+f/g==", Scheme::Bearer),
        (b"bearer a.b-c_d~e+f/g==", Scheme::Bearer),
    ] {
        let authorization = read(&[field]).unwrap();
        assert_eq!(
            (authorization.scheme(), authorization.token()),
            (scheme, "a.b-c_d~e+f/g==")
        );
        assert!(!format!("{authorization:?}").contains("a.b"));
    }
    for field in [
        &b"DPoP tok, x"[..],
        b"DPoP tok,DPoP x",
        b"DPoP",
        b"DPoP ",
        b"DPoPtok",
        b"DPoP tok x",
        b"DPoP tok=x",
        b"DPoP =",
        b"DPoP \"tok\"",
        b"DPoP tok ",
        b"DPoP tok\t",
        b"DPoP t\xff",
        b"",
        b"DPoP\ttok",
    ] {
        assert_eq!(code(read(&[field])), "malformed_authorization", "{field:?}");
    }
    assert_eq!(code(read(&[b"Basic dG9r"])), "unsupported_scheme");
    assert_eq!(code(read(&[b" DPoP tok"])), "unsupported_scheme");
    assert_eq!(code(read(&[])), "missing_authorization");
    let twice = read(&[b"DPoP tok", b"Bearer tok"]).unwrap_err();
    assert_eq!(twice.code(), "multiple_authorizations");
    let refusal = Refusal::at_resource_server(Part::AccessToken, &twice, &[], None);
    assert_eq!(
        (refusal.status(), refusal.error()),
        (400, Some(OAuthError::InvalidRequest))
    );
    let long = [b"DPoP ", &[b'a'; 70_000][..]].concat();
    assert_eq!(code(Authorization::read([&long[..]])), "too_large");
}

const TOKEN: &str = "token";
const API: &str = "https://api.example/orders";

/// A client of a resource server with a key and a certificate.
struct World {
    key: SigningKey,
    chain: [CertificateDer<'static>; 1],
    api: Htu,
}

impl World {
    fn new() -> Self {
        Self {
            key: key(),
            chain: [self_signed("a", &KeyPair::generate().unwrap())],
            api: htu(API),
        }
    }

    fn jkt(&self) -> [u8; 32] {
        self.key.public_key().thumbprint(&ring::provider())
    }

    fn x5t(&self) -> [u8; 32] {
        thumbprint(&ring::provider(), &self.chain[0])
    }

    fn proof(&self) -> String {
        let request = ProofRequest::new("GET", &self.api).with_access_token(TOKEN);
        Prover::from_key(self.key.clone())
            .prove(&request, now())
            .unwrap()
    }

    fn check(
        &self,
        scheme: &str,
        cnf: Option<&Confirmation>,
        proofs: &[&str],
        certificate: bool,
    ) -> Result<Possession, Error> {
        let field = format!("{scheme} {TOKEN}");
        let authorization = Authorization::read([field.as_bytes()])?;
        let certificate = ClientCertificate::from_tls(&self.chain)?.filter(|_| certificate);
        let presented = Presented::new(&authorization, "GET", &self.api)
            .with_proofs(proofs.iter().map(|proof| proof.as_bytes()))
            .with_certificate(certificate.as_ref());
        let replay = MemoryReplayGuard::new(10);
        let possession = now_or_never(presented.check_async(&verifier(), cnf, &replay, now()));
        if possession.is_ok() {
            let other = MemoryReplayGuard::new(10);
            assert!(presented.check(&verifier(), cnf, &other, now()).is_ok());
            if !proofs.is_empty() && cnf.is_some_and(|cnf| cnf.jkt.is_some()) {
                assert_eq!(
                    code(presented.check(&verifier(), cnf, &replay, now())),
                    "replayed"
                );
            }
        }
        possession
    }
}

/// Covers: JWT-7800.4-1, POP-9449.7.2-1, POP-9449.7-1, POP-9449.7.1-3, POP-8705.3-2, POP-8705.6.2-1, POP-policy-5, POP-A1, POP-A13
#[test]
fn every_member_of_cnf_is_proven_whatever_the_scheme() {
    let (world, other) = (World::new(), World::new());
    let jkt = Confirmation::of_jkt(world.jkt());
    let x5t = Confirmation::of_certificate(world.x5t());
    let mut both = jkt.clone();
    both.x5t_s256 = Some(world.x5t());
    let mut both_but_other_key = both.clone();
    both_but_other_key.jkt = Some(other.jkt());
    let mut both_but_other_certificate = both.clone();
    both_but_other_certificate.x5t_s256 = Some(other.x5t());
    let mut with_kid = both.clone();
    with_kid.kid = Some("a".to_owned());
    let jwk = Confirmation::of_jwk(Jwk::new(world.key.public_key().clone()));
    let (one, two) = (world.proof(), world.proof());
    let (none, one, twice): (&[&str], &[&str], &[&str]) = (&[], &[&one], &[&one, &two]);
    for (scheme, cnf, proofs, certificate, expected) in [
        ("Bearer", None, none, false, "valid"),
        ("Bearer", None, one, true, "valid"),
        ("DPoP", None, one, true, "unbound_token_as_dpop"),
        ("DPoP", Some(&jkt), one, false, "valid"),
        ("dpop", Some(&jkt), one, true, "valid"),
        ("DPoP", Some(&jkt), none, true, "missing_proof"),
        ("DPoP", Some(&jkt), twice, false, "multiple_proofs"),
        ("Bearer", Some(&jkt), one, false, "bound_token_as_bearer"),
        ("Bearer", Some(&jkt), none, true, "bound_token_as_bearer"),
        ("Bearer", Some(&x5t), none, true, "valid"),
        ("Bearer", Some(&x5t), one, false, "certificate_required"),
        ("DPoP", Some(&x5t), one, true, "unbound_token_as_dpop"),
        ("DPoP", Some(&both), one, true, "valid"),
        ("DPoP", Some(&both), one, false, "certificate_required"),
        ("DPoP", Some(&both), none, true, "missing_proof"),
        ("Bearer", Some(&both), one, true, "bound_token_as_bearer"),
        ("DPoP", Some(&both_but_other_key), one, true, "key_mismatch"),
        (
            "DPoP",
            Some(&both_but_other_certificate),
            one,
            true,
            "certificate_mismatch",
        ),
        ("DPoP", Some(&with_kid), one, true, "unusable_confirmation"),
        ("DPoP", Some(&jwk), one, true, "unusable_confirmation"),
        ("Bearer", Some(&jwk), none, true, "unusable_confirmation"),
    ] {
        let found = world.check(scheme, cnf, proofs, certificate);
        if let Ok(possession) = &found {
            assert_eq!(possession.is_sender_constrained(), cnf.is_some());
            assert_eq!(
                possession.proof().map(DpopProof::jkt),
                cnf.and_then(|cnf| cnf.jkt)
            );
            assert_eq!(possession.certificate(), cnf.and_then(|cnf| cnf.x5t_s256));
        } else if let Err(error) = &found {
            let offered = [
                Challenge::dpop(verifier().algorithms()),
                Challenge::bearer(),
            ];
            let refusal = Refusal::at_resource_server(Part::AccessToken, error, &offered, None);
            assert_eq!(refusal.status(), 401, "{error}");
        }
        assert_eq!(
            code(found),
            expected,
            "{scheme} {cnf:?} {} {certificate}",
            proofs.len()
        );
    }
    // The certificate of another connection.
    let found = other.check("Bearer", Some(&x5t), &[], true).unwrap_err();
    assert_eq!(found.code(), "certificate_mismatch");
    assert_eq!(
        OAuthError::of(Part::AccessToken, &found),
        Some(OAuthError::InvalidToken)
    );
}

/// Covers: POP-9449.7-1, POP-9449.4.3-11, POP-A11
#[test]
fn a_proof_is_good_for_its_token_and_request_alone() {
    let world = World::new();
    let jkt = Confirmation::of_jkt(world.jkt());
    let prover = Prover::from_key(world.key.clone());
    let elsewhere = htu("https://api.example/other");
    let by = |request: &ProofRequest<'_>| {
        let proof = prover.prove(request, now()).unwrap();
        code(world.check("DPoP", Some(&jkt), &[&proof], false))
    };
    let good = ProofRequest::new("GET", &world.api).with_access_token(TOKEN);
    assert_eq!(by(&good), "valid");
    assert_eq!(by(&ProofRequest::new("GET", &world.api)), "missing_claim");
    assert_eq!(by(&good.with_access_token("other")), "wrong_token_hash");
    assert_eq!(
        by(&ProofRequest::new("POST", &world.api).with_access_token(TOKEN)),
        "wrong_method"
    );
    assert_eq!(
        by(&ProofRequest::new("GET", &elsewhere).with_access_token(TOKEN)),
        "wrong_target"
    );
    let hash = access_token_hash(&ring::provider(), TOKEN);
    let possession = world
        .check("DPoP", Some(&jkt), &[&world.proof()], false)
        .unwrap();
    assert_eq!(possession.proof().unwrap().access_token_hash(), Some(hash));
}

fn metadata(members: serde_json::Value) -> ClientMetadata {
    ClientMetadata::from_slice(members.to_string().as_bytes()).unwrap()
}

/// Covers: POP-9449.5-1, POP-9449.5.2-1, POP-8705.3-3, POP-8705.3.4-1, POP-8705.4-1, POP-9449.6.1-1, POP-A14
#[test]
fn a_token_is_bound_to_what_came_along() {
    let key = key();
    let proof = verified(&key);
    let certificate = [7; 32];
    let (plain, dpop, tls) = (
        metadata(json!({})),
        metadata(json!({"dpop_bound_access_tokens": true})),
        metadata(json!({"tls_client_certificate_bound_access_tokens": true})),
    );
    for client in [Client::Public, Client::Authenticated] {
        let bare = TokenRequest::new(client);
        let (with_proof, with_certificate) =
            (bare.with_proof(&proof), bare.with_certificate(certificate));
        let issued = bare.issue(&plain).unwrap();
        assert_eq!(
            (issued.token_type(), issued.confirmation()),
            ("Bearer", None)
        );
        require_bound_token(issued.token_type()).unwrap_err();
        // A proof binds, also where the client never said that it would send one.
        for metadata in [&plain, &dpop] {
            let issued = with_proof.issue(metadata).unwrap();
            let cnf = issued.confirmation().unwrap();
            assert_eq!(
                (issued.token_type(), cnf.jkt, cnf.x5t_s256),
                ("DPoP", Some(proof.jkt()), None)
            );
            assert_eq!(
                cnf.to_value()["jkt"],
                base64url::encode(&key.public_key().thumbprint(&ring::provider()))
            );
            require_bound_token(issued.token_type()).unwrap();
        }
        let cnf = with_certificate.issue(&tls).unwrap();
        assert_eq!(cnf.token_type(), "Bearer");
        assert_eq!(
            cnf.confirmation(),
            Some(Confirmation::of_certificate(certificate))
        );
        assert_eq!(with_certificate.issue(&plain).unwrap().confirmation(), None);
        let both = with_certificate.with_proof(&proof).issue(&tls).unwrap();
        let cnf = both.confirmation().unwrap();
        assert_eq!(
            (both.token_type(), cnf.jkt, cnf.x5t_s256),
            ("DPoP", Some(proof.jkt()), Some(certificate))
        );
        // What was promised has to come along.
        let refusal = with_certificate.issue(&dpop).unwrap_err();
        assert_eq!(refusal, DpopError::MissingProof.into());
        let answer = Refusal::at_authorization_server(Part::Proof, &refusal, None);
        assert_eq!(
            (answer.status(), answer.error()),
            (400, Some(OAuthError::InvalidDpopProof))
        );
        let refusal = with_proof.issue(&tls).unwrap_err();
        assert_eq!(refusal.code(), "certificate_required");
        let answer = Refusal::at_authorization_server(Part::Grant, &refusal, None);
        assert_eq!(
            (answer.status(), answer.error()),
            (400, Some(OAuthError::InvalidRequest))
        );
    }
}

/// Covers: POP-9449.5-3, POP-9449.5-4, POP-8705.4-2, POP-8705.7.1-1, POP-9449.11.11-1, POP-A15
#[test]
fn refresh_tokens_are_bound_to_the_client_that_can_prove_it() {
    let (key, other) = (key(), key());
    let (proof, others) = (verified(&key), verified(&other));
    let tls = metadata(json!({"tls_client_certificate_bound_access_tokens": true}));
    let plain = metadata(json!({}));
    let public = TokenRequest::new(Client::Public);
    let bound = public.with_proof(&proof).issue(&plain).unwrap().refresh();
    assert_eq!(bound, GrantBinding::new(Some(proof.jkt()), None));
    public.with_proof(&proof).check_refresh(&bound).unwrap();
    let refusal = public
        .with_proof(&others)
        .check_refresh(&bound)
        .unwrap_err();
    assert_eq!(
        OAuthError::of(Part::Grant, &refusal),
        Some(OAuthError::InvalidGrant)
    );
    assert_eq!(code(public.check_refresh(&bound)), "missing_proof");

    let bound = public
        .with_certificate([1; 32])
        .issue(&tls)
        .unwrap()
        .refresh();
    assert_eq!(bound, GrantBinding::new(None, Some([1; 32])));
    public
        .with_certificate([1; 32])
        .check_refresh(&bound)
        .unwrap();
    for request in [
        public,
        public.with_certificate([2; 32]),
        public.with_proof(&proof),
    ] {
        let refusal = request.check_refresh(&bound).unwrap_err();
        assert_eq!(refusal.code(), "grant_certificate_mismatch");
        assert_eq!(
            OAuthError::of(Part::Grant, &refusal),
            Some(OAuthError::InvalidGrant)
        );
    }

    // A confidential client may change its key, and still has to authenticate.
    let confidential = TokenRequest::new(Client::Authenticated);
    let bound = confidential
        .with_proof(&proof)
        .with_certificate([1; 32])
        .issue(&tls)
        .unwrap()
        .refresh();
    assert_eq!(bound, GrantBinding::default());
    confidential
        .with_proof(&others)
        .check_refresh(&bound)
        .unwrap();
    let issued = confidential.with_proof(&others).issue(&plain).unwrap();
    assert_eq!(issued.confirmation().unwrap().jkt, Some(others.jkt()));
    let nobody = TokenRequest::new(Client::Unauthenticated)
        .with_proof(&proof)
        .with_certificate([1; 32]);
    for refusal in [
        nobody.check_refresh(&bound),
        nobody.check_code(Some(proof.jkt())),
        nobody.issue(&plain).map(|_| ()),
    ] {
        let refusal = refusal.unwrap_err();
        assert_eq!(refusal.code(), "client_not_authenticated");
        let answer = Refusal::at_authorization_server(Part::Client, &refusal, None);
        assert_eq!(
            (answer.status(), answer.error()),
            (401, Some(OAuthError::InvalidClient))
        );
    }
}

/// Covers: POP-9449.10-2, POP-9449.10.1-1, POP-A16
#[test]
fn a_code_is_bound_to_the_key_that_was_announced() {
    let (key, attacker) = (key(), key());
    let (proof, injected) = (verified(&key), verified(&attacker));
    assert_eq!(code_key(None, None).unwrap(), None);
    assert_eq!(
        code_key(Some(proof.jkt()), None).unwrap(),
        Some(proof.jkt())
    );
    assert_eq!(code_key(None, Some(&proof)).unwrap(), Some(proof.jkt()));
    assert_eq!(
        code_key(Some(proof.jkt()), Some(&proof)).unwrap(),
        Some(proof.jkt())
    );
    let refusal = code_key(Some(proof.jkt()), Some(&injected)).unwrap_err();
    assert_eq!(refusal.code(), "jkt_disagreement");
    let answer = Refusal::at_authorization_server(Part::Grant, &refusal, None);
    assert_eq!(
        (answer.status(), answer.error()),
        (400, Some(OAuthError::InvalidDpopProof))
    );
    for client in [Client::Public, Client::Authenticated] {
        let request = TokenRequest::new(client);
        request.check_code(None).unwrap();
        request
            .with_proof(&proof)
            .check_code(Some(proof.jkt()))
            .unwrap();
        let refusal = request
            .with_proof(&injected)
            .check_code(Some(proof.jkt()))
            .unwrap_err();
        assert_eq!(
            OAuthError::of(Part::Grant, &refusal),
            Some(OAuthError::InvalidGrant)
        );
        assert_eq!(code(request.check_code(Some(proof.jkt()))), "missing_proof");
    }
}

fn field<'a>(refusal: &'a Refusal, name: &str) -> Vec<&'a str> {
    let fields = refusal.fields().iter().filter(|(known, _)| *known == name);
    fields.map(|(_, value)| value.as_str()).collect()
}

/// Covers: POP-9449.5-2, POP-9449.8-1, POP-9449.8.2-2, POP-9449.8-2
#[test]
fn answers_of_the_authorization_server() {
    let nonce = Nonce::parse("n-1").unwrap();
    let answer = |part, error: Error| Refusal::at_authorization_server(part, &error, Some(&nonce));
    let refusal = answer(Part::Proof, Error::InvalidSignature);
    assert_eq!(
        (refusal.status(), refusal.body().unwrap().as_str()),
        (400, r#"{"error":"invalid_dpop_proof"}"#)
    );
    for error in [DpopError::NonceRequired, DpopError::NonceRejected] {
        let refusal = answer(Part::Proof, error.into());
        assert_eq!(
            (refusal.status(), refusal.body().unwrap().as_str()),
            (400, r#"{"error":"use_dpop_nonce"}"#)
        );
        assert_eq!(
            (
                field(&refusal, "DPoP-Nonce"),
                field(&refusal, "Cache-Control")
            ),
            (vec!["n-1"], vec!["no-store"])
        );
        // A demand without a nonce would be one without an end.
        let without = Refusal::at_authorization_server(Part::Proof, &error.into(), None);
        assert_eq!(
            (without.status(), without.error(), without.body()),
            (503, None, None)
        );
    }
    for (part, name, status) in [
        (Part::Grant, "invalid_grant", 400),
        (Part::Client, "invalid_client", 401),
        (Part::Registration, "invalid_client_metadata", 400),
    ] {
        let refusal = answer(part, Error::Expired);
        assert_eq!(
            (refusal.status(), refusal.error().map(OAuthError::name)),
            (status, Some(name))
        );
    }
    for (error, name, status) in [
        (
            jose_x509::mtls::MtlsError::MissingClientId,
            "invalid_request",
            400,
        ),
        (
            jose_x509::mtls::MtlsError::UnknownClient,
            "invalid_client",
            401,
        ),
        (
            jose_x509::mtls::MtlsError::MissingCertificate,
            "invalid_client",
            401,
        ),
        (
            jose_x509::mtls::MtlsError::SubjectMismatch,
            "invalid_client",
            401,
        ),
        (
            jose_x509::mtls::MtlsError::NotRegistered,
            "invalid_client",
            401,
        ),
    ] {
        let refusal = answer(Part::Client, error.into());
        assert_eq!(
            (refusal.status(), refusal.error().map(OAuthError::name)),
            (status, Some(name)),
            "{error}"
        );
    }
    for error in [
        Error::ReplayGuardFull,
        Error::ReplayGuardUnavailable,
        Error::RandomFailed,
    ] {
        assert_eq!(error.fault(), Fault::Transient);
        let refusal = answer(Part::Proof, error);
        assert_eq!((refusal.status(), refusal.error()), (503, None));
    }
    assert_eq!(
        nonce_fields(&nonce),
        [
            ("DPoP-Nonce", "n-1".to_owned()),
            ("Cache-Control", "no-store".to_owned())
        ]
    );
}

/// Covers: POP-9449.7.1-2, POP-9449.7.1-3, POP-9449.7.2-2, POP-9449.9-1, POP-8705.3-2
#[test]
fn answers_of_the_resource_server() {
    let nonce = Nonce::parse("eyJ7S_zG.eyJH0-Z.HX4w-7v").unwrap();
    let offered = [
        Challenge::bearer(),
        Challenge::dpop(verifier().algorithms()),
    ];
    let answer =
        |part, error: Error| Refusal::at_resource_server(part, &error, &offered, Some(&nonce));
    const ALGS: &str = r#"algs="ES256 ES384 Ed25519 EdDSA""#;
    let refusal = answer(Part::Proof, DpopError::NonceRequired.into());
    assert_eq!(refusal.status(), 401);
    assert_eq!(
        field(&refusal, "WWW-Authenticate"),
        ["Bearer", &format!(r#"DPoP error="use_dpop_nonce", {ALGS}"#)]
    );
    assert_eq!(field(&refusal, "DPoP-Nonce"), [nonce.as_str()]);
    assert_eq!(field(&refusal, "Cache-Control"), ["no-store"]);
    let refusal = answer(Part::Proof, Error::InvalidSignature);
    assert_eq!(
        field(&refusal, "WWW-Authenticate"),
        [
            "Bearer",
            &format!(r#"DPoP error="invalid_dpop_proof", {ALGS}"#)
        ]
    );
    for error in [
        DpopError::KeyMismatch.into(),
        jose_x509::binding::BindingError::BoundTokenAsBearer.into(),
        jose_x509::binding::BindingError::CertificateMismatch.into(),
        jose_x509::binding::BindingError::CertificateRequired.into(),
    ] {
        let refusal = answer(Part::AccessToken, error);
        assert_eq!(
            (refusal.status(), refusal.error()),
            (401, Some(OAuthError::InvalidToken))
        );
        assert_eq!(
            field(&refusal, "WWW-Authenticate"),
            [
                r#"Bearer error="invalid_token""#,
                &format!(r#"DPoP error="invalid_token", {ALGS}"#)
            ]
        );
    }
    // A request without credentials is told what to send, and no error.
    for error in [read(&[]).unwrap_err(), read(&[b"Basic eA"]).unwrap_err()] {
        let refusal = answer(Part::AccessToken, error);
        assert_eq!((refusal.status(), refusal.error()), (401, None));
        assert_eq!(
            field(&refusal, "WWW-Authenticate"),
            ["Bearer", &format!("DPoP {ALGS}")]
        );
    }
    let full = answer(Part::Proof, Error::ReplayGuardFull);
    assert_eq!(
        (
            full.status(),
            full.error(),
            field(&full, "WWW-Authenticate").len()
        ),
        (503, None, 0)
    );
}
