use serde_json::json;

use super::*;
use crate::algorithm::Algorithm;
use crate::jws::{ProtectedHeader, UnverifiedJws, sign};
use crate::provider::ring;
use crate::sign::SigningKey;
use crate::{Algorithms, error::Fault};

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn cache() -> KeySetCache {
    KeySetCache::new(
        ring::provider(),
        "https://as.example",
        "https://as.example/jwks",
    )
    .unwrap()
}

fn key(kid: &str) -> SigningKey {
    SigningKey::generate(&ring::provider(), Algorithm::Es256)
        .unwrap()
        .with_kid(kid)
}

fn set(keys: &[&SigningKey]) -> String {
    let keys: Vec<_> = keys.iter().map(|key| key.public_jwk()).collect();
    json!({ "keys": keys }).to_string()
}

fn answer(body: &str) -> Fetched<'_> {
    Fetched {
        body: body.as_bytes(),
        content_type: "application/jwk-set+json",
        cache_control: "",
    }
}

fn verify(cache: &KeySetCache, key: &SigningKey, now: u64) -> Result<(), Error> {
    let token = sign(key, &ProtectedHeader::new("JWT"), b"{}").unwrap();
    UnverifiedJws::parse(&token)
        .unwrap()
        .verify(&cache.keys(at(now))?, Algorithms::ALL)
        .map(|_| ())
}

/// Covers: JWKA-policy-6, JWKA-7517.9.1-1
#[test]
fn a_key_that_was_removed_verifies_until_the_next_refresh() {
    let (cache, old, new) = (cache(), key("old"), key("new"));
    assert_eq!(cache.keys(at(0)).unwrap_err(), Error::NoKeys);
    let ticket = cache.begin(Reason::Scheduled, at(0)).unwrap();
    cache
        .complete(ticket, &answer(&set(&[&old])), at(1))
        .unwrap();
    verify(&cache, &old, 2).unwrap();
    let error = verify(&cache, &new, 2).unwrap_err();
    assert!(error.refresh_may_help());
    let ticket = cache.begin(Reason::UnknownKey, at(61)).unwrap();
    cache
        .complete(ticket, &answer(&set(&[&new])), at(62))
        .unwrap();
    verify(&cache, &new, 63).unwrap();
    assert_eq!(verify(&cache, &old, 63).unwrap_err(), Error::UnknownKey);
}

/// Covers: JWKA-policy-4, JWKA-A12
#[test]
fn a_bad_answer_changes_nothing_and_is_counted() {
    let (cache, key) = (cache(), key("a"));
    let ticket = cache.begin(Reason::Scheduled, at(0)).unwrap();
    cache
        .complete(ticket, &answer(&set(&[&key])), at(0))
        .unwrap();
    let twice = set(&[&key, &key]);
    let bad = [
        (answer("<html>"), "invalid_json"),
        (
            Fetched {
                content_type: "text/html",
                ..answer(&twice)
            },
            "wrong_media_type",
        ),
        (answer(&twice), "duplicate_kid"),
        (answer("{\"keys\":[]}"), "no_keys"),
        (answer("{}"), "invalid_key"),
    ];
    for (round, (bad, code)) in bad.into_iter().enumerate() {
        let now = 1000 * (u64::try_from(round).unwrap() + 1);
        let ticket = cache.begin(Reason::Scheduled, at(now)).unwrap();
        assert_eq!(
            cache.complete(ticket, &bad, at(now)).unwrap_err().code(),
            code
        );
        verify(&cache, &key, now).unwrap();
        assert_eq!(cache.failures(), u64::try_from(round).unwrap() + 1);
    }
    // Not for ever: keys that nobody could confirm for a day are no keys.
    verify(&cache, &key, 86_700).unwrap();
    let error = verify(&cache, &key, 86_701).unwrap_err();
    assert_eq!((error.code(), error.fault()), ("no_keys", Fault::Transient));
    assert!(error.refresh_may_help());
}

/// Covers: JWKA-policy-5, JWKA-A13
#[test]
fn a_thousand_unknown_keys_cause_one_fetch() {
    let (cache, key) = (cache(), key("a"));
    let ticket = cache.begin(Reason::Scheduled, at(0)).unwrap();
    cache
        .complete(ticket, &answer(&set(&[&key])), at(0))
        .unwrap();
    let begun = |now| {
        (0..1000)
            .filter_map(|_| cache.begin(Reason::UnknownKey, at(now)))
            .collect::<Vec<_>>()
    };
    assert!(begun(59).is_empty());
    let tickets = begun(60);
    assert_eq!(tickets.len(), 1);
    // While it is under way, and after it failed, nobody else starts one.
    assert!(begun(61).is_empty());
    for ticket in tickets {
        cache.fail(ticket, at(62));
    }
    assert!(begun(119).is_empty());
    // A fetch of which nothing is heard does not block for ever.
    let lost = begun(120);
    assert_eq!(lost.len(), 1);
    assert!(begun(179).is_empty());
    assert_eq!(begun(180).len(), 1);
}

