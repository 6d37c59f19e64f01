//! From a key to its WIT and its end: who holds what, what an issuer remembers, and what a server demands.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

mod common;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use common::*;
use http::{HeaderMap, HeaderName, Uri};
use jose_x509::jws::UnverifiedJws;
use jose_x509::sign::SignFuture;
use jose_x509::x509::TrustAnchors as X509Roots;
use jose_x509::{Algorithm, AsyncSigner, Jwk, MemoryReplayGuard, Signer, SigningKey};
use serde_json::{Value, json};
use wimse::httpsig::{Content, MessageSigner, RequestVerifier, ResponseSigner, ResponseVerifier};
use wimse::mtls::ClientVerifier;
use wimse::wit::{HeldWit, IssuanceLedger, PendingKey};
use wimse::{
    Evidence, MigrationPolicy, PeerPolicy, Presented, TrustAnchors, WitAnchors, WitIssuer,
    WitRequest, WitVerifier, WorkloadIdentifier, WptBuilder, WptVerifier,
};

const TARGET: &str = "https://api.example.com/refunds";

fn name(text: &str) -> WorkloadIdentifier {
    WorkloadIdentifier::parse(text).unwrap()
}

fn pending() -> PendingKey {
    PendingKey::generate(&PROVIDER, Algorithm::Es256).unwrap()
}

fn issued(issuer: &SigningKey, name: &WorkloadIdentifier, key: &Jwk) -> String {
    let issuer = WitIssuer::new(issuer.clone(), ORIGIN).unwrap();
    let request = WitRequest {
        subject: name,
        key,
        id: None,
    };
    issuer.issue(&request, at(NOW)).unwrap()
}

fn held(issuer: &SigningKey) -> HeldWit {
    let key = pending();
    let wit = issued(issuer, &subject(), &key.public_jwk());
    key.accept(wit, &subject(), at(NOW)).unwrap()
}

fn accepted(issuer: &SigningKey, headers: &HeaderMap) -> Result<(), wimse::Error> {
    let verifier =
        WptVerifier::new(WitVerifier::new()).with_authority("https://api.example.com")?;
    let replay = MemoryReplayGuard::new(10);
    let target: Uri = TARGET.parse().unwrap();
    let caller = verifier.verify(
        headers,
        &target,
        &anchors(ORIGIN, &[issuer]),
        &replay,
        at(NOW),
    )?;
    assert_eq!(caller.identifier(), &subject());
    Ok(())
}

/// A key is made by its holder, joined with the one WIT that is for it, and serves for nothing else.
///
/// Covers: WIMSE-WIT-9.4-1, WIMSE-WPT-3.2-1, WIMSE-WPT-3.2-3, WIMSE-MTLS-5-10
#[test]
fn a_key_belongs_to_one_wit() {
    let issuer = key("i");
    let first = pending();
    let shown = first.public_jwk();
    assert!(
        !json!(shown.to_value())
            .as_object()
            .unwrap()
            .contains_key("d")
    );
    let wit = issued(&issuer, &subject(), &shown);
    assert!(!format!("{first:?}").contains(shown.to_value()["x"].as_str().unwrap()));
    let one = first.accept(wit.clone(), &subject(), at(NOW)).unwrap();
    assert_eq!((one.wit(), one.identifier()), (wit.as_str(), &subject()));
    assert!(!format!("{one:?}").contains(one.wit()));
    let mut headers = HeaderMap::new();
    one.apply(&one.proof(TARGET), &mut headers, at(NOW))
        .unwrap();
    accepted(&issuer, &headers).unwrap();

    // Neither another's WIT nor another name is joined with a key, and a key proves nothing for another WIT.
    let other = name("wimse://example.com/other");
    let refused = |wit: String, who: &WorkloadIdentifier, key: PendingKey| {
        code(key.accept(wit, who, at(NOW)))
    };
    assert_eq!(refused(wit, &subject(), pending()), "not_for_holder");
    let second = pending();
    let for_other = issued(&issuer, &other, &second.public_jwk());
    assert_eq!(refused(for_other, &subject(), second), "not_for_holder");
    let second = pending();
    let late = issued(&issuer, &subject(), &second.public_jwk());
    let too_late = second.accept(late, &subject(), at(NOW + 3600));
    assert_eq!(code(too_late), "not_for_holder");
    assert_eq!(
        refused("a.b.c".to_owned(), &subject(), pending()),
        "invalid_base64"
    );
    let two = held(&issuer);
    assert_eq!(
        code(one.sign(&two.proof(TARGET), at(NOW))),
        "not_for_holder"
    );
}

