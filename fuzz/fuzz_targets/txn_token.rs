//! Accepted claims of a transaction token fulfil every rule, judged by an ordinary JSON reader, and
//! what replaces the token never widens it.
#![no_main]

use std::sync::LazyLock;
use std::time::Duration;

use jose_x509::jws::{self, ProtectedHeader};
use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, SigningKey, VerifyingKey};
use libfuzzer_sys::fuzz_target;
use rustls_pki_types::UnixTime;
use serde_json::Value;
use token_exchange::Party;
use txn_token::{
    Actor, AssuranceLevels, Lineage, LineageProfile, ReplaceRequest, TXN_TOKEN_TYPE, TxnToken,
    TxnTokenIssuer, TxnTokenVerifier,
};

const NOW: u64 = 1_800_000_000;
const ISSUER: &str = "https://tts.example.org";
const DOMAIN: &str = "example.org";

struct Setup {
    signer: SigningKey,
    key: VerifyingKey,
    service: TxnTokenIssuer<SigningKey>,
    verifier: TxnTokenVerifier,
    /// Reads earlier names and both lineages.
    lenient: TxnTokenVerifier,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let signer = SigningKey::generate(&provider(), Algorithm::Ed25519)
        .expect("a key")
        .with_kid("k");
    Setup {
        key: signer.verifying_key().expect("a key"),
        service: TxnTokenIssuer::new(signer.clone(), DOMAIN, &provider())
            .expect("a service")
            .with_issuer(ISSUER),
        verifier: TxnTokenVerifier::new(DOMAIN, ISSUER),
        lenient: TxnTokenVerifier::new(DOMAIN, ISSUER)
            .with_legacy_names()
            .with_lineages([LineageProfile::ActChain, LineageProfile::PosturedLineage]),
        signer,
    }
});

fuzz_target!(|payload: &[u8]| {
    let setup = &*SETUP;
    let Ok(token) = jws::sign(
        &setup.signer,
        &ProtectedHeader::new(TXN_TOKEN_TYPE),
        payload,
    ) else {
        return;
    };
    let now = UnixTime::since_unix_epoch(Duration::from_secs(NOW));
    let lenient = setup.lenient.verify(&token, &setup.key, now);
    if let Ok(token) = &lenient {
        check_lineage(token);
    }
    let Ok(token) = setup.verifier.verify(&token, &setup.key, now) else {
        return;
    };
    let claims: Value = serde_json::from_slice(payload).expect("accepted claims are JSON");
    // Who reads more does not read it otherwise, but may see two spellings that differ, and a context under its
    // earlier name where it has no other.
    if let Ok(lenient) = lenient {
        assert_eq!(
            (lenient.subject(), lenient.scope()),
            (token.subject(), token.scope())
        );
        if claims.get("azd").is_none() {
            assert_eq!(lenient.transaction_context(), token.transaction_context());
        }
    }
    assert_eq!(claims["iss"], ISSUER);
    assert!(claims["aud"] == DOMAIN || claims["aud"] == serde_json::json!([DOMAIN]));
    assert_eq!(claims["txn"], token.txn());
    assert_eq!(claims["sub"], token.subject());
    assert_eq!(claims["req_wl"], token.requesting_workload());
    assert!(!token.txn().is_empty() && !token.scope().is_empty());
    let words = claims["scope"].as_str().expect("a scope").split(' ');
    assert!(
        words
            .filter(|word| !word.is_empty())
            .all(|word| token.scope().contains(word))
    );
    assert!(token.expires() + 30 > NOW && token.expires() > token.issued_at());
    assert!(token.issued_at() <= NOW + 30);
    for name in ["tctx", "rctx", "act", "agentic_ctx"] {
        assert!(
            claims
                .get(name)
                .is_none_or(|value| value.is_object() || value.is_null()),
            "{name}"
        );
    }
    let path: Vec<&str> = token
        .act_chain()
        .iter()
        .map(|link| link.actor().party().subject())
        .chain(token.actor().map(|actor| actor.party().subject()))
        .collect();
    assert!(path.len() <= 9);
    for (i, subject) in path.iter().enumerate() {
        assert!(subject.starts_with("spiffe://example.org"));
        let issuer = |j: usize| {
            token.act_chain().get(j).map_or_else(
                || token.actor().and_then(|actor| actor.party().issuer()),
                |link| link.actor().party().issuer(),
            )
        };
        for j in 0..i {
            let told_apart = issuer(i).is_some() && issuer(j).is_some() && issuer(i) != issuer(j);
            assert!(path[j] != *subject || told_apart);
        }
    }

    let mut request = ReplaceRequest::new("spiffe://example.org/broker");
    request.actor = Some(Actor::new(Party::new("spiffe://example.org/new")));
    let Ok(issued) = setup.service.replace(&token, &request, now) else {
        return;
    };
    let Ok(next) = setup.verifier.verify(issued.as_str(), &setup.key, now) else {
        return;
    };
    assert_eq!(
        (next.txn(), next.subject(), next.scope()),
        (token.txn(), token.subject(), token.scope())
    );
    assert_eq!(next.transaction_context(), token.transaction_context());
    assert!(next.expires() <= token.expires());
    assert!(next.act_chain().starts_with(token.act_chain()));
});

/// The path has named ends and no agent twice, and no agent is weaker than the least assurance.
fn check_lineage(token: &TxnToken) {
    assert!(!token.subject().is_empty() && !token.scope().is_empty());
    let Some(lineage @ Lineage::Multi(agents)) = token.lineage() else {
        return;
    };
    let path = agents.path();
    assert!((1..=8).contains(&path.len()));
    assert!((1..path.len()).all(|i| !path[..i].contains(&path[i])));
    assert!(
        path.iter()
            .all(|agent| agent.starts_with("spiffe://example.org"))
    );
    let ends = [agents.originator(), agents.current()].map(|agent| agent.workload_id());
    assert_eq!(
        ends,
        [
            path.first().map(String::as_str),
            path.last().map(String::as_str)
        ]
    );
    assert_eq!(token.acting_workload(), path.last().map(String::as_str));
    let levels = AssuranceLevels::default();
    for agent in [agents.originator(), agents.current()] {
        assert!(levels.rank(agent.assurance()) >= levels.rank(lineage.least_assurance()));
    }
    let claim = &token.claim("agentic_ctx").expect("read from it")["chain_metadata"];
    assert_eq!(claim["hop_count"], path.len());
}
