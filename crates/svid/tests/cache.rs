//! The cache returns what the verifier would return now, and nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub
)]

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Uri;
use jose_x509::jws::ProtectedHeader;
use jose_x509::{
    Algorithm, CryptoProvider, KeySet, MemoryReplayGuard, SigningKey, jwt, provider::ring,
};
use pki_types::{CertificateDer, UnixTime};
use proptest::prelude::*;
use serde_json::{Value, json};
use spiffe_bundle::{Bundle, BundleSet, JwtBundleSource, SharedBundleSet};
use spiffe_id::{SpiffeId, TrustDomain, TrustDomainRef};
use svid::cache::{CacheLimits, Cached};
use svid::jwt::{JwtSvidIssuer, JwtSvidVerifier};
use svid::wit::{WitSvidHolder, WitSvidIssuer, WitSvidVerifier};
use svid::x509::{CaProfile, CertificateAuthority, PeerRole, VerifyOptions, X509SvidVerifier};

const PROVIDER: CryptoProvider = ring::provider();
const DAY: Duration = Duration::from_secs(86_400);
const NOW: u64 = 1_800_000_000;
const ID: &str = "spiffe://a.test/agents/one";

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn td(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

fn id() -> SpiffeId {
    SpiffeId::parse(ID).unwrap()
}

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid(kid)
}

/// As a document has it, in which one `kid` may name a key of each use.
fn bundle(name: &str, sequence: u64, jwt: &[&SigningKey], wit: &[&SigningKey]) -> Bundle {
    let entry = |key: &&SigningKey, usage: &str| key.public_jwk().with_use(usage).to_value();
    let jwt = jwt.iter().map(|key| entry(key, "jwt-svid"));
    let wit = wit.iter().map(|key| entry(key, "wit-svid"));
    let keys: Vec<Value> = jwt.chain(wit).collect();
    let document = json!({"spiffe_sequence": sequence, "keys": keys}).to_string();
    Bundle::parse(&PROVIDER, td(name), document.as_bytes()).unwrap()
}

fn set(bundles: impl IntoIterator<Item = Bundle>) -> BundleSet {
    let mut set = BundleSet::new();
    for bundle in bundles {
        set.install(bundle).unwrap();
    }
    set
}

fn token(key: &SigningKey, claims: &Value) -> String {
    jwt::sign(key, &ProtectedHeader::new("JWT"), claims).unwrap()
}

fn claims() -> Value {
    json!({"sub": ID, "aud": "ledger", "exp": NOW + 300})
}

fn cached(limits: CacheLimits) -> Cached<JwtSvidVerifier> {
    Cached::new(JwtSvidVerifier::new("ledger").unwrap(), PROVIDER, limits)
}

