//! The federation of a trust domain with others, with answers and clocks that are made up.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::sync::Arc;
use std::time::Duration;

use jose_x509::jwk::Jwk;
use jose_x509::{Algorithm, CryptoProvider, SigningKey, provider::ring};
use pki_types::UnixTime;
use spiffe_bundle::federation::{
    Alert, BundleStore, EndpointProfile, Event, EventKind, Federation, MAX_TRUST_DEPTH,
    MemoryStore, RefreshPolicy, Relationship,
};
use spiffe_bundle::{
    Authority, Bundle, Error, Fault, Installed, JwtBundleSource, Rotation, SharedBundleSet,
    X509BundleSource,
};
use spiffe_id::{SpiffeId, TrustDomain};

const PROVIDER: CryptoProvider = ring::provider();

fn td(name: &str) -> TrustDomain {
    TrustDomain::parse(name).unwrap()
}

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.err().map_or("valid", |error| error.code())
}

fn key(kid: &str) -> Jwk {
    SigningKey::generate(&PROVIDER, Algorithm::Es256)
        .unwrap()
        .with_kid(kid)
        .public_jwk()
}

fn bundle(name: &str, sequence: u64, keys: &[&Jwk]) -> Bundle {
    let builder = Bundle::builder(&PROVIDER, td(name))
        .with_sequence(sequence)
        .with_refresh_hint(Duration::from_secs(60));
    keys.iter()
        .fold(builder, |builder, key| builder.with_jwt_authority(key))
        .build()
        .unwrap()
}

fn web(name: &str) -> Relationship {
    Relationship::https_web(td(name), &format!("https://{name}/bundle.json")).unwrap()
}

/// The bundle of `name`, from a server of `endpoint`'s trust domain.
fn spiffe(name: &str, endpoint: &str) -> Relationship {
    let id = SpiffeId::parse(&format!("spiffe://{endpoint}/bundle-server")).unwrap();
    Relationship::https_spiffe(td(name), &format!("https://{name}/bundle.json"), id).unwrap()
}

fn home() -> (Federation, Arc<SharedBundleSet>) {
    let bundles = Arc::new(SharedBundleSet::default());
    let federation = Federation::new(PROVIDER, td("home.test"), Arc::clone(&bundles));
    (federation, bundles)
}

/// One whole fetch, with this result.
fn fetch(
    federation: &mut Federation,
    name: &str,
    now: u64,
    result: Result<Bundle, Error>,
) -> Event {
    let plan = federation.begin(&td(name), at(now)).unwrap();
    let accepted = federation.accept(plan.attempt(), result, at(now), 0);
    federation.distribute(accepted)
}

fn installed(event: &Event) -> Result<Installed, &'static str> {
    match &event.kind {
        EventKind::Fetched { result, .. } => match result {
            Ok((_, installed)) => Ok(*installed),
            Err(error) => Err(error.code()),
        },
        other => panic!("{other:?}"),
    }
}

fn kids(bundles: &SharedBundleSet, name: &str) -> Option<Vec<String>> {
    let keys = bundles.jwt_authorities((&td(name)).into())?;
    let kid = |key: &jose_x509::VerifyingKey| key.kid().unwrap().to_owned();
    Some(keys.keys().iter().map(kid).collect())
}

/// Both directions are configured, each by itself, and neither brings anything else with it.
///
/// Covers: SPIFFE-FEDERATION-6-1, SPIFFE-FEDERATION-5.1-1, SPIFFE-FEDERATION-5.1-3, SPIFFE-FEDERATION-A12
/// Covers: SPIFFE-FEDERATION-A16, SPIFFE-FEDERATION-5-1
#[test]
fn establishing() {
    let (mut federation, bundles) = home();
    assert_eq!(
        code(federation.establish([web("home.test")], at(0))),
        "home_trust_domain"
    );
    let events = federation
        .establish([web("a.test"), spiffe("b.test", "home.test")], at(0))
        .unwrap();
    for (event, (name, profile)) in events
        .iter()
        .zip([("a.test", "https_web"), ("b.test", "https_spiffe")])
    {
        assert_eq!((event.at, &event.trust_domain), (at(0), &td(name)));
        let EventKind::Established {
            relationship,
            bootstrapped,
        } = &event.kind
        else {
            panic!("{event:?}");
        };
        assert_eq!(relationship.profile().name(), profile);
        assert_eq!(
            relationship.url().as_str(),
            format!("https://{name}/bundle.json")
        );
        assert!(!bootstrapped && event.alerts.is_empty());
    }
    assert_eq!(
        code(federation.establish([web("c.test"), web("a.test")], at(1))),
        "duplicate_relationship"
    );
    assert_eq!(
        code(federation.establish([web("c.test"), web("c.test")], at(1))),
        "duplicate_relationship"
    );
    // All or none, and nothing of it is known to anybody.
    assert_eq!(federation.due(at(0)), [td("a.test"), td("b.test")]);
    assert!(bundles.snapshot().is_empty());

    let event = fetch(
        &mut federation,
        "a.test",
        0,
        Ok(bundle("a.test", 1, &[&key("a")])),
    );
    assert_eq!(
        (&event.trust_domain, installed(&event)),
        (&td("a.test"), Ok(Installed::Added))
    );
    assert_eq!(bundles.snapshot().len(), 1);
    // An answer for another trust domain than that of the relationship is nobody's.
    let event = fetch(
        &mut federation,
        "a.test",
        60,
        Ok(bundle("home.test", 9, &[&key("evil")])),
    );
    assert_eq!(installed(&event), Err("foreign_bundle"));
    assert_eq!(kids(&bundles, "home.test"), None);
    assert_eq!(kids(&bundles, "a.test").unwrap(), ["a"]);
}

