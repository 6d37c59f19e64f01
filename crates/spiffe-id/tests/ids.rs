//! Properties and edges of IDs, trust domains, builders and patterns.
#![cfg(feature = "alloc")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{BuildHasher, RandomState},
};

use proptest::prelude::*;
use spiffe_id::{
    Error, MAX_ID_LENGTH, SpiffeId, SpiffeIdPattern, SpiffeIdRef, TrustDomain, TrustDomainRef,
};

fn id(text: &str) -> SpiffeId {
    SpiffeId::parse(text).unwrap()
}

fn code<T>(result: Result<T, Error>) -> &'static str {
    result.map_or_else(|error| error.code(), |_| "accepted")
}

const TRUST_DOMAIN: &str = "[a-z0-9._-]{1,255}";
const SEGMENT: &str = "[a-zA-Z0-9._-]{1,12}";

fn segment() -> impl Strategy<Value = String> {
    SEGMENT.prop_filter("a dot segment", |segment| segment != "." && segment != "..")
}

/// Each byte value at the end of the path, inside the path and at the end of the trust domain.
///
/// Covers: SPIFFE-ID-2-6, SPIFFE-ID-2.1-5, SPIFFE-ID-2.2-6
#[test]
fn every_byte_in_every_position() {
    for byte in 0..=u8::MAX {
        let host = byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-_".contains(&byte);
        let path = host || byte.is_ascii_uppercase();
        let with = |before: &[u8], after: &[u8]| {
            let bytes = [before, &[byte], after].concat();
            SpiffeIdRef::from_bytes(&bytes).is_ok()
        };
        assert_eq!(with(b"spiffe://td/p", b""), path, "{byte}");
        assert_eq!(
            with(b"spiffe://td/p", b"q/r"),
            path || byte == b'/',
            "{byte}"
        );
        assert_eq!(with(b"spiffe://td", b"/p"), host, "{byte}");
        assert_eq!(with(b"spiffe://td", b"x"), host || byte == b'/', "{byte}");
        // The same for code points: none above ASCII is allowed anywhere.
        let text = format!("spiffe://td/p{}", char::from(byte));
        assert_eq!(SpiffeId::parse(&text).is_ok(), path, "{byte}");
    }
}

/// An error says where, quotes one escaped byte and never the input.
///
/// Covers: SPIFFE-ID-A15, SPIFFE-ID-2.3-5, SPIFFE-ID-A18
#[test]
fn errors_say_where_and_echo_nothing() {
    let error = SpiffeId::parse("spiffe://td/abc\n\u{1b}[31mroot").unwrap_err();
    assert_eq!(
        error,
        Error::PathCharacter {
            offset: 15,
            byte: b'\n'
        }
    );
    let text = error.to_string();
    assert!(text.contains("\\n") && !text.contains('\n') && !text.contains("root"));

    let huge = format!("spiffe://td/{}", "secret".repeat(2_000_000));
    let error = SpiffeId::parse(&huge).unwrap_err();
    assert_eq!(error, Error::TooLong { length: huge.len() });
    assert!(!error.to_string().contains("secret"));
    // Refused before it is scanned: otherwise the bad scheme would be found first.
    assert_eq!(
        code(SpiffeId::parse(&"x".repeat(MAX_ID_LENGTH + 1))),
        "too_long"
    );

    for (text, offset) in [
        ("spiffe://t:d/p", 10),
        ("spiffe://td/p?q", 13),
        ("spiffe://td#", 11),
        ("spiffe://td/p//q", 14),
        ("spiffe://td/p/../q", 14),
        ("spiffe://td/p/", 13),
    ] {
        assert_eq!(
            SpiffeId::parse(text).unwrap_err().offset(),
            Some(offset),
            "{text}"
        );
    }
}

