//! Agents: their posture, the lineage in which `act` stays, and access tokens that name them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, KeySet, SigningKey};
use pki_types::UnixTime;
use serde_json::{Value, json};
use spiffe_id::SpiffeIdPattern;
use support::*;
use token_exchange::{DetailType, DetailTypes, Party, SubjectToken, TokenType};
use txn_token::evidence::{AttestationVerifier, Attested};
use txn_token::lineage::HandedOver;
use txn_token::service::*;
use txn_token::*;

const HASH: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Documents are `maker|workload|nonce|time|measurement|level`.
struct Enclaves;

impl AttestationVerifier for Enclaves {
    fn verify(
        &self,
        document: &[u8],
        workload: &str,
        nonce: &[u8],
        now: UnixTime,
    ) -> Result<Attested, Error> {
        let refuse = |what| Err(Error::Attestation { what });
        let text = std::str::from_utf8(document).unwrap();
        let [maker, who, asked, time, measurement, level] =
            text.split('|').collect::<Vec<_>>().try_into().unwrap();
        if maker != "maker" {
            return refuse("its signatures do not lead to the maker");
        }
        if who != workload || asked.as_bytes() != nonce {
            return refuse("it is about another workload, or not made for this request");
        }
        if now.as_secs().saturating_sub(time.parse::<u64>().unwrap()) > 60 {
            return refuse("it is too old");
        }
        if measurement != "gold" {
            return refuse("its measurement is not known");
        }
        Ok(Attested {
            tee: "enclave".into(),
            assurance: level.into(),
            boot_gold: Some(true),
        })
    }
}

fn document(path: &str, level: &str) -> String {
    format!("maker|{}|n1|{NOW}|gold|{level}", id(path))
}

fn attested(path: &str, level: &str) -> AgentPosture {
    let evidence = Evidence::internal(&id(path)).unwrap().on_node("node-7");
    let evidence = evidence.attested(&Enclaves, document(path, level).as_bytes(), b"n1", now());
    evidence.unwrap().into_posture()
}

/// A world whose token service keeps `act` and writes `chain_metadata`.
fn postured() -> World {
    let mut world = World::new();
    world.service = TxnTokenIssuer::new(world.key.clone(), DOMAIN, &provider())
        .unwrap()
        .with_issuer(ISSUER)
        .with_lineage(LineageProfile::PosturedLineage);
    world.verifier = world
        .verifier
        .with_lineages([LineageProfile::PosturedLineage]);
    world
}

fn first(world: &World, posture: Option<AgentPosture>) -> TxnToken {
    let mut wanted = request();
    wanted.act = Some(actor("agents/a"));
    wanted.posture = posture;
    world.issue(&wanted)
}

fn to(next: AgentPosture) -> ReplaceRequest {
    let mut wanted = ReplaceRequest::new(id("gateway"));
    wanted.delegatee = Some(next);
    wanted
}

fn multi(token: &TxnToken) -> &HandedOver {
    match token.lineage().unwrap() {
        Lineage::Multi(lineage) => lineage,
        other => panic!("{other:?}"),
    }
}

/// Covers: TXN-AGENTS-3.4-1, TXN-AGENTS-4.2.1-3, TXN-AGENTS-4.2.1-4, TXN-AGENTS-4.2-1, TXN-AGENTS-4.2.3-1,
/// Covers: TXN-AGENTS-4.2.3-3, TXN-AGENTS-5.10-1, TXN-AGENTS-5.10-2, TXN-AGENTS-5.13-1, TXN-AGENTS-A1,
/// Covers: TXN-AGENTS-4.2.2-1, TXN-AGENTS-4.2.2-2, TXN-AGENTS-4.2.2-3, TXN-AGENTS-5.8-1
#[test]
fn assurance_never_rises_along_the_path() {
    let world = postured();
    let outside = Evidence::external(&id("agents/a")).unwrap().into_posture();
    let demand =
        Requirements::new(scope("pay")).with_min_assurance("medium", AssuranceLevels::default());
    let low = first(&world, Some(outside.clone()));
    let strong = world
        .replace(&low, &to(attested("agents/b", "high")))
        .unwrap();
    let last = world
        .replace(&strong, &to(attested("agents/c", "high")))
        .unwrap();
    for (token, path) in [(&strong, &["a", "b"][..]), (&last, &["a", "b", "c"])] {
        let lineage = multi(token);
        let path: Vec<_> = path
            .iter()
            .map(|name| id(&format!("agents/{name}")))
            .collect();
        assert_eq!(lineage.path(), path);
        assert_eq!(lineage.originator(), &outside);
        assert_eq!(lineage.current().assurance(), "high");
        assert_eq!(token.lineage().unwrap().least_assurance(), "low");
        assert_eq!(token.actor(), low.actor());
        assert_eq!((token.subject(), token.txn()), (low.subject(), low.txn()));
        assert_eq!(
            demand.check(token, &Call::new(), now()),
            Err(Error::AssuranceTooLow)
        );
        let claim = token.claim("agentic_ctx").unwrap();
        assert_eq!(claim["chain_metadata"]["hop_count"], path.len());
    }
    assert_eq!(last.acting_workload(), Some(id("agents/c").as_str()));

    // A strong chain falls with its weakest agent, and stays there.
    let strong = first(&world, Some(attested("agents/a", "high")));
    assert_eq!(demand.check(&strong, &Call::new(), now()), Ok(()));
    let medium = world
        .replace(&strong, &to(attested("agents/b", "medium")))
        .unwrap();
    assert_eq!(demand.check(&medium, &Call::new(), now()), Ok(()));
    let unknown = Evidence::internal(&id("agents/c")).unwrap().into_posture();
    let weak = world.replace(&medium, &to(unknown)).unwrap();
    let weak = world
        .replace(&weak, &to(attested("agents/d", "high")))
        .unwrap();
    assert_eq!(weak.lineage().unwrap().least_assurance(), "unverified");
    // Without a posture at the start nothing was verified.
    let bare = world
        .replace(&first(&world, None), &to(attested("agents/b", "high")))
        .unwrap();
    assert_eq!(multi(&bare).path(), [id("agents/a"), id("agents/b")]);
    assert_eq!(bare.lineage().unwrap().least_assurance(), "unverified");

    // Back to one of the path, a new `act`, an outcome: none of it.
    for (path, code) in [
        ("agents/a", "repeated_actor"),
        ("agents/d", "repeated_actor"),
    ] {
        assert_eq!(
            world
                .replace(&weak, &to(attested(path, "high")))
                .unwrap_err()
                .code(),
            code
        );
    }
    let mut swap = ReplaceRequest::new(id("gateway"));
    swap.actor = Some(actor("agents/z"));
    assert_eq!(
        world.replace(&weak, &swap).unwrap_err(),
        Error::Widens { what: "act" }
    );
    let other = World::new();
    assert_eq!(
        other
            .service
            .replace(&weak, &to(attested("agents/z", "low")), now())
            .unwrap_err(),
        Error::UnsupportedLineage
    );
    // A replacement without delegatee keeps all of it.
    let same = world
        .replace(&weak, &ReplaceRequest::new(id("gateway")))
        .unwrap();
    assert_eq!(same.lineage(), weak.lineage());
    assert_eq!(
        world
            .service
            .replace(&weak, &ReplaceRequest::new(id("gateway")), at(NOW + 301))
            .unwrap_err(),
        Error::ReplacedExpired
    );
}

