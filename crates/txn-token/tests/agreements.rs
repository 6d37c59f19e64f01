//! Agreements that are read from files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[path = "support/domains.rs"]
mod domains;
#[path = "support/schema.rs"]
mod schema;
mod support;

use std::sync::Arc;

use domains::*;
use jose_x509::{KeySource, VerifyingKey};
use serde_json::{Value, json};
use support::*;
use txn_token::chaining::*;
use txn_token::*;

/// The keys that the files below name.
struct Keys(Arc<VerifyingKey>);

impl AgreementKeys for Keys {
    fn pseudonym_key(&self, name: &str) -> Option<[u8; 32]> {
        (name == "humans-2026").then_some([9; 32])
    }

    fn grant_keys(&self, issuer: &str) -> Option<Arc<dyn KeySource + Send + Sync>> {
        (issuer == A).then(|| self.0.clone() as _)
    }
}

const FILE: &str = r#"
[[outbound]]
partner = "https://as.spamsvc.example"
not_after = 1900000000
resources = ["https://api.spamsvc.example/spam-rating"]
clients = ["spiffe://enterprise.example/mail-gateway"]
lifetime = 90
algorithms = ["ES256", "EdDSA"]

[outbound.scopes]
mail-delivery = "spam.rating.read"
telemetry-aggregation = "telemetry.put telemetry.get"

[[outbound.subjects]]
kind = "system"
prefix = "system:"
to = "without_prefix"

[[outbound.subjects]]
kind = "workload"
trust_domain = "enterprise.example"
[outbound.subjects.to.table]
"spiffe://enterprise.example/telemetry/nightly-agg" = "agg-at-b"

[[outbound.subjects]]
kind = "human"
prefix = "user-"
to = { pairwise = "humans-2026" }

[outbound.disclose]
scope = true
rctx = ["smtp_from"]

[[inbound]]
issuer = "https://as.enterprise.example"
not_after = 1900000000
scopes = "spam.rating.read spam.rating.write"
claims = ["scope", "rctx"]
txn_required = true
"#;

fn file() -> Value {
    toml::from_str(FILE).unwrap()
}

fn schema_accepts(file: &Value) -> bool {
    let text = include_str!("../chaining-agreements.schema.json");
    let schema = serde_json::from_str(text).unwrap();
    schema::accepts(&schema, &schema, file)
}

/// What a file says is what the two ends then do: `txn` goes across, the grant is good once, and what the file does not permit
/// is refused.
///
/// Covers: TXN-CHAIN-2.2-1, TXN-CHAIN-9.6-1
#[test]
fn a_file_is_an_agreement() {
    let domains = Domains::new();
    let keys = Keys(public(&domains.key));
    let from_toml: AgreementsFile = toml::from_str(FILE).unwrap();
    let from_json = AgreementsFile::from_json(file().to_string().as_bytes()).unwrap();
    assert!(schema_accepts(&file()));
    for read in [from_toml, from_json] {
        let Agreements {
            outbound, inbound, ..
        } = read.read(&keys).unwrap();
        let [outbound] = <[_; 1]>::try_from(outbound).unwrap();
        let [inbound] = <[_; 1]>::try_from(inbound).unwrap();
        let a = domains.a_with(outbound);
        let b = domains.b_with(inbound, Arc::new(Domains::subjects()));
        let token = domains.token(json!({}));
        let claims = exchange(&a, &leg_1(&token)).unwrap();
        assert_eq!(claims["sub"], "mail-gateway@enterprise.example");
        assert_eq!(claims["scope"], "spam.rating.read");
        assert_eq!(claims["txn"], "a9b2c3d4-e5f6-7890-abcd-ef1234567890");
        let told =
            json!({"scope": "mail-delivery", "rctx": {"smtp_from": "sender@external.example"}});
        assert_eq!(claims["txn_claims"], told);
        assert_eq!(claims["exp"].as_u64(), Some(NOW + 90));

        let grant = sign_with(&domains.key, Some("txn-chain+jwt"), &Value::Object(claims));
        let chained = redeem(&b, &grant, &[]).unwrap();
        assert_eq!(chained.access.subject, "customer-7");
        assert_eq!(chained.txn(), Some("a9b2c3d4-e5f6-7890-abcd-ef1234567890"));
        assert!(redeem(&b, &grant, &[]).is_err(), "a second time");
        let nameless = domains.grant(json!({"txn": null}));
        assert!(redeem(&b, &nameless, &[]).is_err(), "without `txn`");

        let human = domains.token(json!({"sub": "user-4821"}));
        let pseudonym = exchange(&a, &leg_1(&human)).unwrap();
        assert_ne!(pseudonym["sub"], "user-4821");
        let unknown = domains.token(json!({"sub": "robot-1"}));
        assert!(exchange(&a, &leg_1(&unknown)).is_err());
        let other = client("spiffe://enterprise.example/other");
        let refused = a.exchange(&post(&[]), &form(&leg_1(&token)), Some(&other), now());
        assert!(refused.is_err());
    }

    let mut suspended = file();
    suspended["outbound"][0]["suspended"] = json!(true);
    suspended["inbound"][0]["suspended"] = json!(true);
    let read = AgreementsFile::from_json(suspended.to_string().as_bytes()).unwrap();
    let agreements = read.read(&keys).unwrap();
    let a = domains.a_with(agreements.outbound[0].clone());
    assert!(exchange(&a, &leg_1(&domains.token(json!({})))).is_err());
    let b = domains.b_with(agreements.inbound[0].clone(), Arc::new(Domains::subjects()));
    assert!(redeem(&b, &domains.grant(json!({})), &[]).is_err());
}

