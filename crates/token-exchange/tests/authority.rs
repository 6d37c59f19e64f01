//! The authority algebra, against a model that knows nothing of it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use pki_types::UnixTime;
use proptest::option;
use proptest::prelude::*;
use serde_json::{Map, Value, json};
use spiffe_id::SpiffeId;
use token_exchange::authority::Details;
use token_exchange::{Action, Authority, DetailType, DetailTypes, Error, Namespace, ScopeSet};

const SCOPES: [&str; 3] = ["r", "w", "x"];
const TARGETS: [&str; 3] = ["https://a.example", "https://a.example/", "b"];
const SPACES: [&str; 6] = [
    "spiffe://t.example/a",
    "spiffe://t.example/a/*",
    "spiffe://t.example/a/b",
    "spiffe://t.example/a/b/*",
    "spiffe://t.example/ab",
    "spiffe://u.example/a/*",
];
const CALLEES: [&str; 6] = [
    "spiffe://t.example/a",
    "spiffe://t.example/a/b",
    "spiffe://t.example/a/b/c",
    "spiffe://t.example/ab",
    "spiffe://t.example/ab/b",
    "spiffe://u.example/a/b",
];
const FIELDS: [&str; 3] = ["actions", "locations", "creditor"];
const VALUES: [&str; 3] = ["1", "2", "3"];

fn types() -> DetailTypes {
    DetailTypes::new([
        DetailType::new("p"),
        DetailType::new("q").with_unrestricted_field("locations"),
    ])
}

/// One detail as it is written: which values each field lists, if it is there.
#[derive(Clone, Debug)]
struct DetailModel {
    name: &'static str,
    fields: BTreeMap<&'static str, BTreeSet<&'static str>>,
    request: bool,
}

impl DetailModel {
    fn json(&self) -> Value {
        let mut members = Map::from_iter([("type".to_owned(), json!(self.name))]);
        for (name, values) in &self.fields {
            let value = if *name == "creditor" {
                json!(values.first().unwrap())
            } else {
                json!(values)
            };
            members.insert((*name).to_owned(), value);
        }
        Value::Object(members)
    }

    fn covers(&self, name: &str, wanted: &BTreeMap<&str, &str>) -> bool {
        let free = |field: &str| self.request || (self.name == "q" && field == "locations");
        self.name == name
            && FIELDS
                .iter()
                .all(|field| match (self.fields.get(field), wanted.get(field)) {
                    (Some(values), Some(value)) => values.contains(value),
                    (Some(_), None) => false,
                    (None, Some(_)) => free(field),
                    (None, None) => true,
                })
    }
}

#[derive(Clone, Debug)]
struct Model {
    scopes: Option<BTreeSet<&'static str>>,
    targets: Option<BTreeSet<&'static str>>,
    spaces: Option<BTreeSet<&'static str>>,
    details: Option<Vec<DetailModel>>,
    expires: Option<u64>,
}

impl Model {
    fn build(&self) -> Authority {
        let mut authority = Authority::unbounded();
        if let Some(scopes) = &self.scopes {
            authority = authority.with_scopes(scopes.iter().copied().collect());
        }
        if let Some(targets) = &self.targets {
            authority = authority.with_targets(targets.iter().copied());
        }
        if let Some(spaces) = &self.spaces {
            authority = authority
                .with_namespaces(spaces.iter().map(|text| Namespace::parse(text).unwrap()));
        }
        if let Some(details) = &self.details {
            let array: Value = details.iter().map(DetailModel::json).collect();
            let request = details[0].request;
            let read: Details = if request {
                types().request(&array.to_string())
            } else {
                types().grant(&array)
            }
            .unwrap();
            authority = authority.with_details(read);
        }
        if let Some(expires) = self.expires {
            authority = authority.with_expiry(expires);
        }
        authority
    }