/// Covers: TXN-AGENTS-5.13-2, TXN-AGENTS-4.2.3-2
#[test]
fn the_path_has_an_end() {
    let mut world = postured();
    let mut token = first(&world, None);
    for i in 1..8 {
        token = world
            .replace(&token, &to(attested(&format!("agents/n{i}"), "low")))
            .unwrap();
    }
    assert_eq!(multi(&token).path().len(), 8);
    let more = world.replace(&token, &to(attested("agents/n8", "low")));
    assert_eq!(more.unwrap_err(), Error::TooManyHops { limit: 8 });
    world.verifier = world.verifier.clone().with_max_hops(7).unwrap();
    assert_eq!(
        world.verify(token.as_received()).unwrap_err(),
        Error::TooManyHops { limit: 7 }
    );
    assert!(world.verifier.clone().with_max_hops(0).is_err());
    assert!(world.verifier.clone().with_max_hops(17).is_err());
    for (own, good) in [
        ("agents/n3", false),
        ("agents/a", false),
        ("agents/n7", false),
        ("agents/x", true),
    ] {
        let verifier = world
            .verifier
            .clone()
            .with_max_hops(8)
            .unwrap()
            .with_own_id(id(own));
        let result = verifier.verify(token.as_received(), &world.keys, now());
        assert_eq!(result.is_ok(), good, "{own}");
    }
}

/// Whatever threshold was passed, no token of the transaction is issued after that: not of another branch, by another instance of
/// the service, or under its `txn` anew. Other refusals end nothing, and neither does the end of another transaction.
///
/// Covers: TXN-AGENTS-5.13-3
#[test]
fn beyond_a_threshold_the_transaction_is_over() {
    type Step = fn(usize) -> ReplaceRequest;
    let hop: Step = |i| to(attested(&format!("agents/n{i}"), "low"));
    let hand_over: Step = |i| {
        let mut wanted = ReplaceRequest::new(id("gateway"));
        wanted.actor = Some(actor(&format!("agents/n{i}")));
        wanted
    };
    let again: Step = |_| ReplaceRequest::new(id("gateway"));
    let many = LifetimePolicy::default()
        .with_replacement(ReplacementPolicy::new(64))
        .unwrap();
    for (posture, step, lifetimes, good, refusal) in [
        (true, hop, many, 7, Error::TooManyHops { limit: 8 }),
        (false, hand_over, many, 8, Error::ChainTooLong { limit: 8 }),
        (
            false,
            again,
            LifetimePolicy::default(),
            8,
            Error::TooManyReplacements { limit: 8 },
        ),
    ] {
        let store: Arc<MemoryEndedTransactions> = Arc::default();
        let mut world = if posture { postured() } else { World::new() };
        let instance = || {
            let profile = if posture {
                LineageProfile::PosturedLineage
            } else {
                LineageProfile::ActChain
            };
            TxnTokenIssuer::new(world.key.clone(), DOMAIN, &provider())
                .unwrap()
                .with_issuer(ISSUER)
                .with_lineage(profile)
                .with_lifetimes(lifetimes)
                .with_ended(store.clone())
        };
        let other_instance = instance();
        world.service = instance();
        let (begun, another) = (first(&world, None), first(&world, None));
        let mut deepest = world.verify(begun.as_received()).unwrap();
        for i in 1..=good {
            deepest = world.replace(&deepest, &step(i)).unwrap();
        }
        // None of these is a threshold.
        let mut wider = step(90);
        wider.scope = Some(scope("pay admin"));
        let widens = Error::Widens { what: "scope" };
        assert_eq!(world.replace(&begun, &wider).unwrap_err(), widens);
        let branch = world.replace(&begun, &step(50)).unwrap();

        assert_eq!(world.replace(&deepest, &step(91)).unwrap_err(), refusal);
        assert_eq!(store.len(), 1);
        for token in [&deepest, &branch, &begun] {
            for service in [&world.service, &other_instance] {
                for (step, at_time) in [(again(0), NOW), (step(92), NOW + 299)] {
                    let refused = service.replace(token, &step, at(at_time)).unwrap_err();
                    assert_eq!(refused, Error::TransactionEnded);
                    assert_eq!(refused.oauth_error(), "invalid_request");
                    assert_eq!(refused.requirement(), Some("TXN-AGENTS-5.13-3"));
                }
            }
        }
        let mut anew = request();
        anew.txn = Some(begun.txn().to_owned());
        let refused = world.service.issue(&anew, now()).unwrap_err();
        assert_eq!(refused, Error::TransactionEnded);
        anew.txn = Some("another".into());
        assert!(world.service.issue(&anew, now()).is_ok());
        assert!(world.replace(&another, &step(1)).is_ok());
    }
}

/// A store that cannot remember lets nothing pass that may have ended, and says that it is the service's own trouble.
///
/// Covers: TXN-AGENTS-5.13-3
#[test]
fn without_room_to_remember_nothing_goes_on() {
    let store = Arc::new(MemoryEndedTransactions::new(1));
    let mut world = World::new();
    world.service = TxnTokenIssuer::new(world.key.clone(), DOMAIN, &provider())
        .unwrap()
        .with_issuer(ISSUER)
        .with_ended(store);
    let tokens = [(); 3].map(|()| first(&world, None));
    world.service.end(&tokens[0], now()).unwrap();
    let full = world.service.end(&tokens[1], now()).unwrap_err();
    assert_eq!(full, Error::EndedStoreFull);
    assert_eq!(full.to_response().status(), 503);
    assert_eq!(full.oauth_error(), "temporarily_unavailable");
    for token in &tokens {
        let refused = world.replace(token, &ReplaceRequest::new(id("b")));
        assert_eq!(refused.unwrap_err(), Error::TransactionEnded);
    }
    let foreign = TxnTokenIssuer::new(world.key, "example.com", &provider()).unwrap();
    let other = Error::OtherTrustDomain;
    assert_eq!(foreign.end(&tokens[0], now()).unwrap_err(), other);
}

