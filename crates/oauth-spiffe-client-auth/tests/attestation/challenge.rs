//! Challenges of servers.

use super::*;

/// A server that gives challenges accepts its own only, and gives a fresh one with its demand.
///
/// Covers: OAUTH-ABCA-6-3, OAUTH-ABCA-6-5, OAUTH-ABCA-6-6, OAUTH-ABCA-6.1-1, OAUTH-ABCA-6.1-2, OAUTH-ABCA-7.2-3
/// Covers: OAUTH-ABCA-7.2-4, OAUTH-ABCA-7.4-1, OAUTH-ABCA-12.1-1, OAUTH-ABCA-A5, OAUTH-ABCA-A18
#[test]
fn challenges() {
    let secret = [7; 32];
    let source = |secret, server| StatelessChallenges::new(&PROVIDER, secret, server).unwrap();
    let world = world().with(|pop| Ok(pop.with_challenges(Arc::new(source(secret, ISSUER)))));
    let prove = |world: &World, challenge: Option<&Challenge>, now: u64| {
        let mut headers = HeaderMap::new();
        world
            .held()
            .attach(&mut headers, ISSUER, challenge, at(now))
            .unwrap();
        world.verify(&headers, now)
    };
    let challenge = source(secret, ISSUER).issue(at(NOW)).unwrap();
    assert_eq!(code(prove(&world, Some(&challenge), NOW)), "valid");
    assert_eq!(code(prove(&world, Some(&challenge), NOW + 149)), "valid");
    // Too old, of the future, of another server, of another secret, of an attacker, and none.
    assert_eq!(
        code(prove(&world, Some(&challenge), NOW + 300)),
        "challenge_required"
    );
    let foreign = [
        Some(source(secret, ISSUER).issue(at(NOW + 600)).unwrap()),
        Some(source(secret, RESOURCE).issue(at(NOW)).unwrap()),
        Some(source([8; 32], ISSUER).issue(at(NOW)).unwrap()),
        Some(
            Challenge::parse(
                StatelessNonces::new(&PROVIDER, secret, ISSUER)
                    .issue_text(at(NOW))
                    .as_str(),
            )
            .unwrap(),
        ),
        Some(Challenge::parse("chosen-by-somebody").unwrap()),
        None,
    ];
    for challenge in &foreign {
        let error = prove(&world, challenge.as_ref(), NOW).unwrap_err();
        assert_eq!(error, Error::ChallengeRequired);
        let response = world.verifier.refuse(&error, Scheme::Bearer, at(NOW));
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert_eq!(
            error_of(&response),
            json!({"error": "use_attestation_challenge", "error_description": "fresh challenge needed"})
        );
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let fresh = response.headers()[CLIENT_ATTESTATION_CHALLENGE]
            .to_str()
            .unwrap();
        let fresh = Challenge::parse(fresh).unwrap();
        assert_eq!(code(prove(&world, Some(&fresh), NOW)), "valid");
    }
    // With a challenge the time of the proof still counts.
    let claims =
        json!({"aud": ISSUER, "jti": "x", "iat": NOW - 301, "challenge": challenge.as_str()});
    assert_eq!(world.prove(&claims), "too_old");

    let resource = Verifier::for_resource_server(&PROVIDER, RESOURCE)
        .with_proofs(|pop| Ok(pop.with_challenges(Arc::new(source(secret, RESOURCE)))))
        .unwrap();
    for (scheme, expected) in [
        (Scheme::Bearer, "Bearer error=\"use_attestation_challenge\""),
        (Scheme::Dpop, "DPoP error=\"use_attestation_challenge\""),
    ] {
        let response = resource.refuse(&Error::ChallengeRequired, scheme, at(NOW));
        assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(response.headers()[header::WWW_AUTHENTICATE], expected);
        assert!(
            response
                .headers()
                .contains_key(CLIENT_ATTESTATION_CHALLENGE)
        );
        assert!(response.body().is_empty());
    }

    // For once: a second use is answered with another one.
    let once =
        SingleUseChallenges::new(source(secret, ISSUER), MemoryReplayGuard::new(10), PROVIDER);
    let world = world.with(|pop| Ok(pop.with_challenges(Arc::new(once))));
    assert_eq!(code(prove(&world, Some(&challenge), NOW)), "valid");
    let error = prove(&world, Some(&challenge), NOW).unwrap_err();
    assert_eq!(error, Error::ChallengeRequired);
    let response = world.verifier.refuse(&error, Scheme::Bearer, at(NOW));
    let fresh = response.headers()[CLIENT_ATTESTATION_CHALLENGE]
        .to_str()
        .unwrap();
    assert_ne!(fresh, challenge.as_str());
    // A refused proof has not used its challenge up.
    let fresh = Challenge::parse(fresh).unwrap();
    let claims = json!({"aud": RESOURCE, "jti": "y", "iat": NOW, "challenge": fresh.as_str()});
    assert_eq!(world.prove(&claims), "audience_mismatch");
    assert_eq!(code(prove(&world, Some(&fresh), NOW)), "valid");
    // A guard without room, or without an answer, makes nothing valid.
    let full =
        SingleUseChallenges::new(source(secret, ISSUER), MemoryReplayGuard::new(0), PROVIDER);
    let world = world.with(|pop| Ok(pop.with_challenges(Arc::new(full))));
    let error = prove(&world, Some(&challenge), NOW).unwrap_err();
    assert_eq!(error.code(), "replay_guard_full");
    let response = world.verifier.refuse(&error, Scheme::Bearer, at(NOW));
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(format!("{challenge:?}"), "Challenge(..)");
}

trait IssueText {
    fn issue_text(&self, now: UnixTime) -> String;
}

impl IssueText for StatelessNonces {
    fn issue_text(&self, now: UnixTime) -> String {
        dpop::NonceSource::issue(self, now)
            .unwrap()
            .as_str()
            .to_owned()
    }
}