fn code<T>(result: Result<T, svid::Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

/// To the second, the cache accepts what the verifier accepts, with its leeway and not beyond.
#[test]
fn ends_with_the_credential() {
    let k = key("k");
    let home = set([bundle("a.test", 1, &[&k], &[])]);
    let token = token(&k, &claims());
    let cache = cached(CacheLimits::default());
    let last = NOW + 300 + 29;
    assert_eq!(code(cache.verify(&token, &home, at(NOW))), "valid");
    assert_eq!(
        (code(cache.verify(&token, &home, at(last))), cache.hits()),
        ("valid", 1)
    );
    assert_eq!(code(cache.verify(&token, &home, at(last + 1))), "expired");
    assert_eq!(cache.len(), 0, "what has ended is gone");
    // A clock that was set back proves nothing about an earlier time, so that is looked at anew.
    let mut later = claims();
    later["nbf"] = NOW.into();
    let token = self::token(&k, &later);
    assert_eq!(code(cache.verify(&token, &home, at(NOW))), "valid");
    let hits = cache.hits();
    assert_eq!(
        code(cache.verify(&token, &home, at(NOW - 60))),
        "not_yet_valid"
    );
    assert_eq!(cache.hits(), hits);
    // Another leeway is another verifier, with a cache of its own.
    let strict = JwtSvidVerifier::new("ledger")
        .unwrap()
        .with_leeway(Duration::ZERO);
    let strict = Cached::new(strict.unwrap(), PROVIDER, CacheLimits::default());
    assert_eq!(code(strict.verify(&token, &home, at(NOW + 299))), "valid");
    assert_eq!(code(strict.verify(&token, &home, at(NOW + 300))), "expired");
}

/// Whatever replaces the bundle ends what it verified, and leaves other trust domains alone. A key under the `kid` of
/// its predecessor is another key.
///
/// Covers: WIT-SVID-A9, JWT-SVID-A20
#[test]
fn ends_with_the_bundle() {
    let (old, new, other) = (key("k"), key("k"), key("k"));
    let shared = SharedBundleSet::new(set([
        bundle("a.test", 1, &[&old], &[&old]),
        bundle("b.test", 1, &[&other], &[]),
    ]));
    let token_a = token(&old, &claims());
    let mut of_b = claims();
    of_b["sub"] = "spiffe://b.test/x".into();
    let token_b = token(&other, &of_b);
    let cache = cached(CacheLimits::default());
    let verify = |token: &str| code(cache.verify(token, &shared, at(NOW)));
    for token in [&token_a, &token_b, &token_a, &token_b] {
        assert_eq!(verify(token), "valid");
    }
    assert_eq!((cache.hits(), cache.len()), (2, 2));

    shared
        .install(bundle("a.test", 2, &[&new], &[&new]))
        .unwrap();
    assert_eq!(verify(&token_a), "invalid_signature");
    assert_eq!(
        (verify(&token_b), cache.hits(), cache.len()),
        ("valid", 3, 1)
    );
    assert_eq!(verify(&token(&new, &claims())), "valid");
    shared.install(bundle("a.test", 3, &[], &[])).unwrap();
    assert_eq!(verify(&token(&new, &claims())), "no_authorities");
    shared
        .update(|set| {
            set.remove(&td("b.test"));
            Ok::<_, ()>(())
        })
        .unwrap();
    assert_eq!(verify(&token_b), "no_bundle");

    // The same for WIT-SVIDs, whose proof holds all the same.
    let shared = SharedBundleSet::new(set([bundle("a.test", 1, &[], &[&old])]));
    let own = key("own");
    let wit = WitSvidIssuer::new(old, td("a.test"))
        .unwrap()
        .issue(&id(), &own.public_jwk(), None, at(NOW))
        .unwrap();
    let verifier = WitSvidVerifier::new("https://api.test").unwrap();
    let cache = Cached::new(verifier, PROVIDER, CacheLimits::default());
    let holder = WitSvidHolder::new(wit, own).unwrap();
    let target = Uri::from_static("https://api.test/x");
    let replay = MemoryReplayGuard::new(100);
    let send = || {
        let mut headers = http::HeaderMap::new();
        holder.attach(&mut headers, &target, at(NOW)).unwrap();
        code(cache.verify(&headers, &target, &shared, &replay, at(NOW)))
    };
    assert_eq!((send(), send(), cache.hits()), ("valid", "valid", 1));
    shared.install(bundle("a.test", 2, &[], &[&new])).unwrap();
    assert_eq!(send(), "invalid_signature");
    cache.purge(&shared, at(NOW));
    assert!(cache.is_empty());
}

/// A proof is verified each time, whether its WIT-SVID is remembered or not.
///
/// Covers: WIT-SVID-5-1, WIT-SVID-A1
#[test]
fn proofs_are_not_remembered() {
    let (issuing, own, thief) = (key("i"), key("own"), key("thief"));
    let home = set([bundle("a.test", 1, &[], &[&issuing])]);
    let wit = WitSvidIssuer::new(issuing, td("a.test"))
        .unwrap()
        .issue(&id(), &own.public_jwk(), None, at(NOW))
        .unwrap();
    let verifier = WitSvidVerifier::new("https://api.test").unwrap();
    let cache = Cached::new(verifier, PROVIDER, CacheLimits::default());
    let target = Uri::from_static("https://api.test/x");
    let replay = MemoryReplayGuard::new(100);
    let send =
        |headers: &http::HeaderMap| code(cache.verify(headers, &target, &home, &replay, at(NOW)));
    let mut good = http::HeaderMap::new();
    let holder = WitSvidHolder::new(wit.clone(), own).unwrap();
    holder.attach(&mut good, &target, at(NOW)).unwrap();
    assert_eq!(send(&good), "valid");
    assert_eq!(send(&good), "replayed");
    let mut stolen = http::HeaderMap::new();
    wimse::WptBuilder::new(&wit, "https://api.test/x")
        .apply(&mut stolen, &thief, &PROVIDER, at(NOW))
        .unwrap();
    assert_eq!(send(&stolen), "invalid_signature");
    let mut bare = good.clone();
    bare.remove(http::header::AUTHORIZATION);
    assert_eq!(send(&bare), "not_wpt_scheme");
    assert_eq!((cache.hits(), cache.len()), (2, 1));
}

/// What is forgotten is verified again, also if its first verification was still under way.
#[test]
fn ends_by_decision() {
    /// Runs something between the beginning and the end of a verification.
    struct Meanwhile<'a>(&'a BundleSet, Mutex<Option<Box<dyn FnOnce() + 'a>>>);
    impl JwtBundleSource for Meanwhile<'_> {
        fn jwt_authorities(&self, name: TrustDomainRef<'_>) -> Option<Arc<KeySet>> {
            if let Some(act) = self.1.lock().unwrap().take() {
                act();
            }
            self.0.jwt_authorities(name)
        }
    }
    let k = key("k");
    let home = set([bundle("a.test", 1, &[&k], &[])]);
    let one = token(&k, &claims());
    let mut claims_of_two = claims();
    claims_of_two["sub"] = "spiffe://a.test/agents/two".into();
    let two = token(&k, &claims_of_two);
    let cache = cached(CacheLimits::default());
    let fill = || {
        for token in [&one, &two] {
            cache.verify(token, &home, at(NOW)).unwrap();
        }
        assert_eq!(cache.len(), 2);
    };
    fill();
    cache.forget(&one);
    assert_eq!(cache.len(), 1);
    fill();
    cache.forget_workload(&id());
    assert_eq!(cache.len(), 1);
    let hits = cache.hits();
    cache.verify(&two, &home, at(NOW)).unwrap();
    assert_eq!(cache.hits(), hits + 1, "the other workload stays");
    fill();
    cache.clear();
    assert!(cache.is_empty());

    let withdrawals: [&dyn Fn(); 4] = [
        &|| cache.clear(),
        &|| cache.forget(&one),
        &|| cache.forget_workload(&id()),
        &|| cache.purge(&home, at(NOW)),
    ];
    for withdraw in withdrawals {
        let source = Meanwhile(&home, Mutex::new(Some(Box::new(withdraw))));
        assert_eq!(code(cache.verify(&one, &source, at(NOW))), "valid");
        assert!(
            cache.is_empty(),
            "it was verified before, and not to be remembered after"
        );
    }
}