/// Covers: TXN-CHAIN-9.6-1
#[test]
fn a_file_with_a_mistake_makes_no_agreement() {
    use AgreementProblem::{
        Algorithm, Empty, Entry, HiddenClaim, Key, Lifetime, Repeated, Scope, Syntax,
    };
    let keys = Keys(public(&key("k")));
    let read = |file: &Value| {
        AgreementsFile::from_json(file.to_string().as_bytes()).and_then(|file| file.read(&keys))
    };
    assert!(read(&file()).is_ok());
    let out = |name: &str| format!("/outbound/0{name}");
    let sub = |name: &str| format!("/outbound/0/subjects/0{name}");
    let inn = |name: &str| format!("/inbound/0{name}");
    // Whether the schema sees it too.
    let cases = [
        (out("/partners"), json!("https://x.example"), Syntax, true),
        (out("/scopes/a"), json!(["b"]), Syntax, true),
        (out("/not_after"), json!("soon"), Syntax, true),
        (out("/not_after"), json!(null), Syntax, true),
        (out("/disclose/everything"), json!(true), Syntax, true),
        (out("/disclose/rctx"), json!(["req_wl"]), HiddenClaim, false),
        (out("/scopes/*"), json!("a"), Scope, false),
        (out("/scopes/a"), json!("b*"), Scope, false),
        (out("/scopes/a"), json!(""), Scope, false),
        (out("/common_scopes"), json!(true), Scope, false),
        (out("/lifetime"), json!(301), Lifetime, false),
        (out("/lifetime"), json!(0), Lifetime, true),
        (out("/algorithms"), json!(["HS256"]), Algorithm, false),
        (out("/algorithms"), json!([]), Algorithm, true),
        (out("/txn"), json!({"pairwise": "humans-2025"}), Key, false),
        (out("/txn"), json!({"copy": "x"}), Syntax, true),
        (out("/clients"), json!([]), Entry, true),
        (out("/clients"), json!([""]), Entry, false),
        (out("/subjects"), json!([]), Entry, true),
        (out("/resources"), json!(["api"]), Entry, false),
        (sub("/kind"), json!("robot"), Syntax, true),
        (sub("/to"), json!("as_it_is"), Syntax, true),
        (sub("/to"), json!({"pairwise": "none"}), Key, false),
        (sub("/prefix"), json!(""), Entry, false),
        (sub("/trust_domain"), json!("a.example"), Entry, false),
        (sub("/match"), json!("all"), Syntax, true),
        (
            inn("/issuer"),
            json!("https://as.other.example"),
            Key,
            false,
        ),
        (inn("/scopes"), json!(""), Scope, false),
        (inn("/default_scopes"), json!("admin"), Scope, false),
        (inn("/trusted"), json!(true), Syntax, true),
    ];
    for (place, value, problem, in_schema) in cases {
        let mut wrong = file();
        let (parent, name) = place.rsplit_once('/').unwrap();
        let parent = wrong.pointer_mut(parent).unwrap().as_object_mut().unwrap();
        if value.is_null() {
            parent.remove(name);
        } else {
            parent.insert(name.to_owned(), value);
        }
        let refused = read(&wrong).unwrap_err();
        assert_eq!(refused, Error::Agreement(problem), "{place}");
        assert_eq!(refused.fault(), jose_x509::Fault::Configuration);
        assert_eq!(schema_accepts(&wrong), !in_schema, "{place}");
    }
    for (place, value) in [
        (out("/partner"), "http://as.spamsvc.example"),
        (inn("/issuer"), "as.enterprise.example"),
    ] {
        let mut wrong = file();
        *wrong.pointer_mut(&place).unwrap() = value.into();
        assert!(read(&wrong).is_err() && !schema_accepts(&wrong), "{place}");
    }
    let mut twice = file();
    let again = twice["inbound"][0].clone();
    twice["inbound"].as_array_mut().unwrap().push(again);
    assert_eq!(read(&twice).unwrap_err(), Error::Agreement(Repeated));
    assert_eq!(read(&json!({})).unwrap_err(), Error::Agreement(Empty));
    let twice_named = br#"{"outbound": [], "outbound": []}"#;
    let refused = AgreementsFile::from_json(twice_named).unwrap_err();
    assert_eq!(refused, Error::Agreement(Syntax));
    assert!(toml::from_str::<AgreementsFile>("outbounds = []").is_err());
}