/// Covers: SPIFFE-FEDERATION-4.1-6, SPIFFE-FEDERATION-4.1-7, SPIFFE-FEDERATION-6.2-2, SPIFFE-FEDERATION-A20
#[test]
fn polling() {
    let (mut federation, bundles) = home();
    assert_eq!(federation.next_due(), None);
    federation.establish([web("a.test")], at(1000)).unwrap();
    assert_eq!(federation.next_due(), Some(at(1000)));
    let failure = || Err(Error::Status { status: 503 });
    // Before there is a bundle, every five minutes; then as it says; one failure changes nothing, more do.
    let version = |sequence| Ok(bundle("a.test", sequence, &[&key("a")]));
    for (now, result, next) in [
        (1000, failure(), 1300),
        (1300, version(1), 1360),
        (1360, version(2), 1420),
        (1420, failure(), 1480),
        (1480, failure(), 1600),
        (1600, failure(), 1840),
        (1840, version(3), 1900),
    ] {
        assert!(federation.due(at(now - 1)).is_empty());
        assert_eq!(federation.due(at(now)), [td("a.test")]);
        let event = fetch(&mut federation, "a.test", now, result);
        let EventKind::Fetched { next: told, .. } = event.kind else {
            panic!();
        };
        assert_eq!((told, federation.next_due()), (at(next), Some(at(next))));
    }
    // What fails for hours is asked once an hour, and its bundle stays.
    for n in 0..20 {
        fetch(&mut federation, "a.test", 1900 + n, failure());
    }
    assert_eq!(federation.next_due(), Some(at(1919 + 3600)));
    assert_eq!(kids(&bundles, "a.test").unwrap(), ["a"]);
    let status = &federation.status()[0];
    assert_eq!(
        (status.failures, status.last_error),
        (20, Some("endpoint_status"))
    );
    assert_eq!(
        (status.sequence, status.has_bundle, status.depth),
        (Some(3), true, 1)
    );
    // A fetch that is begun and never ends is not begun again and again.
    federation.begin(&td("a.test"), at(9000)).unwrap();
    assert!(federation.due(at(9059)).is_empty());
    assert_eq!(federation.due(at(9060)), [td("a.test")]);
}