/// However long an issuer lets its set be cached: fetches may fail for a day.
///
/// Covers: JWKA-policy-7
#[test]
fn keys_outlive_the_refresh_that_is_due() {
    let (cache, key) = (cache(), key("a"));
    let body = set(&[&key]);
    let answer = Fetched {
        cache_control: "max-age=604800",
        ..answer(&body)
    };
    let ticket = cache.begin(Reason::Scheduled, at(0)).unwrap();
    cache.complete(ticket, &answer, at(0)).unwrap();
    let ticket = cache.begin(Reason::Scheduled, at(86_400)).unwrap();
    verify(&cache, &key, 86_402).unwrap();
    cache.fail(ticket, at(86_430));
    assert!(cache.begin(Reason::Scheduled, at(86_489)).is_none());
    assert!(cache.begin(Reason::Scheduled, at(86_490)).is_some());
    verify(&cache, &key, 2 * 86_400).unwrap();
    assert_eq!(cache.keys(at(2 * 86_400 + 1)).unwrap_err(), Error::NoKeys);
}

/// A clock that was ahead when the set was fetched.
#[test]
fn a_clock_that_is_set_back_freezes_nothing() {
    let (cache, old, new) = (cache(), key("old"), key("new"));
    let ticket = cache.begin(Reason::Scheduled, at(1_000_000)).unwrap();
    let fetched = at(1_000_000);
    cache
        .complete(ticket, &answer(&set(&[&old])), fetched)
        .unwrap();
    // Another thread's clock may be a little behind.
    for reason in [Reason::Scheduled, Reason::UnknownKey] {
        assert!(cache.begin(reason, at(999_941)).is_none());
    }
    let ticket = cache.begin(Reason::Scheduled, at(1000)).unwrap();
    assert!(cache.begin(Reason::UnknownKey, at(1001)).is_none());
    cache.fail(ticket, at(1001));
    verify(&cache, &old, 1000 + 86_400).unwrap();
    let end = at(1000 + 86_401);
    assert_eq!(cache.keys(end).unwrap_err(), Error::NoKeys);
    let ticket = cache.begin(Reason::UnknownKey, at(1060)).unwrap();
    cache
        .complete(ticket, &answer(&set(&[&new])), at(1061))
        .unwrap();
    verify(&cache, &new, 1062).unwrap();
}

/// Only the last fetch that began says whether one is under way, for as long as one may take.
///
/// Covers: JWKA-policy-5
#[test]
fn a_fetch_that_is_given_up_ends_no_other() {
    let options = CacheOptions {
        fetch_timeout: Duration::from_secs(100),
        ..CacheOptions::default()
    };
    let (issuer, url) = ("https://as.example", "https://as.example/jwks");
    let cache = KeySetCache::with_options(ring::provider(), issuer, url, options).unwrap();
    let slow = cache.begin(Reason::Scheduled, at(0)).unwrap();
    assert!(cache.begin(Reason::Scheduled, at(99)).is_none());
    let _other = cache.begin(Reason::Scheduled, at(100)).unwrap();
    cache.fail(slow, at(101));
    assert!(cache.begin(Reason::UnknownKey, at(199)).is_none());
    assert!(cache.begin(Reason::UnknownKey, at(200)).is_some());
}

/// Covers: JWKA-A12
#[test]
fn a_late_answer_does_not_overwrite_a_newer_one() {
    let (cache, old, new) = (cache(), key("old"), key("new"));
    let slow = cache.begin(Reason::Scheduled, at(0)).unwrap();
    let fast = cache.begin(Reason::Scheduled, at(60)).unwrap();
    cache
        .complete(fast, &answer(&set(&[&new])), at(61))
        .unwrap();
    cache
        .complete(slow, &answer(&set(&[&old])), at(62))
        .unwrap();
    verify(&cache, &new, 63).unwrap();
    assert_eq!(verify(&cache, &old, 63).unwrap_err(), Error::UnknownKey);
}

/// Covers: JWKA-policy-7, JWKA-7517.8.5-1
#[test]
fn max_age_counts_within_bounds() {
    let key = key("a");
    for (cache_control, due) in [
        ("max-age=600", 600),
        ("public, Max-Age=\"600\"", 600),
        ("max-age=0", 60),
        ("no-store", 60),
        ("max-age=600, no-cache", 60),
        ("max-age=1000000000", 86_400),
        ("max-age=99999999999999999999999", 86_400),
        ("max-age=-1", 300),
        ("s-maxage=7", 300),
        ("", 300),
    ] {
        let cache = cache();
        let ticket = cache.begin(Reason::Scheduled, at(0)).unwrap();
        let body = set(&[&key]);
        let answer = Fetched {
            cache_control,
            content_type: "Application/JSON; charset=utf-8",
            ..answer(&body)
        };
        cache.complete(ticket, &answer, at(0)).unwrap();
        let begin = |now| cache.begin(Reason::Scheduled, at(now)).is_some();
        assert!(!begin(due - 1), "{cache_control}");
        assert!(begin(due), "{cache_control}");
    }
}

/// Covers: JWKA-A12
#[test]
fn only_https_is_fetched() {
    for url in [
        "http://as.example/jwks",
        "https://",
        "https:///jwks",
        "file:///jwks",
        "",
    ] {
        let error = KeySetCache::new(ring::provider(), "https://as.example", url).unwrap_err();
        assert_eq!(error.code(), "invalid_option");
    }
}