/// Covers: TXN-AGENTS-4.2.2-4, TXN-AGENTS-A6, TXN-AGENTS-A14, TXN-AGENTS-A13, TXN-AGENTS-3.6.1-1, TXN-AGENTS-3.6.1-3,
/// Covers: TXN-AGENTS-3.6.1-4, TXN-AGENTS-4.2.2-3
#[test]
fn a_lineage_that_contradicts_itself_is_refused() {
    let world = postured();
    let good = json!({
        "current_actor": {"identity": {"workload_id": id("b")}, "posture": {"assurance": "high"}},
        "originator": {"identity": {"workload_id": id("a")}, "posture": {"assurance": "low"}},
        "chain_metadata": {"hop_count": 2, "min_assurance_level": "low", "txn_path": [id("a"), id("b")]},
    });
    world.token(&claims_with(json!({"agentic_ctx": good})));
    let meta = "chain_metadata";
    let cases = [
        (meta, "hop_count", json!(1), "agentic_context"),
        (meta, "hop_count", json!(3), "agentic_context"),
        (meta, "hop_count", json!("2"), "agentic_context"),
        (meta, "hop_count", json!(null), "agentic_context"),
        (
            meta,
            "txn_path",
            json!([id("b"), id("a")]),
            "agentic_context",
        ),
        (
            meta,
            "txn_path",
            json!([id("a"), id("c")]),
            "agentic_context",
        ),
        (meta, "txn_path", json!([id("a"), ""]), "agentic_context"),
        (meta, "txn_path", json!("a"), "agentic_context"),
        (meta, "txn_path", json!(null), "agentic_context"),
        (meta, "txn_path", json!(vec![id("a"); 17]), "too_many_hops"),
        (meta, "min_assurance_level", json!(3), "agentic_context"),
        (
            meta,
            "min_assurance_level",
            json!("medium"),
            "assurance_rises",
        ),
        (
            "originator",
            "posture",
            json!({"assurance": "none"}),
            "assurance_rises",
        ),
        ("current_actor", "posture", json!({}), "assurance_rises"),
        (
            "current_actor",
            "posture",
            json!({"assurance": "HIGH"}),
            "assurance_rises",
        ),
        ("current_actor", "posture", json!([]), "agentic_context"),
        (
            "current_actor",
            "posture",
            json!({"tee": 1}),
            "agentic_context",
        ),
        (
            "current_actor",
            "posture",
            json!({"boot_gold": "yes"}),
            "agentic_context",
        ),
        (
            "current_actor",
            "prov",
            json!({"manifest_hash": 1}),
            "agentic_context",
        ),
        (
            "current_actor",
            "prov",
            json!({"model_id": ""}),
            "agentic_context",
        ),
        (
            "originator",
            "prov",
            json!({"version": 2}),
            "agentic_context",
        ),
        (
            "originator",
            "identity",
            json!({"origin_node": "n"}),
            "agentic_context",
        ),
        (
            "originator",
            "identity",
            json!({"workload_id": 1}),
            "agentic_context",
        ),
    ];
    for (part, member, value, code) in cases {
        let mut context = good.clone();
        context[part][member] = value.clone();
        if value.is_null() {
            context[part].as_object_mut().unwrap().remove(member);
        }
        assert_eq!(
            world.refusal(&claims_with(json!({"agentic_ctx": context}))),
            code,
            "{part} {member} {value}"
        );
    }
    for part in ["current_actor", "originator", meta] {
        let mut context = good.clone();
        context.as_object_mut().unwrap().remove(part);
        assert_eq!(
            world.refusal(&claims_with(json!({"agentic_ctx": context}))),
            "agentic_context"
        );
    }
    for part in ["posture", "identity", "prov"] {
        let mut context = good.clone();
        context[part] = json!({});
        assert_eq!(
            world.refusal(&claims_with(json!({"agentic_ctx": context}))),
            "mixed_layouts"
        );
    }
    // A repeated agent, one of another domain, and one in another spelling.
    for (middle, code) in [
        (id("a"), "repeated_actor"),
        (
            "spiffe://evil.example/x".to_owned(),
            "unknown_actor_trust_domain",
        ),
        (
            "spiffe://example.org/A%41".to_owned(),
            "unknown_actor_trust_domain",
        ),
        (id("a/"), "unknown_actor_trust_domain"),
    ] {
        let mut context = good.clone();
        context[meta]["txn_path"] = json!([id("a"), middle, id("b")]);
        context[meta]["hop_count"] = json!(3);
        assert_eq!(
            world.refusal(&claims_with(json!({"agentic_ctx": context}))),
            code,
            "{middle}"
        );
    }
    // Who accepts one form only; and a token with both has to fulfil both.
    let chain = json!([{"sub": id("a")}]);
    let both =
        claims_with(json!({"agentic_ctx": good, "act": {"sub": id("b")}, "act_chain": chain}));
    assert_eq!(world.refusal(&both), "unsupported_lineage");
    assert_eq!(
        World::new().refusal(&claims_with(json!({"agentic_ctx": good}))),
        "unsupported_lineage"
    );
    let mut world = world;
    let profiles = [LineageProfile::ActChain, LineageProfile::PosturedLineage];
    world.verifier = world.verifier.clone().with_lineages(profiles);
    world.token(&both);
    let twice =
        claims_with(json!({"agentic_ctx": good, "act": {"sub": id("a")}, "act_chain": chain}));
    assert_eq!(world.refusal(&twice), "repeated_actor");
}