/// Covers: SPIFFE-FEDERATION-4.2-2, SPIFFE-FEDERATION-4.2-3, SPIFFE-FEDERATION-A9, SPIFFE-FEDERATION-A10
/// Covers: SPIFFE-FEDERATION-A13, SPIFFE-FEDERATION-4.1-1, SPIFFE-FEDERATION-6.2-1, SPIFFE-BUNDLE-A6
/// Covers: SPIFFE-BUNDLE-A7
#[test]
fn updates_and_alerts() {
    let (mut federation, bundles) = home();
    federation.establish([web("a.test")], at(0)).unwrap();
    let (one, two, three) = (key("one"), key("two"), key("three"));
    let step = |federation: &mut Federation, sequence, keys: &[&Jwk]| {
        let event = fetch(
            federation,
            "a.test",
            0,
            Ok(bundle("a.test", sequence, keys)),
        );
        (installed(&event), event.alerts)
    };
    let is = |names: &[&str]| assert_eq!(kids(&bundles, "a.test").unwrap(), names);

    assert_eq!(
        step(&mut federation, 5, &[&one, &two]),
        (Ok(Installed::Added), vec![])
    );
    let refused = Alert::Rollback {
        installed: 5,
        offered: 4,
    };
    assert_eq!(
        step(&mut federation, 4, &[&three]),
        (Err("bundle_rollback"), vec![refused])
    );
    is(&["one", "two"]);
    assert_eq!(
        step(&mut federation, 6, &[&two, &three]),
        (Ok(Installed::Replaced), vec![])
    );
    is(&["two", "three"]);
    assert_eq!(
        step(&mut federation, 6, &[&two, &three]),
        (Ok(Installed::Unchanged), vec![])
    );
    let reused = vec![Alert::SequenceReused];
    assert_eq!(
        step(&mut federation, 6, &[&two]),
        (Ok(Installed::ReplacedSameSequence), reused)
    );
    let replaced = vec![Alert::AllKeysReplaced];
    assert_eq!(
        step(&mut federation, 7, &[&one]),
        (Ok(Installed::Replaced), replaced)
    );
    assert_eq!(
        step(&mut federation, 8, &[]),
        (Ok(Installed::Emptied), vec![Alert::Emptied])
    );
    is(&[]);
    // Without a number, what came last is current.
    let unnumbered = format!(
        "{{\"keys\":[{}]}}",
        one.clone().with_use("jwt-svid").to_value()
    );
    let unnumbered = Bundle::parse(&PROVIDER, td("a.test"), unnumbered.as_bytes());
    let event = fetch(&mut federation, "a.test", 0, unnumbered);
    assert_eq!(installed(&event), Ok(Installed::Replaced));
    is(&["one"]);

    // One that wants to be the last one ever.
    assert_eq!(
        step(&mut federation, 9, &[&one]).0,
        Ok(Installed::Unchanged)
    );
    let jump = vec![Alert::SequenceJump {
        from: 9,
        to: u64::MAX,
    }];
    assert_eq!(
        step(&mut federation, u64::MAX, &[&one, &two]),
        (Ok(Installed::Replaced), jump)
    );
    assert_eq!(step(&mut federation, 10, &[&two]).0, Err("bundle_rollback"));
    let event = federation
        .set_bundle(bundle("a.test", 10, &[&three]), at(1))
        .unwrap();
    let set = EventKind::Set {
        sequence: Some(10),
        installed: Installed::Replaced,
    };
    assert_eq!(event.kind, set);
    is(&["three"]);
    // The next one that is fetched replaces it, whatever its number; after that the order counts again.
    assert_eq!(
        step(&mut federation, 3, &[&three]).0,
        Ok(Installed::Unchanged)
    );
    assert_eq!(step(&mut federation, 2, &[&one]).0, Err("bundle_rollback"));
    assert_eq!(
        code(federation.set_bundle(bundle("b.test", 1, &[]), at(1))),
        "no_relationship"
    );
}

/// What is fetched is stored under its name before anybody verifies with it, and found there after a restart.
///
/// Covers: SPIFFE-FEDERATION-6.1-1, SPIFFE-FEDERATION-4.2-1, SPIFFE-FEDERATION-A11
#[test]
fn stored_before_distributed() {
    let store = MemoryStore::default();
    let (mut federation, bundles) = home();
    let bootstrap = bundle("a.test", 1, &[&key("bootstrap")]);
    let relationship = || {
        spiffe("a.test", "a.test")
            .with_bootstrap(bootstrap.clone())
            .unwrap()
    };
    let events = federation.establish([relationship()], at(0)).unwrap();
    assert!(matches!(
        events[0].kind,
        EventKind::Established {
            bootstrapped: true,
            ..
        }
    ));
    assert_eq!(kids(&bundles, "a.test").unwrap(), ["bootstrap"]);

    let plan = federation.begin(&td("a.test"), at(0)).unwrap();
    let fetched = Ok(bundle("a.test", 2, &[&key("new")]));
    let accepted = federation.accept(plan.attempt(), fetched, at(0), 0);
    assert_eq!(kids(&bundles, "a.test").unwrap(), ["bootstrap"]);
    ready(store.store(accepted.bundle().unwrap(), at(0)));
    assert_eq!(kids(&bundles, "a.test").unwrap(), ["bootstrap"]);
    federation.distribute(accepted);
    assert_eq!(kids(&bundles, "a.test").unwrap(), ["new"]);

    // After a restart the stored bundle counts, and the one that was there first does not come back.
    let (mut federation, bundles) = home();
    let stored = ready(store.load((&td("a.test")).into())).unwrap();
    let bundle = Bundle::parse(&PROVIDER, td("a.test"), stored.document.as_bytes()).unwrap();
    assert_eq!(federation.restore(bundle, stored.fetched, at(9)), Ok(true));
    let events = federation.establish([relationship()], at(9)).unwrap();
    assert!(matches!(
        events[0].kind,
        EventKind::Established {
            bootstrapped: false,
            ..
        }
    ));
    assert_eq!(kids(&bundles, "a.test").unwrap(), ["new"]);
    assert_eq!(ready(store.load((&td("b.test")).into())), None);
    ready(store.remove((&td("a.test")).into()));
    assert_eq!(ready(store.load((&td("a.test")).into())), None);
}

