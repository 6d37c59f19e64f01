//! An accepted chain has named actors, a bounded depth, and one JSON form; growing it loses nobody.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use token_exchange::{ActorChain, MayAct, Party};

fuzz_target!(|text: &[u8]| {
    let Ok(value) = serde_json::from_slice::<Value>(text) else {
        return;
    };
    if let Ok(may_act) = MayAct::from_value(&value) {
        assert_eq!(may_act.to_value(), value);
        assert!(!may_act.names(&Party::new("")));
    }
    let Ok(chain) = ActorChain::from_value(&value) else {
        return;
    };
    assert!((1..=16).contains(&chain.depth()));
    let mut level = Some(&value);
    for party in chain.iter() {
        let members = level.expect("one level for each actor");
        assert_eq!(members["sub"], party.subject());
        assert_eq!(members.get("iss").and_then(Value::as_str), party.issuer());
        assert!(members.get("exp").is_none() && members.get("cnf").is_none());
        level = members.get("act");
    }
    assert!(level.is_none());
    assert_eq!(
        ActorChain::from_value(&chain.to_value()).as_ref(),
        Ok(&chain)
    );

    let (actor, user) = (Party::new("a new actor"), Party::new("a user"));
    if let Ok(longer) = ActorChain::extend(Some(&chain), actor.clone(), &user, 8) {
        let before: Vec<_> = chain.iter().collect();
        let after: Vec<_> = longer.iter().collect();
        assert!(after.ends_with(&before));
        assert!(longer.current().may_be(&actor));
    }
});
