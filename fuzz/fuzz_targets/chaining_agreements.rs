//! An accepted file of agreements fulfils every rule that can be told from the file, judged by an ordinary JSON reader, and means
//! the same when it is read from another format.
#![no_main]

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use jose_x509::provider::ring::provider;
use jose_x509::{Algorithm, KeySource, SigningKey, VerifyingKey};
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};
use token_exchange::ScopeSet;
use txn_token::chaining::{AgreementKeys, AgreementsFile};

const PSEUDONYMS: &str = "humans-2026";
const PARTNER: &str = "https://as.a.example";

static KEY: LazyLock<Arc<VerifyingKey>> = LazyLock::new(|| {
    let key = SigningKey::generate(&provider(), Algorithm::Ed25519).expect("a key");
    Arc::new(key.with_kid("k").verifying_key().expect("a key"))
});

struct Keys;

impl AgreementKeys for Keys {
    fn pseudonym_key(&self, name: &str) -> Option<[u8; 32]> {
        (name == PSEUDONYMS).then_some([9; 32])
    }

    fn grant_keys(&self, issuer: &str) -> Option<Arc<dyn KeySource + Send + Sync>> {
        (issuer == PARTNER).then(|| KEY.clone() as _)
    }
}

fuzz_target!(|text: &[u8]| {
    let Ok(file) = AgreementsFile::from_json(text) else {
        return;
    };
    let json: Value = serde_json::from_slice(text).expect("an accepted file is JSON");
    let again: AgreementsFile = serde_json::from_value(json.clone()).expect("of the same form");
    let read = file.read(&Keys);
    assert_eq!(format!("{read:?}"), format!("{:?}", again.read(&Keys)));
    let Ok(agreements) = read else {
        return;
    };
    let (outbound, inbound) = (list(&json, "outbound"), list(&json, "inbound"));
    assert_eq!(agreements.outbound.len(), outbound.len());
    assert_eq!(agreements.inbound.len(), inbound.len());
    assert!(!outbound.is_empty() || !inbound.is_empty());
    distinct(&outbound, "partner");
    distinct(&inbound, "issuer");
    outbound.into_iter().for_each(check_outbound);
    inbound.into_iter().for_each(check_inbound);
});

fn list<'v>(value: &'v Value, name: &str) -> Vec<&'v Map<String, Value>> {
    let list = value.get(name).and_then(Value::as_array);
    let object = |one: &'v Value| one.as_object().expect("an object");
    list.into_iter().flatten().map(object).collect()
}

fn distinct(list: &[&Map<String, Value>], name: &str) {
    let names: BTreeSet<&str> = list.iter().filter_map(|one| one[name].as_str()).collect();
    assert_eq!(names.len(), list.len(), "{name}");
}

fn scopes(value: &Value) -> ScopeSet {
    let scopes = ScopeSet::parse(value.as_str().expect("a text")).expect("scopes");
    assert!(!scopes.is_empty() && !scopes.iter().any(|scope| scope.contains('*')));
    scopes
}

fn check_algorithms(one: &Map<String, Value>) {
    if let Some(names) = one.get("algorithms").and_then(Value::as_array) {
        assert!(!names.is_empty());
        for name in names {
            assert!(name.as_str().and_then(Algorithm::from_name).is_some());
        }
    }
}

fn check_outbound(one: &Map<String, Value>) {
    let partner = one["partner"].as_str().expect("a partner");
    assert!(partner.starts_with("https://"), "{partner}");
    let common = one
        .get("common_scopes")
        .is_some_and(|common| *common == true);
    match one.get("scopes").and_then(Value::as_object) {
        Some(table) => {
            assert!(!common);
            table.values().for_each(|there| _ = scopes(there));
        }
        None => assert!(common),
    }
    for name in ["subjects", "resources", "clients"] {
        assert!(
            one[name].as_array().is_some_and(|list| !list.is_empty()),
            "{name}"
        );
    }
    let clients = one["clients"].as_array().into_iter().flatten();
    assert!(clients.into_iter().all(|client| client != ""));
    let subjects = one["subjects"].as_array().into_iter().flatten();
    for subject in subjects {
        let has = |name: &str| subject.get(name).is_some_and(Value::is_string);
        assert!(
            !(has("prefix") && has("trust_domain"))
                && subject.get("prefix").is_none_or(|prefix| prefix != "")
        );
        assert!(subject["to"] != "without_prefix" || has("prefix"));
        if let Some(key) = subject["to"].get("pairwise") {
            assert_eq!(key, PSEUDONYMS);
        }
    }
    if let Some(key) = one.get("txn").and_then(|txn| txn.get("pairwise")) {
        assert_eq!(key, PSEUDONYMS);
    }
    check_algorithms(one);
}

fn check_inbound(one: &Map<String, Value>) {
    assert_eq!(one["issuer"], PARTNER);
    let all = scopes(&one["scopes"]);
    if let Some(default) = one
        .get("default_scopes")
        .filter(|default| !default.is_null())
    {
        assert!(scopes(default).is_subset(&all));
    }
    check_algorithms(one);
}