/// Covers: SPIFFE-ID-2.3-1, SPIFFE-ID-2.3-2, SPIFFE-ID-2.3-3, SPIFFE-ID-2.3-4, SPIFFE-ID-A18
#[test]
fn lengths() {
    let trust_domain = TrustDomain::parse(&"d".repeat(255)).unwrap();
    assert_eq!(
        code(TrustDomain::parse(&"d".repeat(256))),
        "trust_domain_too_long"
    );
    assert_eq!(
        code(SpiffeId::parse(&format!("spiffe://{}/p", "d".repeat(256)))),
        "trust_domain_too_long"
    );

    // 9 bytes of scheme, 255 of trust domain, one slash: 1783 are left for the segment.
    let fits = SpiffeId::from_segments(&trust_domain, ["a".repeat(1783)]).unwrap();
    assert_eq!(fits.as_str().len(), 2048);
    assert_eq!(SpiffeId::parse(fits.as_str()), Ok(fits.clone()));
    assert_eq!(code(SpiffeId::parse(&format!("{fits}a"))), "too_long");
    assert_eq!(
        code(SpiffeId::from_segments(&trust_domain, ["a".repeat(1784)])),
        "too_long"
    );
    assert_eq!(
        code(SpiffeId::from_path(
            &trust_domain,
            &format!("/{}", "a".repeat(1784))
        )),
        "too_long"
    );
    assert!(SpiffeId::from_path(&trust_domain, &format!("/{}", "a".repeat(1783))).is_ok());
    assert_eq!(code(fits.append_segment("b")), "too_long");
    assert_eq!(
        code(SpiffeId::from_segments(
            &trust_domain,
            std::iter::repeat("a")
        )),
        "too_long"
    );
}

/// Covers: SPIFFE-ID-2.1-9, SPIFFE-ID-2.1-1, SPIFFE-ID-2.1-8
#[test]
fn trust_domains() {
    let home = TrustDomain::parse("example.org").unwrap();
    for text in [
        "example.org",
        "spiffe://example.org",
        "spiffe://example.org/p",
    ] {
        assert_eq!(TrustDomain::from_id_or_name(text), Ok(home.clone()));
        assert_eq!(TrustDomainRef::from_id_or_name(text).unwrap(), home);
    }
    assert_eq!(
        code(TrustDomain::from_id_or_name("spiffe://example.org/")),
        "trailing_slash"
    );
    assert_eq!(
        code(TrustDomain::from_id_or_name("example.org/p")),
        "trust_domain_character"
    );
    assert_eq!(
        code(TrustDomain::from_id_or_name("https://example.org")),
        "trust_domain_character"
    );
    assert_eq!(code(TrustDomain::parse("")), "empty_trust_domain");
    assert_eq!(
        code(TrustDomain::parse("spiffe://example.org")),
        "trust_domain_character"
    );

    assert_eq!(home.as_str(), "example.org");
    assert_eq!(home.id_string(), "spiffe://example.org");
    assert_eq!(home.to_spiffe_id(), id("spiffe://example.org"));
    assert!(home.to_spiffe_id().is_trust_domain_id());
    assert!(home.contains(&id("spiffe://example.org/a")));
    assert!(!home.contains(&id("spiffe://example.orga/a")));
    assert!(!home.contains(&id("spiffe://a.example.org/a")));

    for (a, b) in [
        ("a.", "a"),
        ("010.0.0.1", "10.0.0.1"),
        ("0x7f.1", "127.0.0.1"),
        ("2130706433", "127.0.0.1"),
    ] {
        assert_ne!(
            TrustDomain::parse(a).unwrap(),
            TrustDomain::parse(b).unwrap()
        );
    }
}

/// Covers: SPIFFE-ID-2.1.1-1
#[test]
fn generated_trust_domains_are_uuids_and_distinct() {
    // Differences in any one random bit but the six fixed ones give another name.
    let zero = TrustDomain::from_random([0; 16]);
    assert_eq!(zero.as_str(), "00000000-0000-4000-8000-000000000000");
    assert_eq!(
        TrustDomain::from_random([0xff; 16]).as_str(),
        "ffffffff-ffff-4fff-bfff-ffffffffffff"
    );
    let names: HashSet<_> = (0..128)
        .map(|bit| TrustDomain::from_random((1u128 << bit).to_be_bytes()))
        .collect();
    assert_eq!(names.len(), 122 + 1);

    let hasher = RandomState::new();
    let names: HashSet<_> = (0u32..10_000)
        .map(|n| {
            let halves = [hasher.hash_one((n, 0)), hasher.hash_one((n, 1))];
            let random = u128::from(halves[0]) << 64 | u128::from(halves[1]);
            TrustDomain::from_random_below(
                random.to_be_bytes(),
                TrustDomainRef::from_static("example.org"),
            )
            .unwrap()
        })
        .inspect(|name| assert_eq!(TrustDomain::parse(name.as_str()).as_ref(), Ok(name)))
        .collect();
    assert_eq!(names.len(), 10_000);

    let long = TrustDomain::parse(&"d".repeat(219)).unwrap();
    assert_eq!(
        code(TrustDomain::from_random_below([0; 16], &long)),
        "trust_domain_too_long"
    );
}