/// A new WIT comes with a new key, half-way through the life of the old one; an issuer's lifetime is an hour.
///
/// Covers: WIMSE-WIT-9.4-3, WIMSE-MTLS-5-7
#[test]
fn renewal_makes_a_new_key() {
    let issuer = key("i");
    let first = held(&issuer);
    assert_eq!(first.expires(), at(NOW + 3600));
    assert_eq!(first.renew_at(), at(NOW + 1800));
    let confirmed = |held: &HeldWit| {
        let jws = UnverifiedJws::parse(held.wit()).unwrap();
        let claims: Value = serde_json::from_slice(jws.unverified_payload()).unwrap();
        claims["cnf"]["jwk"].clone()
    };
    let next = first.next_key().unwrap();
    let wit = issued(&issuer, &subject(), &next.public_jwk());
    let next = next.accept(wit, &subject(), at(NOW + 1800)).unwrap();
    assert_eq!(confirmed(&next)["alg"], confirmed(&first)["alg"]);
    assert_ne!(confirmed(&next)["x"], confirmed(&first)["x"]);
    assert_eq!(next.renew_at(), at(NOW + 2700));

    let short = WitIssuer::new(key("i"), ORIGIN).unwrap();
    let day = Duration::from_secs(24 * 3600);
    assert!(short.with_lifetime(day).is_ok());
    for lifetime in [Duration::ZERO, day + Duration::from_secs(1)] {
        let issuer = WitIssuer::new(key("i"), ORIGIN).unwrap();
        assert_eq!(code(issuer.with_lifetime(lifetime)), "issue_lifetime");
    }
}

/// Covers: WIMSE-WIT-ID-4.3-4, WIMSE-WIT-9.4-1, WIMSE-MTLS-5-9, WIMSE-MTLS-5-14
#[test]
fn names_and_keys_have_one_holder() {
    let issuer = WitIssuer::new(key("i"), ORIGIN).unwrap();
    let (shop, books) = (
        name("wimse://example.com/shop"),
        name("wimse://example.com/books"),
    );
    let mut ledger = IssuanceLedger::new(PROVIDER, 3)
        .with_naming_policy(|name| !name.path().contains('@') && name.path().len() < 64);
    let mut check =
        |expected: &str, act: &mut dyn FnMut(&mut IssuanceLedger) -> Result<(), wimse::Error>| {
            assert_eq!(code(act(&mut ledger)), expected);
        };
    // Names: one workload each, however many instances, and none that the policy refuses.
    check("valid", &mut |ledger| {
        ledger.register(shop.clone(), "shop", at(NOW))
    });
    check("valid", &mut |ledger| {
        ledger.register(shop.clone(), "shop", at(NOW))
    });
    check("name_taken", &mut |ledger| {
        ledger.register(shop.clone(), "another", at(NOW))
    });
    check("valid", &mut |ledger| {
        ledger.register(books.clone(), "books", at(NOW))
    });
    for secret in [
        "wimse://example.com/jane@example.com",
        &format!("wimse://example.com/{}", "x".repeat(64)),
    ] {
        check("name_refused", &mut |ledger| {
            ledger.register(name(secret), "x", at(NOW))
        });
    }

    // Keys: one instance of one workload each.
    let keys: Vec<Jwk> = (0..5).map(|_| pending().public_jwk()).collect();
    let issue =
        |ledger: &mut IssuanceLedger, who: &WorkloadIdentifier, key: usize, instance: &str, now| {
            let request = WitRequest {
                subject: who,
                key: &keys[key],
                id: None,
            };
            let wit = issuer.issue_recorded(&request, instance, ledger, at(now))?;
            assert!(wit.starts_with("ey"));
            Ok(())
        };
    check("valid", &mut |ledger| {
        issue(ledger, &shop, 0, "1", NOW + 10)
    });
    check("valid", &mut |ledger| issue(ledger, &shop, 0, "1", NOW));
    check("valid", &mut |ledger| issue(ledger, &shop, 1, "2", NOW));
    check("key_in_use", &mut |ledger| {
        issue(ledger, &shop, 0, "2", NOW)
    });
    check("key_in_use", &mut |ledger| {
        issue(ledger, &books, 0, "1", NOW)
    });
    let stranger = name("wimse://example.com/stranger");
    check("not_registered", &mut |ledger| {
        issue(ledger, &stranger, 2, "1", NOW)
    });

    // It is bounded, and forgets what has expired.
    check("valid", &mut |ledger| {
        issue(ledger, &books, 2, "1", NOW + 20)
    });
    check("ledger_full", &mut |ledger| {
        issue(ledger, &books, 3, "1", NOW + 30)
    });
    check("key_in_use", &mut |ledger| {
        issue(ledger, &books, 0, "1", NOW + 3610 + 300)
    });
    check("ledger_full", &mut |ledger| {
        issue(ledger, &books, 3, "1", NOW + 3600 + 300)
    });
    check("valid", &mut |ledger| {
        issue(ledger, &books, 3, "1", NOW + 3600 + 301)
    });
    check("valid", &mut |ledger| {
        issue(ledger, &books, 0, "1", NOW + 3610 + 301)
    });
    check("valid", &mut |ledger| {
        ledger.register(name("wimse://example.com/third"), "third", at(NOW))
    });
    check("ledger_full", &mut |ledger| {
        ledger.register(stranger.clone(), "x", at(NOW))
    });
    check("ledger_full", &mut |ledger| {
        ledger.remove(&shop);
        ledger.register(stranger.clone(), "x", at(NOW))
    });
    // The last WIT of the shop ends 3610 seconds later, and somebody may accept it for 300 more.
    check("valid", &mut |ledger| {
        ledger.register(stranger.clone(), "x", at(NOW + 3610 + 301))
    });
    check("not_registered", &mut |ledger| {
        issue(ledger, &shop, 4, "1", NOW)
    });
}