fn ready<T>(stored: spiffe_bundle::federation::Stored<'_, T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut stored = stored;
    match stored.as_mut().poll(&mut context) {
        std::task::Poll::Ready(result) => result.unwrap(),
        std::task::Poll::Pending => panic!("the store is in memory"),
    }
}

/// Covers: SPIFFE-FEDERATION-6.3-1
#[test]
fn terminating() {
    let (mut federation, bundles) = home();
    federation.establish([web("a.test")], at(0)).unwrap();
    let version = |sequence| bundle("a.test", sequence, &[&key("a")]);
    fetch(&mut federation, "a.test", 0, Ok(version(1)));
    // Ended while a fetch is under way: its answer comes too late.
    let plan = federation.begin(&td("a.test"), at(60)).unwrap();
    let (attempt, late) = (plan.attempt(), plan.attempt());
    let accepted = federation.accept(attempt, Ok(version(2)), at(61), 0);
    let event = federation.terminate(&td("a.test"), at(62)).unwrap();
    assert_eq!(
        (event.at, &event.trust_domain, event.kind),
        (at(62), &td("a.test"), EventKind::Terminated)
    );
    assert!(bundles.jwt_authorities((&td("a.test")).into()).is_none());
    assert_eq!(
        installed(&federation.distribute(accepted)),
        Err("no_relationship")
    );
    let accepted = federation.accept(late, Ok(version(3)), at(63), 0);
    assert_eq!(accepted.bundle().unwrap_err().code(), "no_relationship");
    assert_eq!(
        installed(&federation.distribute(accepted)),
        Err("no_relationship")
    );
    assert!(bundles.snapshot().is_empty());
    assert_eq!(
        (federation.due(at(u64::MAX)), federation.next_due()),
        (vec![], None)
    );
    assert_eq!(
        code(federation.begin(&td("a.test"), at(64))),
        "no_relationship"
    );
    assert_eq!(
        code(federation.terminate(&td("a.test"), at(64))),
        "no_relationship"
    );
    // Begun anew, it takes no answer of the old one.
    let old = {
        federation.establish([web("a.test")], at(70)).unwrap();
        let old = federation.begin(&td("a.test"), at(70)).unwrap().attempt();
        federation.terminate(&td("a.test"), at(71)).unwrap();
        old
    };
    federation.establish([web("a.test")], at(72)).unwrap();
    let accepted = federation.accept(old, Ok(version(9)), at(73), 0);
    assert_eq!(
        installed(&federation.distribute(accepted)),
        Err("overtaken")
    );
    assert!(bundles.snapshot().is_empty());
}

/// What the operator sets is not undone by an answer that was asked for before.
///
/// Covers: SPIFFE-FEDERATION-4.2-3
#[test]
fn an_operators_bundle_outlives_the_fetch_that_is_under_way() {
    let (mut federation, bundles) = home();
    federation.establish([web("a.test")], at(0)).unwrap();
    let (stolen, good) = (key("stolen"), key("good"));
    fetch(
        &mut federation,
        "a.test",
        0,
        Ok(bundle("a.test", 10, &[&stolen])),
    );
    let plan = federation.begin(&td("a.test"), at(60)).unwrap();
    let old = || Ok(bundle("a.test", 10, &[&stolen]));
    let accepted = federation.accept(plan.attempt(), old(), at(61), 0);
    federation
        .set_bundle(bundle("a.test", 11, &[&good]), at(61))
        .unwrap();
    // Accepted before it, or after it.
    let late = federation.accept(plan.attempt(), old(), at(62), 0);
    assert_eq!(late.bundle().unwrap_err(), &Error::Overtaken);
    for accepted in [accepted, late] {
        let event = federation.distribute(accepted);
        assert_eq!(installed(&event), Err("overtaken"));
        assert_eq!(kids(&bundles, "a.test").unwrap(), ["good"]);
    }
    // The next one counts, and is asked for when it was due.
    assert_eq!(federation.due(at(120)), [td("a.test")]);
    let event = fetch(&mut federation, "a.test", 120, old());
    assert_eq!(installed(&event), Ok(Installed::Replaced));
}