/// Covers: SPIFFE-ID-2.2-8, SPIFFE-ID-2.2-9, SPIFFE-ID-A16
#[test]
fn builders_take_single_segments() {
    let home = TrustDomain::parse("td").unwrap();
    for (segment, expected) in [
        ("a/b", "slash_in_segment"),
        ("", "empty_segment"),
        (".", "dot_segment"),
        ("..", "dot_segment"),
        ("x/../admin", "slash_in_segment"),
        ("/", "slash_in_segment"),
        ("x/", "slash_in_segment"),
        ("%2e%2e", "path_character"),
        ("a b", "path_character"),
        ("é", "path_character"),
        ("a?b", "query"),
        ("a#b", "fragment"),
    ] {
        assert_eq!(
            code(SpiffeId::from_segments(&home, ["ok", segment])),
            expected,
            "{segment:?}"
        );
        assert_eq!(
            code(id("spiffe://td/a").append_segment(segment)),
            expected,
            "{segment:?}"
        );
    }
    assert_eq!(
        SpiffeId::from_segments(&home, ["foo", "bar"])
            .unwrap()
            .path(),
        "/foo/bar"
    );
    assert_eq!(
        SpiffeId::from_segments(&home, [""; 0]),
        Ok(home.to_spiffe_id())
    );
    assert_eq!(SpiffeId::from_path(&home, ""), Ok(home.to_spiffe_id()));
    assert_eq!(
        SpiffeId::from_path(&home, "/foo/bar"),
        Ok(id("spiffe://td/foo/bar"))
    );
    assert_eq!(
        code(SpiffeId::from_path(&home, "foo")),
        "path_without_slash"
    );
    assert_eq!(code(SpiffeId::from_path(&home, "/")), "trailing_slash");
    assert_eq!(code(SpiffeId::from_path(&home, "/a/../b")), "dot_segment");
    assert_eq!(
        id("spiffe://td").append_segment("x"),
        Ok(id("spiffe://td/x"))
    );
}

/// Covers: SPIFFE-ID-2.4-2
#[test]
fn comparison_is_that_of_the_bytes() {
    let upper = id("spiffe://td/A");
    let lower = id("spiffe://td/a");
    assert_ne!(upper, lower);
    assert!(upper < lower);
    let map = HashMap::from([(upper.clone(), 1), (lower.clone(), 2)]);
    assert_eq!((map[&upper], map["spiffe://td/a"]), (1, 2));
    let set = BTreeSet::from([lower.clone(), upper.clone()]);
    assert!(set.contains("spiffe://td/A") && set.iter().eq([&upper, &lower]));
    let domains = HashMap::from([(TrustDomain::parse("td").unwrap(), 1)]);
    assert_eq!(domains["td"], 1);
}

/// Covers: SPIFFE-ID-A2, SPIFFE-ID-A5, SPIFFE-ID-A6
#[test]
fn pattern_constructors() {
    let prefix = id("spiffe://td/service/pay");
    let worker = id("spiffe://td/service/pay/worker");
    let below = SpiffeIdPattern::below(prefix.clone()).unwrap();
    assert!(below.matches(&worker) && !below.matches(&prefix));
    assert_eq!(below.to_string(), "spiffe://td/service/pay/*");
    assert_eq!(
        SpiffeIdPattern::parse(&below.to_string()),
        Ok(below.clone())
    );
    assert!(!below.covers_trust_domain());

    let bare = id("spiffe://td");
    assert_eq!(
        code(SpiffeIdPattern::below(bare.clone())),
        "prefix_without_segment"
    );
    assert_eq!(
        code(SpiffeIdPattern::at_or_below(bare.clone())),
        "prefix_without_segment"
    );
    let exact = SpiffeIdPattern::exact(bare.clone());
    assert!(exact.matches(&bare) && !exact.matches(&worker) && !exact.covers_trust_domain());
    assert_eq!(exact.as_exact(), Some(&bare));
    assert!(
        SpiffeIdPattern::parse_allowing_trust_domain("spiffe://td/*")
            .unwrap()
            .covers_trust_domain()
    );
    assert!(SpiffeIdPattern::members_of(TrustDomain::parse("td").unwrap()).covers_trust_domain());

    assert!(!SpiffeIdPattern::one_of([]).matches(&worker));
    let either = SpiffeIdPattern::one_of([exact, below]);
    assert!(either.matches(&worker) && either.matches(&bare) && !either.matches(&prefix));
    assert_eq!(either.trust_domain(), None);
}