/// As long as any verifier accepts the WIT of its holder, a key gets no other name: its proofs would be those of both.
///
/// Covers: WIMSE-WIT-9.4-1, WIMSE-MTLS-5-9
#[test]
fn a_key_gets_no_other_name_while_a_verifier_accepts_the_old_one() {
    let signer = key("i");
    let issuer = WitIssuer::new(signer.clone(), ORIGIN).unwrap();
    let (shop, books) = (
        name("wimse://example.com/shop"),
        name("wimse://example.com/books"),
    );
    let mut ledger = IssuanceLedger::new(PROVIDER, 2);
    for (who, workload) in [(&shop, "shop"), (&books, "books")] {
        ledger.register(who.clone(), workload, at(NOW)).unwrap();
    }
    let key = pending().public_jwk();
    let mut issue = |subject: &WorkloadIdentifier, now: u64| {
        let request = WitRequest {
            subject,
            key: &key,
            id: None,
        };
        issuer.issue_recorded(&request, "1", &mut ledger, at(now))
    };
    let wit = issue(&shop, NOW).unwrap();
    let verifier = WitVerifier::new()
        .with_leeway(Duration::from_secs(300))
        .unwrap();
    let anchors = anchors(ORIGIN, &[&signer]);
    for now in [3599, 3600, 3660, 3899].map(|later| NOW + later) {
        assert_eq!(code(verifier.verify(&wit, &anchors, at(now))), "valid");
        assert_eq!(code(issue(&books, now)), "key_in_use", "{}", now - NOW);
    }
    let free = NOW + 3901;
    assert_eq!(code(verifier.verify(&wit, &anchors, at(free))), "expired");
    assert_eq!(code(issue(&books, free)), "valid");
}