/// Who authenticates whom, and what is needed to begin.
///
/// Covers: SPIFFE-FEDERATION-5.2.2.2-2, SPIFFE-FEDERATION-5.2.2.2-4, SPIFFE-FEDERATION-7.6-2, SPIFFE-FEDERATION-A18
#[test]
fn endpoint_trust() {
    let fresh = || home().0;
    let of = |name: &str| bundle(name, 1, &[&key("k")]);
    let boot =
        |relationship: Relationship, name: &str| relationship.with_bootstrap(of(name)).unwrap();

    // Self-serving: its own bundle comes first.
    assert_eq!(
        code(fresh().establish([spiffe("a.test", "a.test")], at(0))),
        "no_endpoint_bundle"
    );
    assert_eq!(
        code(spiffe("a.test", "a.test").with_bootstrap(of("b.test"))),
        "foreign_bundle"
    );
    assert!(
        fresh()
            .establish([boot(spiffe("a.test", "a.test"), "a.test")], at(0))
            .is_ok()
    );
    // Of a third party: by a relationship of any profile, by another source, or by a bundle that is there.
    assert_eq!(
        code(fresh().establish([spiffe("a.test", "b.test")], at(0))),
        "no_endpoint_bundle"
    );
    assert!(
        fresh()
            .establish([spiffe("a.test", "b.test"), web("b.test")], at(0))
            .is_ok()
    );
    assert!(
        fresh()
            .with_external(td("b.test"))
            .establish([spiffe("a.test", "b.test")], at(0))
            .is_ok()
    );
    let (mut federation, bundles) = home();
    bundles.install(of("b.test")).unwrap();
    assert!(
        federation
            .establish([spiffe("a.test", "b.test")], at(0))
            .is_ok()
    );
    // In a cycle, one has to have a bundle to begin with.
    let cycle = || [spiffe("a.test", "b.test"), spiffe("b.test", "a.test")];
    assert_eq!(
        code(fresh().establish(cycle(), at(0))),
        "endpoint_trust_cycle"
    );
    let [a, b] = cycle();
    assert!(fresh().establish([a, boot(b, "b.test")], at(0)).is_ok());

    // However long the chain: its length is seen, and it is bounded.
    let chain = |length: usize| {
        (1..length)
            .map(|n| spiffe(&format!("t{n}.test"), &format!("t{}.test", n - 1)))
            .chain([web("t0.test")])
    };
    let mut federation = fresh();
    let events = federation.establish(chain(MAX_TRUST_DEPTH), at(0)).unwrap();
    for (n, (event, status)) in events.iter().zip(federation.status()).enumerate() {
        let alert = (n > 0).then_some(Alert::ChainedTrust { depth: n + 1 });
        assert_eq!(
            (status.depth, event.alerts.first()),
            (n + 1, alert.as_ref())
        );
    }
    let too_long = fresh().establish(chain(MAX_TRUST_DEPTH + 1), at(0));
    assert_eq!(code(too_long), "endpoint_trust_cycle");

    // Until the bundle of the endpoint's trust domain is fetched, nothing is asked of it.
    let mut federation = fresh();
    federation
        .establish([spiffe("a.test", "b.test"), web("b.test")], at(0))
        .unwrap();
    let error = federation.begin(&td("a.test"), at(0)).unwrap_err();
    assert_eq!(
        (error.code(), error.fault(), error.retryable()),
        ("no_endpoint_bundle", Fault::Configuration, true)
    );
    let event = federation.not_begun(&td("a.test"), error, at(0)).unwrap();
    assert_eq!(
        (event.at, &event.trust_domain, installed(&event)),
        (at(0), &td("a.test"), Err("no_endpoint_bundle"))
    );
    let unknown = federation.not_begun(&td("c.test"), Error::NoRelationship, at(0));
    assert_eq!(unknown, None);
    assert_eq!(federation.due(at(0)), [td("b.test")]);
    fetch(&mut federation, "b.test", 0, Ok(of("b.test")));
    assert!(federation.begin(&td("a.test"), at(300)).is_ok());
}

/// On whom the trust in an endpoint depends changes with what begins and ends after it.
///
/// Covers: SPIFFE-FEDERATION-A18
#[test]
fn trust_that_becomes_chained_is_told() {
    let (mut federation, bundles) = home();
    bundles.install(bundle("b.test", 1, &[&key("k")])).unwrap();
    let events = federation.establish([spiffe("a.test", "b.test")], at(0));
    assert_eq!(events.unwrap()[0].alerts, []);
    let depths = |federation: &Federation| -> Vec<usize> {
        let status = federation.status();
        status.iter().map(|status| status.depth).collect()
    };
    assert_eq!(depths(&federation), [1]);
    let events = federation.establish([web("b.test")], at(5)).unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(
        (events[1].at, &events[1].trust_domain, &events[1].kind),
        (
            at(5),
            &td("a.test"),
            &EventKind::DepthChanged { from: 1, to: 2 }
        )
    );
    assert_eq!(events[1].alerts, [Alert::ChainedTrust { depth: 2 }]);
    assert_eq!(depths(&federation), [2, 1]);
    federation.terminate(&td("b.test"), at(6)).unwrap();
    assert_eq!(depths(&federation), [1]);
    assert_eq!(
        code(federation.begin(&td("a.test"), at(7))),
        "no_endpoint_bundle"
    );
}