    fn permits(&self, wish: &Wish) -> bool {
        let within = |space: &str| match space.strip_suffix('*') {
            Some(prefix) => wish.callee.is_some_and(|callee| callee.starts_with(prefix)),
            None => wish.callee == Some(space),
        };
        let detail = |detail: &DetailModel| match &wish.detail {
            Some((name, fields)) => detail.covers(name, fields),
            None => true,
        };
        self.scopes
            .as_ref()
            .is_none_or(|set| set.contains(wish.scope))
            && self
                .targets
                .as_ref()
                .is_none_or(|set| set.contains(wish.target))
            && self
                .spaces
                .as_ref()
                .is_none_or(|set| set.iter().any(|space| within(space)))
            && self
                .details
                .as_ref()
                .is_none_or(|all| wish.detail.is_none() || all.iter().any(detail))
            && self.expires.is_none_or(|expires| wish.now < expires)
    }
}

#[derive(Clone, Debug)]
struct Wish {
    scope: &'static str,
    target: &'static str,
    callee: Option<&'static str>,
    detail: Option<(&'static str, BTreeMap<&'static str, &'static str>)>,
    now: u64,
}

impl Wish {
    fn permitted_by(&self, authority: &Authority) -> bool {
        let callee = self.callee.map(|id| SpiffeId::parse(id).unwrap());
        let detail = self.detail.as_ref().map(|(name, fields)| {
            let fields = fields
                .iter()
                .map(|(field, value)| (*field, [*value].into()))
                .collect();
            let model = DetailModel {
                name,
                fields,
                request: false,
            };
            types().grant(&json!([model.json()])).unwrap()
        });
        authority.permits(&Action {
            scope: self.scope,
            target: self.target,
            callee: callee.as_ref().map(SpiffeId::as_spiffe_id_ref),
            detail: detail.as_ref().map(|details| &details.as_slice()[0]),
            now: UnixTime::since_unix_epoch(Duration::from_secs(self.now)),
        })
    }
}

fn sets<const N: usize>(all: [&'static str; N]) -> impl Strategy<Value = BTreeSet<&'static str>> {
    proptest::sample::subsequence(all.to_vec(), 0..=N).prop_map(|items| items.into_iter().collect())
}

type Values = Option<Vec<&'static str>>;

fn details() -> impl Strategy<Value = Vec<DetailModel>> {
    let values = || option::of(proptest::sample::subsequence(VALUES.to_vec(), 1..=3));
    let one = (
        prop_oneof![Just("p"), Just("q")],
        values(),
        values(),
        option::of(proptest::sample::select(VALUES.to_vec())),
    );
    (any::<bool>(), proptest::collection::vec(one, 1..4)).prop_map(|(request, all)| {
        let model =
            |(name, actions, locations, creditor): (_, Values, Values, Option<&'static str>)| {
                let fields = [
                    ("actions", actions),
                    ("locations", locations),
                    ("creditor", creditor.map(|one| vec![one])),
                ];
                let fields = fields
                    .into_iter()
                    .filter_map(|(name, values)| Some((name, values?.into_iter().collect())));
                DetailModel {
                    name,
                    fields: fields.collect(),
                    request,
                }
            };
        all.into_iter().map(model).collect()
    })
}

fn model() -> impl Strategy<Value = Model> {
    (
        option::of(sets(SCOPES)),
        option::of(sets(TARGETS)),
        option::of(sets(SPACES)),
        option::of(details()),
        option::of(0_u64..4),
    )
        .prop_map(|(scopes, targets, spaces, details, expires)| Model {
            scopes,
            targets,
            spaces,
            details,
            expires,
        })
}

fn wish() -> impl Strategy<Value = Wish> {
    let select = |all: &[&'static str]| proptest::sample::select(all.to_vec());
    // `locations` is always stated: for type `q` a grant without it leaves it open.
    let fields = (
        option::of(select(&VALUES)),
        select(&VALUES),
        option::of(select(&VALUES)),
    );
    let detail = (prop_oneof![Just("p"), Just("q")], fields).prop_map(
        |(name, (actions, locations, creditor))| {
            let fields = [
                ("actions", actions),
                ("locations", Some(locations)),
                ("creditor", creditor),
            ];
            (
                name,
                fields
                    .into_iter()
                    .filter_map(|(name, value)| Some((name, value?)))
                    .collect(),
            )
        },
    );
    (
        select(&SCOPES),
        select(&TARGETS),
        option::of(select(&CALLEES)),
        option::of(detail),
        0_u64..4,
    )
        .prop_map(|(scope, target, callee, detail, now)| Wish {
            scope,
            target,
            callee,
            detail,
            now,
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Covers: RFC8693-SPLICE-12, RFC8693-2.1.1-1, RAR-6.1-2, RAR-6.1-6, RAR-2.2-7, RAR-2.2-9, RAR-A3, RAR-A6, RAR-A8,
    /// Covers: RAR-6.1-5, RAR-2-3
    ///
    /// An intersection permits what both permit, judged by the model.
    #[test]
    fn an_intersection_permits_exactly_what_both_permit(a in model(), b in model(), wish in wish()) {
        let (one, two) = (a.build(), b.build());
        prop_assert_eq!(wish.permitted_by(&one), a.permits(&wish));
        prop_assert_eq!(wish.permitted_by(&two), b.permits(&wish));
        prop_assert_eq!(wish.permitted_by(&one.intersect(&two)), a.permits(&wish) && b.permits(&wish));
    }

    /// Covers: RFC8693-SPLICE-12
    #[test]
    fn the_order_of_ceilings_does_not_matter(a in model(), b in model(), c in model()) {
        let (a, b, c) = (a.build(), b.build(), c.build());
        prop_assert_eq!(a.intersect(&b), b.intersect(&a));
        prop_assert_eq!(a.intersect(&b).intersect(&c), a.intersect(&b.intersect(&c)));
        prop_assert_eq!(&a.intersect(&a), &a);
        prop_assert_eq!(&a.intersect(&Authority::unbounded()), &a);
        prop_assert_eq!(Authority::intersection([&a, &b, &c]), c.intersect(&b).intersect(&a));
    }

    /// Covers: RFC8693-SPLICE-12, RAR-6.1-6
    #[test]
    fn narrowing_is_monotone(a in model(), b in model(), c in model()) {
        let (a, b, c) = (a.build(), b.build(), c.build());
        let both = a.intersect(&b);
        prop_assert!(both.is_within(&a) && both.is_within(&b));
        prop_assert!(a.is_within(&a));
        prop_assert!(both.intersect(&c).is_within(&a.intersect(&c)));
        if c.is_within(&both) {
            prop_assert!(c.is_within(&a) && c.is_within(&b));
        }
    }
}

/// Covers: RAR-2-1, RAR-2-2, RAR-2.2-1, RAR-2.2-2, RAR-2.2-3, RAR-2.2-4, RAR-2.2-5, RAR-5-1, RAR-5-2, RAR-5-4, RAR-8-1,
/// Covers: RAR-L-1, RAR-A2, RAR-A5, RAR-A7, RAR-A10, RAR-3-1, RAR-9.1-2
#[test]
fn details_are_read_strictly() {
    let types = types();
    let refuse = |text: &str| match types.request(text) {
        Err(error) => assert_eq!(error, Error::InvalidAuthorizationDetails),
        Ok(details) => panic!("{text}: {details:?}"),
    };
    for text in [
        "",
        "{}",
        "[]",
        "null",
        r#""p""#,
        "[1]",
        "[{}]",
        r#"[{"type":""}]"#,
        r#"[{"type":1}]"#,
        r#"[{"type":"unknown"}]"#,
        r#"[{"type":"P"}]"#,
        "[{\"type\":\"\u{0440}\"}]",
        r#"[{"type":"p","type":"q"}]"#,
        r#"[{"type":"p"},{"type":"unknown"}]"#,
        r#"[{"type":"p","actions":"1"}]"#,
        r#"[{"type":"p","actions":[1]}]"#,
        r#"[{"type":"p","actions":[]}]"#,
        r#"[{"type":"p","locations":{}}]"#,
        r#"[{"type":"p","datatypes":null}]"#,
        r#"[{"type":"p","privileges":[["a"]]}]"#,
        r#"[{"type":"p","identifier":["a"]}]"#,
        r#"[{"type":"p"}] x"#,
        r#"[{"type":"p","n":1E400}]"#,
    ] {
        refuse(text);
    }
    let deep = |levels: usize| {
        format!(
            r#"[{{"type":"p","x":{}1{}}}]"#,
            "[".repeat(levels),
            "]".repeat(levels)
        )
    };
    types.request(&deep(6)).unwrap();
    refuse(&deep(7));
    let many = |count: usize| json!(vec![json!({"type": "p"}); count]).to_string();
    types.request(&many(32)).unwrap();
    refuse(&many(33));
    let values = |count: usize| {
        let values: Vec<_> = (0..count).map(|i| i.to_string()).collect();
        json!([{"type": "p", "actions": values}]).to_string()
    };
    types.request(&values(256)).unwrap();
    refuse(&values(257));
    refuse(&json!([{"type": "p", "actions": ["x".repeat(16 * 1024)]}]).to_string());
    let nothing = types.grant(&json!([{"type": "p", "actions": []}])).unwrap();
    assert!(nothing.as_slice().is_empty());
}

/// Covers: RAR-12-1, RAR-A4, RAR-A11, RAR-6.1-1
#[test]
fn values_are_compared_exactly() {
    let types = types();
    let covers = |granted: Value, wanted: Value| {
        let granted = types.grant(&json!([granted])).unwrap();
        granted.covers(&types.grant(&json!([wanted])).unwrap().as_slice()[0])
    };
    let at = |location: &str| json!({"type": "p", "locations": [location]});
    let place = "https://example.com/payments";
    assert!(covers(at(place), at(place)));
    for other in [
        "https://example.com/payments.evil",
        "https://example.com/payments/",
        "https://EXAMPLE.com/payments",
        "https://example.com/payment",
    ] {
        assert!(!covers(at(place), at(other)), "{other}");
        assert!(!covers(at(other), at(place)), "{other}");
    }
    let amount = |number: Value| json!({"type": "p", "amount": number});
    assert!(covers(amount(json!(100)), amount(json!(1e2))));
    assert!(!covers(amount(json!(100)), amount(json!(101))));
    assert!(!covers(amount(json!("100")), amount(json!(100))));
    assert!(covers(amount(json!(0)), amount(json!(-0.0))));
    let large = |number: u64| amount(json!(number));
    assert!(covers(large(1 << 53), large(1 << 53)));
    assert!(!covers(large(1 << 53), large((1 << 53) + 1)));
    let requested = |number: &str| types.request(&format!(r#"[{{"type":"p","amount":{number}}}]"#));
    assert!(requested("9007199254740993").is_ok() && requested("123.50").is_ok());
    // What a double would round could be another amount.
    for number in [
        "18446744073709551616",
        "100000000000000000001",
        "0.10000000000000001",
        "1e400",
        "1e-400",
    ] {
        assert_eq!(
            requested(number).err(),
            Some(Error::InvalidAuthorizationDetails),
            "{number}"
        );
    }
    assert!(
        types
            .grant(&json!([{"type": "p", "amount": 1e20}]))
            .is_err()
    );
    assert!(
        types
            .grant(&json!([{"type": "p", "o": {"a": [1e20]}}]))
            .is_err()
    );
    assert!(covers(
        json!({"type": "p", "o": {"a": 1, "b": 2}}),
        json!({"type": "p", "o": {"b": 2, "a": 1}})
    ));
    assert!(!covers(
        json!({"type": "p", "o": {"a": 1}}),
        json!({"type": "p", "o": {"a": 1, "b": 2}})
    ));
}

/// Covers: RFC8693-2.1-6, RFC8693-4.2-1
#[test]
fn scopes_are_case_sensitive_tokens() {
    let set = ScopeSet::parse("b a  b").unwrap();
    assert_eq!(set.to_string(), "a b");
    assert!(set.contains("a") && !set.contains("A"));
    // They are the same set, however they are written.
    for text in ["a b", " a b", "a b ", "a  b", "b a", "a a b", "a b b"] {
        assert_eq!(ScopeSet::parse(text).as_ref(), Ok(&set), "{text:?}");
    }
    for text in ["", " ", "  "] {
        assert!(ScopeSet::parse(text).unwrap().is_empty(), "{text:?}");
    }
    for text in ["a\"b", "a\\b", "a\tb", "a\nb", "\u{e9}", "a\u{7f}"] {
        assert_eq!(ScopeSet::parse(text), Err(Error::InvalidScope), "{text:?}");
    }
    let many = |count: usize| {
        (0..count)
            .map(|i| i.to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert!(ScopeSet::parse(&many(256)).is_ok());
    assert_eq!(ScopeSet::parse(&many(257)), Err(Error::InvalidScope));
}