/// Two issuers of a trust domain that share a ledger cannot give one name to two workloads, and a name gets a new
/// workload only when nothing is valid any more that the old one holds.
///
/// Covers: SPIFFE-ID-A9, SPIFFE-ID-A10
#[test]
fn a_name_outlives_its_workload() {
    let payments = name("spiffe://example.org/service/payments");
    let mut ledger = IssuanceLedger::new(PROVIDER, 8);
    let register = |ledger: &mut IssuanceLedger, workload: &str, now: u64| {
        code(ledger.register(payments.clone(), workload, at(now)))
    };
    assert_eq!(register(&mut ledger, "first", NOW), "valid");
    assert_eq!(register(&mut ledger, "second", NOW), "name_taken");
    let key = pending().public_jwk();
    let bound = ledger.bind(&key, &payments, "1", at(NOW + 3600), at(NOW));
    assert_eq!(code(bound), "valid");
    // A token without a key counts, too, and a shorter one shortens nothing.
    assert_eq!(code(ledger.note(&payments, at(NOW + 4000))), "valid");
    assert_eq!(code(ledger.note(&payments, at(NOW + 10))), "valid");

    ledger.remove(&payments);
    assert_eq!(
        code(ledger.note(&payments, at(NOW + 5000))),
        "not_registered"
    );
    let bound = ledger.bind(&key, &payments, "1", at(NOW + 5000), at(NOW));
    assert_eq!(code(bound), "not_registered");
    assert_eq!(register(&mut ledger, "second", NOW + 4300), "name_taken");
    // The same workload comes back whenever it likes.
    assert_eq!(register(&mut ledger, "first", NOW + 1), "valid");
    ledger.remove(&payments);
    assert_eq!(register(&mut ledger, "second", NOW + 4301), "valid");
    assert_eq!(register(&mut ledger, "first", NOW + 9000), "name_taken");
}

/// The keys come from the configured trust domain of the subject, whatever `iss` says: an https URL there is
/// carried, compared with the configured ones, and leads nowhere.
///
/// Covers: WIMSE-WIT-5.1.3-2
#[test]
fn iss_leads_nowhere() {
    struct Asked<'a>(BTreeMap<String, TrustAnchors>, &'a RefCell<Vec<String>>);
    impl WitAnchors for Asked<'_> {
        fn anchors(&self, identifier: &WorkloadIdentifier) -> Option<TrustAnchors> {
            self.1.borrow_mut().push(identifier.to_string());
            self.0.anchors(identifier)
        }
    }
    let (issuer, workload) = (key("i"), key("w"));
    let asked = RefCell::new(Vec::new());
    for (configured, iss, expected) in [
        (
            vec!["https://wit.example.com"],
            Some("https://wit.example.com"),
            "valid",
        ),
        (
            vec!["https://wit.example.com"],
            Some("https://evil.example"),
            "issuer_mismatch",
        ),
        (vec!["https://wit.example.com"], None, "valid"),
        (vec![], Some("https://evil.example"), "valid"),
    ] {
        let mut anchors = anchors(ORIGIN, &[&issuer]);
        let issuers: Vec<String> = configured.into_iter().map(str::to_owned).collect();
        anchors.get_mut(ORIGIN).unwrap().issuers = issuers.into();
        let mut claims = claims(&workload);
        if let Some(iss) = iss {
            claims["iss"] = iss.into();
        }
        let wit = wit(&issuer, "wit+jwt", &claims);
        let verified = WitVerifier::new().verify(&wit, &Asked(anchors, &asked), at(NOW));
        assert_eq!(code(verified), expected);
    }
    assert_eq!(*asked.borrow(), vec![subject().to_string(); 4]);
    // The issuer writes the URL if it is told to.
    let writes = WitIssuer::new(issuer, ORIGIN)
        .unwrap()
        .with_issuer("https://wit.example.com");
    let request = WitRequest {
        subject: &subject(),
        key: &workload.public_jwk(),
        id: None,
    };
    let wit = writes.issue(&request, at(NOW)).unwrap();
    let claims = UnverifiedJws::parse(&wit).unwrap();
    let claims: Value = serde_json::from_slice(claims.unverified_payload()).unwrap();
    assert_eq!(claims["iss"], "https://wit.example.com");
}