/// What is told of a fetch: everything that an investigation needs, and no key.
///
/// Covers: SPIFFE-FEDERATION-7.6-1
#[test]
fn events_are_for_the_audit_log() {
    let (mut federation, bundles) = home();
    bundles.install(bundle("home.test", 1, &[])).unwrap();
    federation
        .establish([spiffe("a.test", "home.test")], at(0))
        .unwrap();
    let plan = federation.begin(&td("a.test"), at(7)).unwrap();
    let moved = http::HeaderMap::from_iter([(
        http::header::LOCATION,
        "https://other.test/b".parse().unwrap(),
    )]);
    let step = plan
        .response(&PROVIDER, http::StatusCode::FOUND, &moved, b"")
        .unwrap();
    let spiffe_bundle::federation::FetchStep::Redirect(plan) = step else {
        panic!();
    };
    let accepted = federation.accept(
        plan.attempt(),
        Ok(bundle("a.test", 42, &[&key("k")])),
        at(8),
        0,
    );
    let event = federation.distribute(accepted);
    assert_eq!((event.at, &event.trust_domain), (at(8), &td("a.test")));
    let EventKind::Fetched {
        url,
        redirects,
        profile,
        result,
        next,
    } = &event.kind
    else {
        panic!("{event:?}");
    };
    assert_eq!((url.as_str(), *redirects), ("https://other.test/b", 1));
    let id = SpiffeId::parse("spiffe://home.test/bundle-server").unwrap();
    assert_eq!(
        profile,
        &EndpointProfile::HttpsSpiffe {
            endpoint_spiffe_id: id
        }
    );
    assert_eq!((result, *next), (&Ok((Some(42), Installed::Added)), at(68)));
    let text = format!("{event:?}");
    let x = key("k").to_members()["x"].to_string();
    assert!(!text.contains(&x) && !text.contains("\"x\""));
}

/// Off by default; with it, what nobody could refresh for too long is dropped.
#[test]
fn stale_bundles() {
    let mut policy = RefreshPolicy::default();
    let (mut federation, bundles) = home();
    federation.establish([web("a.test")], at(0)).unwrap();
    fetch(
        &mut federation,
        "a.test",
        0,
        Ok(bundle("a.test", 1, &[&key("k")])),
    );
    assert_eq!(federation.expire(at(u64::MAX)), []);
    policy.max_stale = Some(Duration::from_secs(1000));
    let mut federation = federation.with_policy(policy);
    fetch(
        &mut federation,
        "a.test",
        900,
        Err(Error::Status { status: 500 }),
    );
    assert_eq!(federation.expire(at(1000)), []);
    let events = federation.expire(at(1001));
    assert_eq!((events.len(), &events[0].kind), (1, &EventKind::Expired));
    assert_eq!(kids(&bundles, "a.test"), None);
    assert_eq!(federation.expire(at(1002)), []);
    let event = fetch(
        &mut federation,
        "a.test",
        1100,
        Ok(bundle("a.test", 1, &[&key("k")])),
    );
    assert_eq!(installed(&event), Ok(Installed::Added));
}

/// A federation in which bundles are dropped at this age.
fn aging(max_stale: u64) -> (Federation, Arc<SharedBundleSet>) {
    let mut policy = RefreshPolicy::default();
    policy.max_stale = Some(Duration::from_secs(max_stale));
    let (federation, bundles) = home();
    (federation.with_policy(policy), bundles)
}

/// Only what could not be fetched gets too old, however rarely its publisher wants to be asked.
#[test]
fn bundles_are_asked_for_before_they_are_too_old() {
    let (mut federation, bundles) = aging(6 * 3600);
    federation.establish([web("a.test")], at(0)).unwrap();
    let day = r#"{"keys":[],"spiffe_sequence":1,"spiffe_refresh_hint":86400}"#;
    let day = Bundle::parse(&PROVIDER, td("a.test"), day.as_bytes()).unwrap();
    let mut now = 0;
    // One that succeeds, two that fail, and so on.
    for n in 0..12 {
        let result = match n % 3 {
            0 => Ok(day.clone()),
            _ => Err(Error::Status { status: 503 }),
        };
        assert_eq!(federation.expire(at(now)), []);
        fetch(&mut federation, "a.test", now, result);
        now = federation.next_due().unwrap().as_secs();
    }
    assert!(kids(&bundles, "a.test").is_some());
    // The age counts on after a restart.
    let (mut restarted, bundles) = aging(6 * 3600);
    let restored = at(1000 + 6 * 3600);
    assert_eq!(restarted.restore(day, at(1000), restored), Ok(true));
    restarted.establish([web("a.test")], restored).unwrap();
    assert_eq!(restarted.in_force(&td("a.test")).unwrap().1, at(1000));
    assert_eq!(restarted.expire(restored), []);
    assert_eq!(restarted.expire(at(1001 + 6 * 3600)).len(), 1);
    assert_eq!(kids(&bundles, "a.test"), None);
}