proptest! {
    /// Covers: SPIFFE-ID-2-7
    #[test]
    fn valid_ids_round_trip(domain in TRUST_DOMAIN, segments in prop::collection::vec(segment(), 0..8)) {
        let text = segments.iter().fold(format!("spiffe://{domain}"), |text, segment| text + "/" + segment);
        let parsed = SpiffeId::parse(&text).unwrap();
        prop_assert_eq!(parsed.to_string(), text.as_str());
        prop_assert_eq!(parsed.trust_domain().as_str(), domain.as_str());
        prop_assert!(parsed.segments().eq(segments.iter().map(String::as_str)));
        let domain = TrustDomain::parse(&domain).unwrap();
        prop_assert_eq!(&SpiffeId::from_segments(&domain, &segments).unwrap(), &parsed);
        prop_assert_eq!(&SpiffeId::from_path(&domain, parsed.path()).unwrap(), &parsed);
        let _const: SpiffeIdRef<'_> = (&parsed).into();
        prop_assert_eq!(_const.to_spiffe_id(), parsed);
    }

    /// The scanner accepts exactly what a slow, literal reading of the standard accepts.
    #[test]
    fn agrees_with_a_literal_reading(text in "(spiffe://)?[a-bA-B./%?#@:*_-]{0,14}(/[a-bA-B./-]{0,4}){0,3}") {
        let literal = text.strip_prefix("spiffe://").is_some_and(|rest| {
            let (domain, path) = rest.split_once('/').map_or((rest, None), |(domain, path)| (domain, Some(path)));
            let allowed = |part: &str, upper: bool| part.chars().all(|c| {
                c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c) || upper && c.is_ascii_uppercase()
            });
            !domain.is_empty() && allowed(domain, false) && path.is_none_or(|path| {
                path.split('/').all(|segment| allowed(segment, true) && !["", ".", ".."].contains(&segment))
            })
        });
        prop_assert_eq!(SpiffeIdRef::parse(&text).is_ok(), literal);
    }

    /// A wildcard matches exactly the IDs that have the prefix's segments and at least one more.
    ///
    /// Covers: SPIFFE-ID-A2
    #[test]
    fn wildcards_compare_segments(
        prefix in prop::collection::vec("[ab]{1,2}", 1..3),
        subject in prop::collection::vec("[ab]{1,2}", 0..5),
    ) {
        let home = TrustDomainRef::from_static("td");
        let pattern = SpiffeIdPattern::below(SpiffeId::from_segments(home, &prefix).unwrap()).unwrap();
        let expected = subject.len() > prefix.len() && subject.starts_with(&prefix);
        prop_assert_eq!(pattern.matches(&SpiffeId::from_segments(home, &subject).unwrap()), expected);
        let foreign = SpiffeId::from_segments(TrustDomainRef::from_static("tda"), &subject).unwrap();
        prop_assert!(!pattern.matches(&foreign));
    }
}

#[cfg(feature = "serde")]
mod serde {
    use super::*;

    /// Covers: SPIFFE-ID-2-7
    #[test]
    fn string_form_checked_when_read() {
        let text = "\"spiffe://td/A/b\"";
        let owned: SpiffeId = serde_json::from_str(text).unwrap();
        let borrowed: SpiffeIdRef<'_> = serde_json::from_str(text).unwrap();
        assert_eq!(owned, borrowed);
        assert_eq!(serde_json::to_string(&owned).unwrap(), text);
        assert_eq!(serde_json::to_string(&borrowed).unwrap(), text);
        let domain: TrustDomain = serde_json::from_str("\"td\"").unwrap();
        assert_eq!(serde_json::to_string(&domain).unwrap(), "\"td\"");
        let pattern: SpiffeIdPattern = serde_json::from_str("\"spiffe://td/A/*\"").unwrap();
        assert!(pattern.matches(&owned));

        for bad in [
            "\"spiffe://td/\"",
            "\"\"",
            "null",
            "7",
            "[]",
            "\"spiffe://td/*\"",
        ] {
            assert!(serde_json::from_str::<SpiffeId>(bad).is_err(), "{bad}");
            assert!(
                serde_json::from_str::<SpiffeIdRef<'_>>(bad).is_err(),
                "{bad}"
            );
            assert!(
                serde_json::from_str::<SpiffeIdPattern>(bad).is_err(),
                "{bad}"
            );
            assert!(serde_json::from_str::<TrustDomain>(bad).is_err(), "{bad}");
        }
    }
}