/// Proofs go to servers that TLS authenticates, unless somebody else sees to that.
///
/// Covers: WIMSE-WPT-3.1.1-1
#[test]
fn proofs_are_for_https() {
    let issuer = key("i");
    let held = held(&issuer);
    for target in [
        "https://api.example.com/x",
        "HTTPS://api.example.com/x",
        "https://h",
    ] {
        assert_eq!(
            code(held.sign(&held.proof(target), at(NOW))),
            "valid",
            "{target}"
        );
    }
    for target in [
        "http://api.example.com/x",
        "HTTP://api.example.com",
        "http://https://api.example.com",
        "httpsx://api.example.com",
        "https:/api.example.com",
        "ws://api.example.com",
        "/x",
        "",
    ] {
        let proof = held.proof(target);
        let refused = held.sign(&proof, at(NOW)).unwrap_err();
        assert_eq!(refused.code(), "insecure_target", "{target}");
        assert_eq!(refused.requirement(), Some("WIMSE-WPT-3.1.1-1"));
        let mut headers = HeaderMap::new();
        assert!(held.apply(&proof, &mut headers, at(NOW)).is_err());
        assert!(headers.is_empty());
        let elsewhere = proof.with_channel_secured_elsewhere();
        assert_eq!(code(held.sign(&elsewhere, at(NOW))), "valid", "{target}");
    }
}

/// Behind a middlebox the certificate is that of the hop; where the caller itself matters, the proof is demanded too.
///
/// Covers: WIMSE-MTLS-5-11
#[test]
fn evidence_of_the_caller() {
    let key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, "root");
    (params.not_before, params.not_after) = (
        rcgen::date_time_ymd(2027, 1, 1),
        rcgen::date_time_ymd(2027, 12, 1),
    );
    let root = params.self_signed(&key).unwrap().der().clone();
    let ca = rcgen::Issuer::new(params.clone(), key);
    let key = rcgen::KeyPair::generate().unwrap();
    params.is_ca = rcgen::IsCa::NoCa;
    params.key_usages = vec![rcgen::KeyUsagePurpose::DigitalSignature];
    let uri = "wimse://example.com/proxy".try_into().unwrap();
    params.subject_alt_names = vec![rcgen::SanType::URI(uri)];
    let leaf = params.signed_by(&key, &ca).unwrap().der().clone();
    let roots = BTreeMap::from([(ORIGIN.to_owned(), Arc::new(X509Roots::new([root])))]);
    let verifier = ClientVerifier::new(PROVIDER, [ORIGIN]).unwrap();
    let hop = verifier.verify(&[leaf], &roots, at(NOW)).unwrap();
    let (proxy, caller) = (name("wimse://example.com/proxy"), subject());

    let (tls, proof) = (Some(&hop), Some(&caller));
    let missing = |evidence| Err(wimse::Error::EvidenceMissing { evidence });
    for (demanded, tls, proof, expected) in [
        (Evidence::MutualTls, tls, None, Ok(&proxy)),
        (Evidence::MutualTls, tls, proof, Ok(&proxy)),
        (Evidence::MutualTls, None, proof, missing("certificate")),
        (Evidence::Proof, None, proof, Ok(&caller)),
        (Evidence::Proof, tls, proof, Ok(&caller)),
        (Evidence::Proof, tls, None, missing("proof")),
        (Evidence::MutualTlsAndProof, tls, proof, Ok(&caller)),
        (Evidence::MutualTlsAndProof, tls, None, missing("proof")),
        (
            Evidence::MutualTlsAndProof,
            None,
            proof,
            missing("certificate"),
        ),
        (
            Evidence::MutualTlsAndProof,
            None,
            None,
            missing("certificate"),
        ),
    ] {
        assert_eq!(demanded.caller(tls, proof), expected, "{demanded:?}");
    }
}

/// Covers: WIMSE-WIT-5.3-1
#[test]
fn migration_from_bearer_tokens() {
    let (old, new) = (
        name("wimse://example.com/old"),
        name("wimse://example.com/new"),
    );
    let policy = MigrationPolicy::new().with_bearer(old.clone());
    let choose = |who, presented| policy.choose(who, presented);
    assert_eq!(code(choose(&new, Presented::Bearer)), "bearer_not_accepted");
    assert_eq!(
        code(MigrationPolicy::new().choose(&old, Presented::Bearer)),
        "bearer_not_accepted"
    );
    for (who, presented) in [
        (&old, Presented::Bearer),
        (&old, Presented::ProvenWit),
        (&new, Presented::ProvenWit),
    ] {
        let choice = choose(who, presented).unwrap();
        assert_eq!(choice.presented(), presented);
        assert_eq!(code(choice.clone().confirm(&policy, who)), "valid");
        // Claimed to be one, authenticated as the other.
        let other = if *who == old { &new } else { &old };
        assert_eq!(code(choice.clone().confirm(&policy, other)), "other_caller");
        // The caller has migrated in between.
        let strict = MigrationPolicy::new();
        let expected = match presented {
            Presented::Bearer => "bearer_not_accepted",
            _ => "valid",
        };
        assert_eq!(code(choice.confirm(&strict, who)), expected);
    }
}