/// Covers: TXN-AGENTS-A13, TXN-AGENTS-5.10-2, TXN-AGENTS-3.6.1-2, TXN-AGENTS-3.6.3-1, TXN-AGENTS-A3, TXN-AGENTS-3.6.3-3,
/// Covers: TXN-AGENTS-A10, AGENTIC-CTX-V-9
#[test]
fn what_is_known_of_a_machine_restricts_and_never_grants() {
    let world = World::new();
    let token = |assurance: &str, hash: &str, scope: &str, workload: &str| {
        world.token(&claims_with(json!({
            "scope": scope, "act": {"sub": id(workload), "version": "1.10", "deployment": "blue"},
            "agentic_ctx": {"prov": {"manifest_hash": hash}, "posture": {"assurance": assurance},
                "identity": {"workload_id": id(workload)}},
        })))
    };
    let plain = Requirements::new(scope("pay"));
    let check = |demand: &Requirements, token: &TxnToken| {
        demand
            .check(token, &Call::new(), now())
            .map_err(|e| e.code())
    };
    let levels = AssuranceLevels::default;
    for (level, demanded, good) in [
        ("high", "high", true),
        ("medium", "high", false),
        ("HIGH", "low", false),
        ("very-high", "none", false),
        ("low", "LOW", false),
        ("unverified", "none", true),
    ] {
        let demand = plain.clone().with_min_assurance(demanded, levels());
        let result = check(&demand, &token(level, HASH, "pay", "agents/a"));
        assert_eq!(result.is_ok(), good, "{level} {demanded}");
    }
    let demand = plain.clone().with_min_assurance("low", levels());
    assert_eq!(
        check(&demand, &world.token(&claims())),
        Err("assurance_too_low")
    );

    let known = KnownManifests::new()
        .with(id("agents/a"), HASH)
        .with(id("agents/b"), "none");
    let demand = plain.clone().with_known_manifests(known);
    for (hash, workload, good) in [
        (HASH, "agents/a", true),
        ("none", "agents/a", false),
        (HASH, "agents/b", false),
        (&HASH.to_uppercase(), "agents/a", false),
        (HASH, "agents/c", false),
    ] {
        let result = check(&demand, &token("high", hash, "pay", workload));
        assert_eq!(
            result,
            if good {
                Ok(())
            } else {
                Err("unknown_manifest")
            },
            "{hash} {workload}"
        );
    }
    assert_eq!(
        check(&demand, &world.token(&claims())),
        Err("unknown_manifest")
    );

    // The principal's rights and the machine's: both, never one of them.
    let demand = plain
        .clone()
        .with_acting_workload(SpiffeIdPattern::parse("spiffe://example.org/agents/*").unwrap());
    assert_eq!(
        check(&demand, &token("high", HASH, "pay", "agents/a")),
        Ok(())
    );
    assert_eq!(
        check(&demand, &token("high", HASH, "read", "agents/a")),
        Err("insufficient_scope")
    );
    assert_eq!(
        check(&demand, &token("high", HASH, "pay", "other/a")),
        Err("actor_not_allowed")
    );
    assert_eq!(
        check(&demand, &world.token(&claims())),
        Err("actor_not_allowed")
    );

    let numbers = |a: &str, b: &str| {
        let read = |text: &str| {
            text.split('.')
                .map(|part| part.parse::<u32>().ok())
                .collect::<Option<Vec<_>>>()
        };
        Some(read(a)?.cmp(&read(b)?))
    };
    let full = token("high", HASH, "pay", "agents/a");
    let bare = world.token(&claims_with(json!({"act": {"sub": id("agents/a")}})));
    for (demand, good) in [
        (plain.clone().with_versions(["1.10"]), true),
        (plain.clone().with_versions(["1.1"]), false),
        (plain.clone().with_min_version("1.9", numbers), true),
        (plain.clone().with_min_version("1.11", numbers), false),
        (plain.clone().with_min_version("x", numbers), false),
        (plain.clone().with_deployments(["blue", "green"]), true),
        (plain.with_deployments(["green"]), false),
    ] {
        assert_eq!(
            check(&demand, &full),
            if good { Ok(()) } else { Err("actor_version") }
        );
        assert_eq!(check(&demand, &bare), Err("actor_version"));
    }
}

/// Covers: TXN-AGENTS-3.6.1-5, TXN-AGENTS-3.6.1-6, TXN-AGENTS-3.6.1-7, TXN-AGENTS-3.6.1-8, TXN-AGENTS-3.6.1-9,
/// Covers: TXN-AGENTS-3.6.3-2, TXN-AGENTS-4.1-1, TXN-AGENTS-4.1-2, TXN-AGENTS-5.11-1, TXN-AGENTS-5.12-1, TXN-AGENTS-A2,
/// Covers: TXN-AGENTS-A4, TXN-AGENTS-A3
#[test]
fn only_evidence_makes_a_posture() {
    let internal = || Evidence::internal(&id("agents/a")).unwrap();
    let good = document("agents/a", "high");
    let proven = internal()
        .attested(&Enclaves, good.as_bytes(), b"n1", now())
        .unwrap()
        .into_posture();
    assert_eq!(
        (proven.tee(), proven.assurance(), proven.boot_gold()),
        (Some("enclave"), "high", Some(true))
    );
    for (bad, nonce, time) in [
        (good.replace("maker", "forger"), "n1", NOW),
        (good.replace("agents/a", "agents/b"), "n1", NOW),
        (good.clone(), "n2", NOW),
        (good.clone(), "n1", NOW + 61),
        (good.replace("gold", "patched"), "n1", NOW),
        ("x".repeat(65_537), "n1", NOW),
    ] {
        let result = internal().attested(&Enclaves, bad.as_bytes(), nonce.as_bytes(), at(time));
        assert_eq!(result.unwrap_err().code(), "attestation");
    }
    let bare = internal().into_posture();
    assert_eq!(
        (bare.tee(), bare.assurance(), bare.manifest_hash()),
        (Some("unverified"), "unverified", None)
    );
    let outside = Evidence::external(&id("agents/a")).unwrap().into_posture();
    assert_eq!(
        (outside.tee(), outside.assurance(), outside.manifest_hash()),
        (Some("unverified"), "low", Some("none"))
    );
    assert!(Evidence::internal("").is_err());

    // The registry is asked by the authenticated name.
    let entry = Provenance::new(HASH)
        .unwrap()
        .with_model("m")
        .with_version("2");
    let registry = BTreeMap::from([(id("agents/a"), entry)]);
    let known = internal()
        .on_node("node-7")
        .registered(&registry)
        .into_posture();
    assert_eq!(
        (known.manifest_hash(), known.model_id(), known.version()),
        (Some(HASH), Some("m"), Some("2"))
    );
    assert_eq!(
        (known.workload_id(), known.origin_node()),
        (Some(id("agents/a").as_str()), Some("node-7"))
    );
    let other = Evidence::internal(&id("agents/b"))
        .unwrap()
        .registered(&registry)
        .into_posture();
    assert_eq!(other.manifest_hash(), None);
    for bad in [
        "",
        "sha256:",
        "sha256:4455...",
        "md5:00",
        HASH.get(..70).unwrap(),
        &HASH.to_uppercase(),
        "NONE",
    ] {
        assert!(Provenance::new(bad).is_err(), "{bad}");
    }
    // What an agent says of itself: a context that came from elsewhere brings no posture with it.
    let world = World::new();
    let claimed = world.token(&claims_with(
        json!({"agentic_ctx": {"intent": "pay", "posture": {"assurance": "high"}}}),
    ));
    let mut wanted = request();
    wanted.agentic_context = claimed.agentic_context().cloned();
    let issued = world.issue(&wanted);
    assert!(issued.lineage().is_none());
    assert_eq!(
        issued.agentic_context().unwrap().intent.as_deref(),
        Some("pay")
    );
    for name in [
        "posture",
        "prov",
        "identity",
        "current_actor",
        "originator",
        "chain_metadata",
    ] {
        let mut wanted = request();
        let mut context = AgenticContext::new();
        context
            .other
            .insert(name.to_owned(), json!({"assurance": "high"}));
        wanted.agentic_context = Some(context);
        assert_eq!(
            world.service.issue(&wanted, now()).unwrap_err().code(),
            "agentic_context",
            "{name}"
        );
    }
    let mut replaced = ReplaceRequest::new(id("gateway"));
    replaced.agentic_context = claimed.agentic_context().cloned();
    let token = world.issue(&request());
    assert!(
        world
            .replace(&token, &replaced)
            .unwrap()
            .lineage()
            .is_none()
    );
    // A posture is not inherited by the agent that takes over.
    let mut wanted = request();
    wanted.act = Some(actor("agents/a"));
    wanted.posture = Some(proven);
    let mut over = ReplaceRequest::new(id("gateway"));
    over.actor = Some(actor("agents/b"));
    let next = world.replace(&world.issue(&wanted), &over).unwrap();
    assert!(next.lineage().is_none());
}