/// A source of bundles may use the cache that asks it, and may be as slow as it likes: no lock is held. A deadlock fails
/// by time.
#[test]
fn bundles_may_ask_the_cache() {
    struct Asking(BundleSet, Arc<Cached<JwtSvidVerifier>>, String);
    impl JwtBundleSource for Asking {
        fn jwt_authorities(&self, name: TrustDomainRef<'_>) -> Option<Arc<KeySet>> {
            self.1.forget(&self.2);
            assert_eq!(self.1.len(), 0);
            self.0.jwt_authorities(name)
        }
    }
    let k = key("k");
    let (one, home) = (token(&k, &claims()), set([bundle("a.test", 1, &[&k], &[])]));
    let cache = Arc::new(cached(CacheLimits::default()));
    cache.verify(&one, &home, at(NOW)).unwrap();
    let source = Asking(home, Arc::clone(&cache), one);
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        cache.purge(&source, at(NOW));
        done.send(cache.len()).unwrap();
    });
    assert_eq!(wait.recv_timeout(Duration::from_secs(20)), Ok(0));
}

/// Only what was verified takes room, never more than was granted, and who is in use stays.
#[test]
fn floods() {
    const ENTRIES: usize = 64;
    let k = key("k");
    let home = set([bundle("a.test", 1, &[&k], &[])]);
    let cache = cached(CacheLimits::new(ENTRIES, 1024));
    let hot = token(&k, &claims());
    cache.verify(&hot, &home, at(NOW)).unwrap();

    // Garbage, and good tokens in bad hands.
    let (signed, _) = hot.rsplit_once('.').unwrap();
    for n in 0..200_u8 {
        let forged = format!("{signed}.{}", jose_x509::base64url::encode(&[n; 64]));
        assert_ne!(code(cache.verify(&forged, &home, at(NOW))), "valid");
        assert_ne!(code(cache.verify(&format!("{n}"), &home, at(NOW))), "valid");
    }
    assert_eq!(cache.len(), 1);

    // Many good tokens, each used once, beside one that is used all the time.
    let hits = cache.hits();
    for n in 0..1500_u64 {
        let mut one = claims();
        one["jti"] = n.to_string().into();
        cache.verify(&token(&k, &one), &home, at(NOW)).unwrap();
        cache.verify(&hot, &home, at(NOW)).unwrap();
        assert!(cache.len() <= ENTRIES);
        assert_eq!(cache.hits(), hits + n + 1, "after {n}");
    }
    // A public leaf with other junk each time.
    let authority = CertificateAuthority::self_signed(&td("a.test"), key("r"), DAY, at(NOW));
    let authority = authority.unwrap();
    let published = Bundle::builder(&PROVIDER, td("a.test"))
        .with_x509_authority(authority.certificate())
        .build();
    let anchors = set([published.unwrap()]);
    let public = key("l");
    let leaf = authority.issue_leaf(&id(), public.public_key(), &[], DAY, at(NOW));
    let leaf = leaf.unwrap();
    let chains = Cached::new(
        X509SvidVerifier::new(&PROVIDER, VerifyOptions::new(PeerRole::Client)),
        PROVIDER,
        CacheLimits::new(ENTRIES, 8192),
    );
    for n in 0..200_u32 {
        let junk = CertificateDer::from(n.to_be_bytes().to_vec());
        let shown = [leaf.clone(), junk];
        assert_eq!(code(chains.verify(&shown, &anchors, at(NOW))), "valid");
    }
    assert!(chains.is_empty());

    // What is longer than allowed is verified each time.
    let mut long = claims();
    long["pad"] = "x".repeat(1024).into();
    let long = token(&k, &long);
    let (hits, len) = (cache.hits(), cache.len());
    for _ in 0..2 {
        assert_eq!(code(cache.verify(&long, &home, at(NOW))), "valid");
    }
    assert_eq!((cache.hits(), cache.len()), (hits, len));
    // A cache without room is a verifier.
    let none = cached(CacheLimits::new(0, 1024));
    for _ in 0..2 {
        assert_eq!(code(none.verify(&hot, &home, at(NOW))), "valid");
    }
    assert_eq!((none.hits(), none.len()), (0, 0));
}