/// A key behind a network: it answers at the second asking.
struct Remote(SigningKey);

impl AsyncSigner for Remote {
    fn algorithm(&self) -> Algorithm {
        Signer::algorithm(&self.0)
    }

    fn kid(&self) -> Option<&str> {
        Signer::kid(&self.0)
    }

    fn sign<'a>(&'a self, message: &'a [u8]) -> SignFuture<'a> {
        let mut asked = false;
        Box::pin(std::future::poll_fn(move |_| {
            if asked {
                Poll::Ready(Signer::sign(&self.0, message))
            } else {
                asked = true;
                Poll::Pending
            }
        }))
    }
}

fn wait<T>(future: impl Future<Output = T> + Send) -> T {
    let mut future = pin!(future);
    let mut polls = 0;
    loop {
        match future
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(value) => {
                assert_eq!(polls, 1, "the signer was not asked");
                return value;
            }
            Poll::Pending => polls += 1,
        }
    }
}

/// What a key behind a network signs verifies like all else, in every place where one may stand.
#[test]
fn keys_behind_a_network() {
    let (issuer, workload, server) = (key("i"), key("w"), key("s"));
    let remote = WitIssuer::new(Remote(issuer.clone()), ORIGIN).unwrap();
    let issue = |who: &WorkloadIdentifier, key: &SigningKey| {
        let request = WitRequest {
            subject: who,
            key: &key.public_jwk(),
            id: None,
        };
        wait(remote.issue_async(&request, at(NOW))).unwrap()
    };
    let wit = issue(&subject(), &workload);
    let mut headers = HeaderMap::new();
    let proof = WptBuilder::new(&wit, TARGET);
    wait(proof.apply_async(&mut headers, &Remote(workload.clone()), &PROVIDER, at(NOW))).unwrap();
    accepted(&issuer, &headers).unwrap();
    let plain = WptBuilder::new(&wit, "http://api.example.com");
    let own = Remote(workload.clone());
    let mut future = pin!(plain.sign_async(&own, &PROVIDER, at(NOW)));
    let refused = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(
        refused,
        Poll::Ready(Err(wimse::Error::InsecureTarget))
    ));

    let trusted = anchors(ORIGIN, &[&issuer]);
    let client = MessageSigner::new_async(&wit, Remote(workload), PROVIDER).unwrap();
    let client = client.with_required_response_signature();
    let (mut request, ()) = http::Request::post(TARGET).body(()).unwrap().into_parts();
    let stale = HeaderName::from_static("signature");
    request.headers.insert(stale, "old=:AA==:".parse().unwrap());
    let sent = wait(client.sign_request_async(&mut request, b"{}", at(NOW))).unwrap();
    let verifier = RequestVerifier::new(WitVerifier::new())
        .with_authority("https://api.example.com")
        .unwrap();
    let replay = MemoryReplayGuard::new(10);
    let verified = verifier
        .verify(&request, b"{}", &trusted, &replay, at(NOW))
        .unwrap();

    let payments = name("wimse://example.com/api");
    let wit = issue(&payments, &server);
    let signer = MessageSigner::new_async(&wit, Remote(server), PROVIDER).unwrap();
    let signer = ResponseSigner::new(signer);
    let (mut response, ()) = http::Response::new(()).into_parts();
    let signed = signer.sign_async(&mut response, Content::Whole(b"done"), &verified, at(NOW));
    assert!(wait(signed).unwrap());
    let peers = BTreeMap::from([("api.example.com".to_owned(), PeerPolicy::Exact(payments))]);
    let replay = MemoryReplayGuard::new(10);
    let answer = ResponseVerifier::new(WitVerifier::new()).verify(
        &sent,
        &response,
        b"done",
        &peers,
        &trusted,
        &replay,
        at(NOW),
    );
    assert!(answer.unwrap().is_some());
    let streamed = signer.sign_async(&mut response, Content::Streamed, &verified, at(NOW));
    let mut streamed = pin!(streamed);
    let refused = streamed
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(refused, Poll::Ready(Err(_))));
}