/// Covers: TXN-AGENTS-5.14-1, TXN-AGENTS-5.14-2, TXN-AGENTS-A12
#[test]
fn outside_only_the_least_is_told() {
    let registry = BTreeMap::from([(
        id("agents/a"),
        Provenance::new(HASH).unwrap().with_model("m"),
    )]);
    let evidence = Evidence::internal(&id("agents/a"))
        .unwrap()
        .on_node("node-7")
        .registered(&registry);
    let told = evidence.into_posture().minimised().to_value();
    assert_eq!(
        told,
        json!({"posture": {"tee": "unverified", "assurance": "unverified"}, "prov": {"model_id": "m"}})
    );
}

/// The examples of the draft.
///
/// Covers: TXN-AGENTS-3.6.1-1, TXN-AGENTS-3.6.1-3, TXN-AGENTS-3.6.1-4, TXN-AGENTS-L-1, AGENTIC-CTX-P-2, TXN-TOKEN-C-1
#[test]
fn the_examples_of_the_drafts_read_as_they_say() {
    let world = World::new();
    let domain = "https://trading.trust-domain.example/stocks";
    let v1: Value = serde_json::from_str(r#"{"txn":"c2dc3992-2d65-483a-93b5-2dd9f02c276e","sub":"user:alice@example.com","aud":"https://trading.trust-domain.example/stocks","iss":"https://txn-svc.trust-domain.example","iat":1697059200,"exp":1697059500,"purp":"trade.stocks","tctx":{"action":"BUY"},"req_wl":"apigateway.trust-domain.example","act":{"sub":"agent-identity-1"}}"#).unwrap();
    let verifier =
        TxnTokenVerifier::new(domain, "https://txn-svc.trust-domain.example").with_opaque_actors();
    let verify = |verifier: &TxnTokenVerifier, claims: &Value, time| {
        verifier.verify(&world.sign(claims), &world.keys, at(time))
    };
    assert_eq!(
        verify(&verifier, &v1, 1_697_059_300).unwrap_err().code(),
        "missing_claim"
    );
    let token = verify(&verifier.with_legacy_names(), &v1, 1_697_059_300).unwrap();
    assert_eq!(
        (token.scope(), token.legacy_forms()),
        (&scope("trade.stocks"), &[LegacyForm::Purpose][..])
    );

    let v3: Value = serde_json::from_str(r#"{"current_actor":{"identity":{"workload_id":"1p-billing-svc-v2","origin_node":"internal-cluster-alpha-node-4"},"posture":{"tee":"aws-nitro-enclave","assurance":"high"},"prov":{"manifest_hash":"sha256:4455..."}},"originator":{"identity":{"workload_id":"3p-assistant-ext-99"},"posture":{"tee":"unverified","assurance":"low"},"prov":{"manifest_hash":"none"}},"chain_metadata":{"hop_count":2,"min_assurance_level":"low","txn_path":["3p-assistant-ext-99","1p-billing-svc-v2"]}}"#).unwrap();
    let multi_agents = world
        .verifier
        .clone()
        .with_opaque_actors()
        .with_lineages([LineageProfile::PosturedLineage]);
    let token = verify(&multi_agents, &claims_with(json!({"agentic_ctx": v3})), NOW).unwrap();
    assert_eq!(token.lineage().unwrap().least_assurance(), "low");
    assert_eq!(token.claim("agentic_ctx").unwrap(), v3);
    let printed = claims_with(json!({"agentic_ctx": v3, "aud": null, "scope": null}));
    assert!(verify(&multi_agents, &printed, NOW).is_err());

    // Earlier forms, each read only where it was asked for.
    let legacy = world
        .verifier
        .clone()
        .with_opaque_actors()
        .with_legacy_names();
    let strict = world.verifier.clone().with_opaque_actors();
    let cases = [
        (
            json!({"sub": null, "act": null, "actor": {"agent_id": "agent-1234", "version": "v2.1.0", "deployment": "prod-us-east-1"}, "principal": "user:alice"}),
            vec![LegacyForm::Principal, LegacyForm::Actor],
        ),
        (
            json!({"scope": null, "purp": "trade", "azd": {"action": "BUY"}}),
            vec![LegacyForm::Purpose, LegacyForm::AuthorizationDetails],
        ),
        (
            json!({"req_wl": null, "rctx": {"req_wl": ["gw", "w3"]}}),
            vec![LegacyForm::RequestingWorkload],
        ),
        (
            json!({"req_wl": null, "rctx": {"req_wl": "w3"}}),
            vec![LegacyForm::RequestingWorkload],
        ),
        (
            json!({"sub": null, "sub_id": {"format": "email", "email": "a@b.example"}}),
            vec![LegacyForm::SubjectIdentifier],
        ),
    ];
    for (change, forms) in cases {
        let claims = claims_with(change.clone());
        let token = verify(&legacy, &claims, NOW).unwrap();
        assert_eq!(token.legacy_forms(), forms, "{change}");
        let plain = verify(&strict, &claims, NOW);
        // `azd` and `actor` alone mean nothing to a verifier that does not know them.
        assert!(plain.is_err(), "{change}");
        if forms.contains(&LegacyForm::Actor) {
            let act = token.actor().unwrap();
            assert_eq!(
                (act.party().subject(), act.version(), act.deployment()),
                ("agent-1234", Some("v2.1.0"), Some("prod-us-east-1"))
            );
            assert_eq!(token.subject(), "user:alice");
        }
        if forms.contains(&LegacyForm::AuthorizationDetails) {
            assert_eq!(
                token.transaction_context().get("action"),
                Some(json!("BUY"))
            );
        }
        if forms.contains(&LegacyForm::RequestingWorkload) {
            assert_eq!(token.requesting_workload(), "w3");
        }
    }
    let old = world.sign_as("txn_token", &claims());
    let token = legacy.verify(&old, &world.keys, now()).unwrap();
    assert_eq!(token.legacy_forms(), [LegacyForm::Type]);
    assert!(strict.verify(&old, &world.keys, now()).is_err());
    for change in [
        json!({"purp": "other"}),
        json!({"tctx": {"a": 1}, "azd": {"a": 2}}),
        json!({"principal": "another"}),
        json!({"act": {"sub": "x"}, "actor": {"agent_id": "y"}}),
        json!({"actor": {"version": "1"}}),
        json!({"azd": []}),
        json!({"req_wl": null, "rctx": {"req_wl": []}}),
        json!({"sub": null, "sub_id": "x"}),
    ] {
        assert!(
            verify(&legacy, &claims_with(change.clone()), NOW).is_err(),
            "{change}"
        );
    }
}

/// Access tokens are JSON objects here, `iss` and `sub` among their claims.
struct AccessTokens;

impl SubjectVerifier for AccessTokens {
    fn verify(&self, token: &str, _: &str, now: UnixTime) -> Result<FoundSubject, Error> {
        let claims: serde_json::Map<String, Value> =
            serde_json::from_str(token).map_err(|_| Error::SubjectToken {
                what: "its signature",
            })?;
        if claims.get("aud") != Some(&json!(ISSUER)) {
            return Err(Error::SubjectToken {
                what: "its audience",
            });
        }
        let text = |name: &str| claims[name].as_str().unwrap().to_owned();
        let mut found = FoundSubject::new(text("iss"), text("sub"));
        found.scope = Some(scope("pay"));
        found.expires = Some(now.as_secs() + 100);
        found.claims = claims;
        Ok(found)
    }
}

/// Ends what a signal named.
#[derive(Default)]
struct Signals(Mutex<BTreeSet<String>>);

impl IssuePolicy for Signals {
    fn allows(&self, facts: &Facts<'_>) -> bool {
        !self.0.lock().unwrap().contains(&facts.subject.subject)
    }

    fn allows_replacement(&self, token: &TxnToken, _: &str) -> bool {
        let ended = self.0.lock().unwrap();
        !token
            .actor()
            .is_some_and(|actor| ended.contains(actor.party().subject()))
    }
}

fn tts(
    world: &World,
    rule: AgentRule,
    policy: Arc<dyn IssuePolicy>,
) -> TxnTokenService<SigningKey> {
    let issuer = TxnTokenIssuer::new(world.key.clone(), DOMAIN, &provider())
        .unwrap()
        .with_issuer(ISSUER);
    let permissions = Permissions::new(scope("pay"))
        .with_type(&TokenType::AccessToken)
        .with_type(&TokenType::TxnToken);
    TxnTokenService::new(issuer, &provider(), ISSUER)
        .unwrap()
        .accept(&TokenType::AccessToken, Arc::new(AccessTokens))
        .permit(id("gateway"), permissions)
        .with_replacement(
            world.verifier.clone(),
            Arc::new(KeySet::new(vec![world.keys.clone()]).unwrap()),
        )
        .with_policy(policy)
        .with_agents(rule)
}

fn ask(
    service: &TxnTokenService<SigningKey>,
    token: &str,
    kind: TokenType,
) -> Result<String, Error> {
    let subject = SubjectToken {
        unverified_token: token.into(),
        token_type: kind,
    };
    let body = TxnTokenRequest::new(DOMAIN, subject, scope("pay"))
        .to_form()
        .unwrap();
    let request =
        http::Request::post("/token").header("content-type", "application/x-www-form-urlencoded");
    let (parts, ()) = request.body(()).unwrap().into_parts();
    service
        .exchange(&parts, body.as_bytes(), Some(&id("gateway")), now())
        .map(IssuedTxnToken::into_string)
}

/// Covers: TXN-AGENTS-1-2, TXN-AGENTS-3.2.1-1, TXN-AGENTS-3.2.1-2, TXN-AGENTS-3.2.1-3, TXN-AGENTS-3.2.1-4,
/// Covers: TXN-AGENTS-3.2.2-1, TXN-AGENTS-3.2.2-2, TXN-AGENTS-5.3-2, TXN-AGENTS-5.7-1, TXN-AGENTS-5.7-2, TXN-AGENTS-A11,
/// Covers: AGENTIC-CTX-V-8
#[test]
fn the_agent_is_the_client_of_the_access_token() {
    let world = World::new();
    let (a, b) = (id("agents/a"), id("agents/b"));
    let base = json!({"iss": "https://as.example", "sub": "alice", "aud": ISSUER, "client_id": a});
    let with = |more: Value| {
        let mut all = base.clone();
        all.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        all
    };
    let nested = json!({"sub": b, "version": "7", "act": {"sub": "older"}});
    let trusted = || AgentRule::ActOf(vec!["https://as.example".into()]);
    let elsewhere = AgentRule::ActOf(vec!["https://other.example".into()]);
    let cases = [
        (AgentRule::Client, base.clone(), Ok(&a)),
        (AgentRule::Client, with(json!({"clientId": a})), Ok(&a)),
        (
            AgentRule::Client,
            with(json!({"clientId": b})),
            Err("subject_token"),
        ),
        (AgentRule::Client, with(json!({"act": nested})), Ok(&a)),
        (AgentRule::ClientOrRefuse, base.clone(), Ok(&a)),
        (
            AgentRule::ClientOrRefuse,
            with(json!({"act": {"sub": a}})),
            Ok(&a),
        ),
        (
            AgentRule::ClientOrRefuse,
            with(json!({"act": nested})),
            Err("subject_token"),
        ),
        (trusted(), with(json!({"act": nested})), Ok(&b)),
        (elsewhere, with(json!({"act": nested})), Ok(&a)),
        (trusted(), base.clone(), Ok(&a)),
        (
            AgentRule::Client,
            with(json!({"client_id": nested})),
            Ok(&b),
        ),
        (
            AgentRule::Client,
            with(json!({"client_id": ""})),
            Err("malformed_actor"),
        ),
        (
            AgentRule::Client,
            with(json!({"client_id": ["x"]})),
            Err("malformed_actor"),
        ),
        (
            AgentRule::Client,
            with(json!({"aud": "x"})),
            Err("subject_token"),
        ),
    ];
    for (rule, claims, expected) in cases {
        let service = tts(&world, rule.clone(), Arc::new(Signals::default()));
        let token = ask(&service, &claims.to_string(), TokenType::AccessToken);
        let token = token.and_then(|token| world.verify(&token));
        let agent = token
            .as_ref()
            .map(|token| token.actor().unwrap().party().subject().to_owned());
        assert_eq!(
            agent.map_err(Error::code),
            expected.cloned(),
            "{rule:?} {claims}"
        );
        if let Ok(token) = token {
            assert!(!token.is_autonomous() && token.subject() != a && token.act_chain().is_empty());
            if expected == Ok(&b) {
                assert_eq!(token.claim("act").unwrap(), nested);
            }
        }
    }
    let mut nobody = base.clone();
    nobody.as_object_mut().unwrap().remove("client_id");
    let service = tts(&world, AgentRule::Client, Arc::new(Signals::default()));
    assert_eq!(
        ask(&service, &nobody.to_string(), TokenType::AccessToken)
            .unwrap_err()
            .code(),
        "subject_token"
    );
    // An agent on its own: the subject is the agent.
    let own = with(json!({"sub": a}));
    let token = world
        .verify(&ask(&service, &own.to_string(), TokenType::AccessToken).unwrap())
        .unwrap();
    assert_eq!((token.subject(), token.is_autonomous()), (a.as_str(), true));
    // A policy that takes the client for the user is stopped.
    struct Wrong;
    impl IssuePolicy for Wrong {
        fn subject(&self, facts: &Facts<'_>) -> Option<String> {
            Some(facts.subject.claims["client_id"].as_str()?.to_owned())
        }
    }
    let service = tts(&world, AgentRule::Client, Arc::new(Wrong));
    assert_eq!(
        ask(&service, &base.to_string(), TokenType::AccessToken)
            .unwrap_err()
            .code(),
        "policy_widens"
    );
}

/// Who acted before an access token was made a transaction stays known, and does not come back.
#[test]
fn who_acted_before_the_transaction_is_not_forgotten() {
    let world = World::new();
    let (a, b, c) = (id("agents/a"), id("agents/b"), id("agents/c"));
    let act = json!({"sub": b, "act": {"sub": a, "act": {"sub": "older"}}});
    let access = json!({"iss": "https://as.example", "sub": "alice", "aud": ISSUER, "client_id": b, "act": act});
    let history = |token: &TxnToken| token.audit_record(&Ok(()), now()).history;
    let repeated = |position| Some(Error::RepeatedActor { position });
    let trusted = AgentRule::ActOf(vec!["https://as.example".into()]);
    for rule in [AgentRule::Client, AgentRule::ClientOrRefuse, trusted] {
        let service = tts(&world, rule, Arc::new(Signals::default()));
        let issued = ask(&service, &access.to_string(), TokenType::AccessToken).unwrap();
        let token = world.verify(&issued).unwrap();
        assert_eq!(token.claim("act").unwrap(), act);
        assert_eq!(history(&token), ["older", a.as_str()]);

        let take_over = |agent: &str| {
            let mut wanted = ReplaceRequest::new(b.as_str());
            wanted.actor = Some(Actor::new(Party::new(agent)));
            wanted
        };
        let second = world.replace(&token, &take_over(&c)).unwrap();
        let record = second.audit_record(&Ok(()), now());
        assert_eq!(
            (record.act, record.path),
            (Some(c.as_str()), vec![b.as_str()])
        );
        assert_eq!(history(&second), ["older", a.as_str()]);
        for before in [&a, &b] {
            assert_eq!(
                world.replace(&second, &take_over(before)).err(),
                repeated(0)
            );
        }
        assert_eq!(world.replace(&token, &take_over(&a)).err(), repeated(0));
        // It is no evidence: a policy does not see it.
        let policy = json!({"roles": {"a": [a]}, "rules": [{"rule": "require", "role": "a"}]});
        let policy = CallChainPolicy::from_json(policy.to_string().as_bytes()).unwrap();
        assert_ne!(policy.evaluate(&second, now()), Decision::Allow);
    }

    let world = postured();
    let token = world.token(&claims_with(json!({"act": act})));
    let taken = |path: &str| {
        let evidence = Evidence::external(&id(path)).unwrap();
        world.replace(&token, &to(evidence.into_posture()))
    };
    assert_eq!(taken("agents/a").err(), repeated(0));
    assert_eq!(history(&taken("agents/c").unwrap()), ["older", a.as_str()]);
}

/// Covers: AGENTIC-CTX-I-8
#[test]
fn a_signal_ends_issue_and_replacement() {
    let world = World::new();
    let signals = Arc::new(Signals::default());
    let service = tts(
        &world,
        AgentRule::Client,
        Arc::clone(&signals) as Arc<dyn IssuePolicy>,
    );
    let access = json!({"iss": "https://as.example", "sub": "alice", "aud": ISSUER, "client_id": id("agents/a")}).to_string();
    let token = ask(&service, &access, TokenType::AccessToken).unwrap();
    ask(&service, &token, TokenType::TxnToken).unwrap();
    signals.0.lock().unwrap().insert(id("agents/a"));
    assert_eq!(
        ask(&service, &token, TokenType::TxnToken),
        Err(Error::Refused)
    );
    // The refusal ended the transaction: it does not go on when the signal is taken back.
    signals.0.lock().unwrap().clear();
    assert_eq!(
        ask(&service, &token, TokenType::TxnToken),
        Err(Error::TransactionEnded)
    );
    signals.0.lock().unwrap().insert("alice".into());
    assert_eq!(
        ask(&service, &access, TokenType::AccessToken),
        Err(Error::Refused)
    );
}

/// Covers: TXN-TOKEN-3-1, TXN-AGENTS-2-1, TXN-TOKEN-13.11-1, TXN-AGENTS-5.9-2
#[test]
fn instances_share_one_key_set_and_keys_rotate() {
    let key = |kid: &str| {
        SigningKey::generate(&provider(), Algorithm::Es256)
            .unwrap()
            .with_kid(kid)
    };
    let (old, new, late) = (key("k1"), key("k2"), key("k3"));
    let instance = |key: &SigningKey| {
        TxnTokenIssuer::new(key.clone(), DOMAIN, &provider())
            .unwrap()
            .with_issuer(ISSUER)
    };
    let verifier = TxnTokenVerifier::new(DOMAIN, ISSUER);
    let set = KeySet::new(vec![
        old.verifying_key().unwrap(),
        new.verifying_key().unwrap(),
    ])
    .unwrap();
    for service in [
        instance(&old),
        instance(&new),
        instance(&old).rotated(new.clone(), None).unwrap(),
    ] {
        let token = service.issue(&request(), now()).unwrap();
        verifier.verify(token.as_str(), &set, now()).unwrap();
    }
    let token = instance(&late).issue(&request(), now()).unwrap();
    assert!(
        verifier
            .verify(token.as_str(), &set, now())
            .unwrap_err()
            .refresh_may_help()
    );
    let planned = instance(&old).with_key_until(at(NOW + 10));
    planned.issue(&request(), at(NOW + 9)).unwrap();
    assert_eq!(
        planned.issue(&request(), at(NOW + 10)).unwrap_err().code(),
        "invalid_option"
    );
    let next = planned.rotated(new, Some(at(NOW + 20))).unwrap();
    next.issue(&request(), at(NOW + 19)).unwrap();
    assert!(next.issue(&request(), at(NOW + 20)).is_err());
}

/// Covers: TXN-AGENTS-5.6-2
#[test]
fn a_path_without_links_is_judged_and_recorded_as_one_with_them() {
    let world = postured();
    let outside = |path: &str| Evidence::external(&id(path)).unwrap().into_posture();
    let start = first(&world, None);
    let second = world.replace(&start, &to(outside("agents/other"))).unwrap();
    let last = world.replace(&second, &to(outside("agents/c"))).unwrap();
    let judged = |token: &TxnToken, rule: Value| {
        let roles = json!({"a": [id("agents/a")], "c": [id("agents/c")], "other": [id("agents/other")],
            "all": [id("agents/*")]});
        let used = json!({"rule": "require_any", "roles": ["a", "c", "other", "all"], "include_current": true});
        let text = json!({"roles": roles, "rules": [rule, used]}).to_string();
        let policy = CallChainPolicy::from_json(text.as_bytes()).unwrap();
        let decision = policy.evaluate(token, now());
        let checked = Requirements::new(scope("pay")).with_call_chain(policy);
        let allowed = checked.check(token, &Call::new(), now()).is_ok();
        assert_eq!(allowed, decision == Decision::Allow);
        match decision {
            Decision::Allow => Ok(()),
            Decision::Deny(denial) => Err((denial.code, denial.link)),
        }
    };
    let max_hops = |limit: u64| json!({"rule": "max_hops", "limit": limit});
    for (rule, expected) in [
        (
            json!({"rule": "forbid", "role": "other"}),
            Err(("forbidden_role", Some(1))),
        ),
        (
            json!({"rule": "forbid", "role": "c"}),
            Err(("forbidden_role", Some(2))),
        ),
        (
            json!({"rule": "only", "roles": ["a"]}),
            Err(("role_not_listed", Some(1))),
        ),
        (json!({"rule": "only", "roles": ["all"]}), Ok(())),
        (max_hops(1), Err(("too_many_hops", Some(1)))),
        (max_hops(3), Ok(())),
        (json!({"rule": "originator", "role": "a"}), Ok(())),
        (
            json!({"rule": "originator", "role": "c"}),
            Err(("wrong_originator", Some(0))),
        ),
        (json!({"rule": "immediate", "role": "other"}), Ok(())),
        // A path has no outcomes and no times.
        (
            json!({"rule": "require", "role": "other", "outcome": "ok"}),
            Err(("outcome_missing", Some(1))),
        ),
        (
            json!({"rule": "max_age", "role": "other", "seconds": 3600}),
            Err(("too_old", Some(1))),
        ),
    ] {
        assert_eq!(judged(&last, rule.clone()), expected, "{rule}");
    }
    assert_eq!(judged(&start, max_hops(1)), Ok(()));

    let record = serde_json::to_value(last.audit_record(&Ok(()), now())).unwrap();
    assert_eq!(
        (&record["act"], &record["acting"], &record["path"]),
        (
            &json!(id("agents/a")),
            &json!(id("agents/c")),
            &json!([id("agents/a"), id("agents/other")])
        )
    );

    // Where evidence knows the first agent by another name, both are judged and recorded.
    let other_name = first(&world, Some(outside("agents/other")));
    let last = world
        .replace(&other_name, &to(outside("agents/c")))
        .unwrap();
    let forbid = |role: &str| judged(&last, json!({"rule": "forbid", "role": role}));
    assert_eq!(forbid("a"), Err(("forbidden_role", Some(0))));
    assert_eq!(forbid("other"), Err(("forbidden_role", Some(1))));
    assert_eq!(
        last.path(),
        [id("agents/a"), id("agents/other"), id("agents/c")]
    );
}

/// Covers: AGENTIC-CTX-I-7
#[test]
fn a_token_is_for_one_invocation() {
    let world = World::new();
    let types = DetailTypes::new([DetailType::new("tool")]);
    let endpoint =
        |location: &str| json!([{"type": "tool", "actions": ["call"], "locations": [location]}]);
    let mut wanted = request();
    let mut context = AgenticContext::new();
    context.authorization_details = Some(endpoint("https://tools.example.org/bill"));
    wanted.agentic_context = Some(context);
    let token = world.issue(&wanted);
    assert_eq!(
        (token.trust_domain(), token.expires() - token.issued_at()),
        (DOMAIN, 300)
    );
    let tool = Requirements::new(scope("pay")).with_detail_types(types.clone());
    for (location, good) in [
        ("https://tools.example.org/bill", true),
        ("https://tools.example.org/refund", false),
        ("https://tools.example.org/bill/all", false),
    ] {
        let detail = types.grant(&endpoint(location)).unwrap();
        let call = Call::new().with_detail(&detail.as_slice()[0]);
        let expected = if good {
            Ok(())
        } else {
            Err(Error::DetailNotGranted)
        };
        assert_eq!(tool.check(&token, &call, now()), expected, "{location}");
    }
    assert_eq!(
        tool.check(&token, &Call::new(), now()),
        Err(Error::DetailNotGranted)
    );
}