/// What was too old before a restart is too old after it: for verifiers, and not as what a bootstrap bundle is measured by.
///
/// Covers: SPIFFE-FEDERATION-A11
#[test]
fn a_restart_makes_nothing_younger() {
    let (mut federation, bundles) = aging(1000);
    let version = |sequence| bundle("a.test", sequence, &[&key("k")]);
    let restored = federation.restore(version(5), at(0), at(1001));
    assert_eq!(restored, Ok(false));
    let relationship = spiffe("a.test", "a.test")
        .with_bootstrap(version(1))
        .unwrap();
    let events = federation.establish([relationship], at(1001)).unwrap();
    assert!(matches!(
        events[0].kind,
        EventKind::Established {
            bootstrapped: false,
            ..
        }
    ));
    assert_eq!(kids(&bundles, "a.test"), None);
    let event = fetch(&mut federation, "a.test", 1001, Ok(version(4)));
    assert_eq!(installed(&event), Err("bundle_rollback"));
    let event = fetch(&mut federation, "a.test", 1002, Ok(version(5)));
    assert_eq!(installed(&event), Ok(Installed::Added));
}

/// What verifiers have lost is still what nothing older may follow.
///
/// Covers: SPIFFE-FEDERATION-4.2-2, SPIFFE-FEDERATION-A9
#[test]
fn a_dropped_bundle_is_no_way_back() {
    let (mut federation, bundles) = aging(1000);
    federation.establish([web("a.test")], at(0)).unwrap();
    let version = |sequence| Ok(bundle("a.test", sequence, &[&key("k")]));
    fetch(&mut federation, "a.test", 0, version(10));
    assert_eq!(federation.expire(at(1001)).len(), 1);
    let event = fetch(&mut federation, "a.test", 1001, version(3));
    assert_eq!(installed(&event), Err("bundle_rollback"));
    let rollback = Alert::Rollback {
        installed: 10,
        offered: 3,
    };
    assert_eq!(event.alerts, [rollback]);
    assert_eq!(kids(&bundles, "a.test"), None);
    let event = fetch(&mut federation, "a.test", 1002, version(10));
    assert_eq!(installed(&event), Ok(Installed::Added));
    // The operator decides otherwise, and a relationship that begins anew knows nothing of the old one.
    assert_eq!(federation.expire(at(9000)).len(), 1);
    let Ok(older) = version(2) else { panic!() };
    federation.set_bundle(older, at(9000)).unwrap();
    assert_eq!(kids(&bundles, "a.test").unwrap(), ["k"]);
    federation.terminate(&td("a.test"), at(9001)).unwrap();
    federation.establish([web("a.test")], at(9002)).unwrap();
    let event = fetch(&mut federation, "a.test", 9002, version(1));
    assert_eq!(installed(&event), Ok(Installed::Added));
}

/// A trust domain that serves its own bundle is asked again, with the keys that were known last; but nothing else is
/// verified with them.
///
/// Covers: SPIFFE-FEDERATION-5.2.2.2-2
#[test]
fn a_dropped_bundle_still_authenticates_its_endpoint() {
    let (mut federation, bundles) = aging(1000);
    let version = |sequence| bundle("a.test", sequence, &[&key("k")]);
    let relationship = spiffe("a.test", "a.test")
        .with_bootstrap(version(1))
        .unwrap();
    federation.establish([relationship], at(0)).unwrap();
    fetch(&mut federation, "a.test", 0, Ok(version(2)));
    // After a pause the fetch begins first: its server is authenticated by the bundle that is not dropped yet.
    let plan = federation.begin(&td("a.test"), at(5000)).unwrap();
    assert_eq!(federation.expire(at(5000)), []);
    assert_eq!(federation.expire(at(5030)), []);
    let failure = Err(Error::Status { status: 500 });
    let accepted = federation.accept(plan.attempt(), failure, at(5030), 0);
    federation.distribute(accepted);
    assert_eq!(federation.expire(at(5030)).len(), 1);
    let authenticators = Arc::clone(federation.endpoint_bundles());
    let known = || authenticators.x509_authorities((&td("a.test")).into());
    assert!(bundles.x509_authorities((&td("a.test")).into()).is_none());
    assert!(known().is_some());
    let event = fetch(&mut federation, "a.test", 9000, Ok(version(3)));
    assert_eq!(installed(&event), Ok(Installed::Added));
    federation.terminate(&td("a.test"), at(9001)).unwrap();
    assert!(known().is_none());
}