/// Threads that verify, rotate and forget at the same time.
#[test]
fn many_threads() {
    let (a, b) = (key("k"), key("k"));
    let tokens: Vec<(String, String)> = (0..8)
        .map(|n| {
            let mut one = claims();
            one["jti"] = n.to_string().into();
            (token(&a, &one), token(&b, &one))
        })
        .collect();
    let shared = SharedBundleSet::new(set([bundle("a.test", 1, &[&a], &[])]));
    let cache = cached(CacheLimits::new(4, 1024));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    for (of_a, of_b) in &tokens {
                        // One snapshot for both: exactly one of the two keys is in it.
                        let bundles = shared.snapshot();
                        let one = cache.verify(of_a, &*bundles, at(NOW)).is_ok();
                        let two = cache.verify(of_b, &*bundles, at(NOW)).is_ok();
                        assert!(one != two, "a key that is not in the bundle");
                    }
                }
            });
        }
        for sequence in 2..40 {
            let key = if sequence % 2 == 0 { &b } else { &a };
            shared
                .install(bundle("a.test", sequence, &[key], &[]))
                .unwrap();
            cache.forget_workload(&id());
            assert!(cache.len() <= 4);
            std::thread::sleep(Duration::from_millis(1));
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// A chain is remembered as it was presented: certificate by certificate, in its order.
#[test]
fn chains() {
    let hour = Duration::from_secs(3600);
    let authority = |key: SigningKey| {
        CertificateAuthority::self_signed(&td("a.test"), key, 24 * hour, at(NOW)).unwrap()
    };
    let (ca, next) = (authority(key("r")), authority(key("s")));
    let published = |sequence, ca: &CertificateAuthority| {
        Bundle::builder(&PROVIDER, td("a.test"))
            .with_sequence(sequence)
            .with_x509_authority(ca.certificate())
            .build()
            .unwrap()
    };
    let shared = SharedBundleSet::new(set([published(1, &ca)]));
    let leaf = |id: &SpiffeId| {
        ca.issue_leaf(id, key("l").public_key(), &[], hour, at(NOW))
            .unwrap()
    };
    let (one, two) = (
        leaf(&id()),
        leaf(&SpiffeId::parse("spiffe://a.test/two").unwrap()),
    );
    let client = VerifyOptions::new(PeerRole::Client);
    let cache = Cached::new(
        X509SvidVerifier::new(&PROVIDER, client),
        PROVIDER,
        CacheLimits::default(),
    );
    let verify = |chain: &[CertificateDer<'_>], now: u64| cache.verify(chain, &shared, at(now));
    let root = ca.certificate().clone();
    assert_eq!(
        verify(std::slice::from_ref(&one), NOW)
            .unwrap()
            .unproven_spiffe_id(),
        &id()
    );
    assert_eq!(
        verify(std::slice::from_ref(&one), NOW + 3600)
            .unwrap()
            .unproven_spiffe_id(),
        &id()
    );
    assert_eq!((cache.hits(), cache.len()), (1, 1));
    // The same certificates in another order, or with another one, are another credential, and what is not the path
    // alone is none to be remembered.
    for _ in 0..2 {
        assert_eq!(code(verify(&[one.clone(), root.clone()], NOW)), "valid");
        assert_eq!(
            code(verify(&[root.clone(), one.clone()], NOW)),
            "spiffe_id_without_path"
        );
        let identity = verify(&[two.clone(), one.clone()], NOW).unwrap();
        assert_eq!(
            identity.unproven_spiffe_id().as_str(),
            "spiffe://a.test/two"
        );
    }
    assert_eq!((cache.hits(), cache.len()), (1, 1));
    let middle = key("m");
    let public = middle.public_key().clone();
    let profile = CaProfile::new(hour);
    let der = ca
        .issue_intermediate(&td("a.test"), &public, &profile, at(NOW))
        .unwrap();
    let from = CertificateAuthority::from_certificate;
    let middle = from(&PROVIDER, &td("a.test"), middle, &public, &der).unwrap();
    let below = middle
        .issue_leaf(&id(), key("l").public_key(), &[], hour, at(NOW))
        .unwrap();
    for _ in 0..2 {
        assert_eq!(code(verify(&[below.clone(), der.clone()], NOW)), "valid");
    }
    assert_eq!((cache.hits(), cache.len()), (2, 2));
    cache.forget(std::slice::from_ref(&one));
    assert_eq!(cache.len(), 1);
    assert_eq!(code(verify(std::slice::from_ref(&one), NOW)), "valid");
    // To the last second of the leaf.
    assert_eq!(
        code(verify(std::slice::from_ref(&one), NOW + 3601)),
        "certificate_expired"
    );
    assert_eq!(code(verify(std::slice::from_ref(&one), NOW)), "valid");
    shared.install(published(2, &next)).unwrap();
    assert_eq!(
        code(verify(std::slice::from_ref(&one), NOW)),
        "unknown_issuer"
    );
    cache.purge(&shared, at(NOW));
    assert!(cache.is_empty());
    assert!(!format!("{cache:?}").contains("key:"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happened before, the answer is that of the verifier.
    #[test]
    fn same_answer_as_the_verifier(steps in proptest::collection::vec((0_u8..6, 0_usize..4, 0_u64..400), 1..40)) {
        let keys = [key("k"), key("k")];
        let issuer = |key: &SigningKey| JwtSvidIssuer::new(key.clone(), td("a.test")).unwrap();
        let tokens: Vec<String> = (0..4_usize)
            .map(|n| {
                let lifetime = Duration::from_secs(if n < 2 { 60 } else { 200 });
                issuer(&keys[n % 2]).issue(&id(), "ledger", lifetime, at(NOW)).unwrap()
            })
            .collect();
        let mut home = set([bundle("a.test", 1, &[&keys[0]], &[])]);
        let cache = cached(CacheLimits::new(2, 1024));
        let plain = JwtSvidVerifier::new("ledger").unwrap();
        let mut sequence = 1;
        for (action, which, time) in steps {
            match action {
                0 => {
                    sequence += 1;
                    home.install(bundle("a.test", sequence, &[&keys[which % 2]], &[])).unwrap();
                }
                1 => cache.clear(),
                _ => {
                    let now = at(NOW + time);
                    let expected = code(plain.verify(&tokens[which], &home, now));
                    prop_assert_eq!(code(cache.verify(&tokens[which], &home, now)), expected);
                    prop_assert!(cache.len() <= 2);
                }
            }
        }
    }
}