/// A key is published long before it signs, and stays until nothing needs it.
///
/// Covers: SPIFFE-FEDERATION-4.1-1, SPIFFE-FEDERATION-4.1-2, SPIFFE-FEDERATION-4.1-3, SPIFFE-FEDERATION-4.1-4
/// Covers: SPIFFE-FEDERATION-4.1-5
#[test]
fn rotation() {
    let hint = Duration::from_secs(100);
    for (lead, intervals) in [
        (None, 4),
        (Some(0), 3),
        (Some(3), 3),
        (Some(5), 5),
        (Some(99), 5),
    ] {
        let rotation = Rotation::new(&PROVIDER, td("a.test"))
            .unwrap()
            .with_refresh_hint(hint)
            .unwrap();
        let mut rotation = lead.into_iter().fold(rotation, Rotation::with_lead);
        let id = rotation.add(Authority::Jwt(key("one")));
        // Known, and neither published nor allowed to sign.
        assert!(rotation.bundle().is_empty());
        assert_eq!(
            code(rotation.sign(id, at(u64::MAX - 1), at(u64::MAX))),
            "key_not_active"
        );
        let from = at(1000 + 100 * intervals);
        assert_eq!(rotation.publish(id, at(1000)), Ok(from));
        assert_eq!(rotation.publish(id, at(5000)), Ok(from));
        assert_eq!(rotation.bundle().jwt_keys().keys().len(), 1);
        assert_eq!(
            code(rotation.sign(id, at(from.as_secs() - 1), at(9000))),
            "key_not_active"
        );
        assert_eq!(rotation.sign(id, from, at(9000)), Ok(()));
    }

    let mut rotation = Rotation::new(&PROVIDER, td("a.test")).unwrap();
    let old = rotation.add(Authority::Jwt(key("old")));
    let new = rotation.add(Authority::Wit(key("new")));
    let own = rotation.add(Authority::Jwt(key("own")));
    let root = rotation.add(Authority::X509(root()));
    rotation.publish(old, at(0)).unwrap();
    rotation.publish(new, at(0)).unwrap();
    rotation.publish(root, at(0)).unwrap();
    assert_eq!(rotation.bundle().sequence(), Some(4));
    rotation.keep_internal(own).unwrap();
    rotation.sign(own, at(0), at(50)).unwrap();
    assert!(rotation.bundle().jwt_keys().get("own").is_none());
    assert_eq!(code(rotation.keep_internal(old)), "unknown_authority");

    rotation.sign(old, at(2000), at(7000)).unwrap();
    rotation.sign(old, at(2001), at(6000)).unwrap();
    rotation.retire(old).unwrap();
    assert_eq!(
        code(rotation.sign(old, at(2002), at(6500))),
        "unknown_authority"
    );
    assert_eq!(rotation.purge(at(7000)), Ok(vec![]));
    assert!(rotation.bundle().jwt_keys().get("old").is_some());
    assert_eq!(rotation.bundle().sequence(), Some(4));
    assert_eq!(rotation.purge(at(7001)), Ok(vec![old]));
    assert!(rotation.bundle().jwt_keys().keys().is_empty());
    assert_eq!(rotation.bundle().sequence(), Some(5));
    assert_eq!(code(rotation.publish(old, at(7002))), "unknown_authority");
    // An internal key that goes takes nothing out of the bundle.
    rotation.retire(own).unwrap();
    assert_eq!(rotation.purge(at(7003)), Ok(vec![own]));
    assert_eq!(rotation.bundle().sequence(), Some(5));
    // One that somebody else may have goes at once.
    rotation.revoke(root).unwrap();
    assert!(rotation.bundle().x509_anchors().is_empty());
    rotation.revoke(new).unwrap();
    assert!(rotation.bundle().is_empty());
    // What cannot be published changes nothing.
    let bad = rotation.add(Authority::Jwt(Jwk::new(key("x").key().clone())));
    assert_eq!(code(rotation.publish(bad, at(8000))), "unpublishable_key");
    assert_eq!(
        code(rotation.sign(bad, at(9000), at(9001))),
        "key_not_active"
    );
}

fn root() -> pki_types::CertificateDer<'static> {
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    params.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
    let key = rcgen::KeyPair::generate().unwrap();
    params.self_signed(&key).unwrap().der().clone()
}
