//! `act` and `may_act`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use proptest::prelude::*;
use serde_json::{Value, json};
use token_exchange::{ActorChain, Error, MayAct, Party};

fn nested(depth: usize) -> Value {
    (1..depth).fold(
        json!({"sub": "a0"}),
        |act, i| json!({"sub": format!("a{i}"), "act": act}),
    )
}

/// Covers: RFC8693-4.1-1, RFC8693-4.1-4, RFC8693-4.1-5, RFC8693-A8
#[test]
fn the_outermost_actor_is_the_current_one() {
    let value = json!({"sub": "now", "iss": "https://i.example", "act": {"sub": "before", "act": {"sub": "first"}}});
    let chain = ActorChain::from_value(&value).unwrap();
    assert_eq!(
        chain.current(),
        &Party::with_issuer("now", "https://i.example")
    );
    assert_eq!(
        chain.informational_history(),
        [Party::new("before"), Party::new("first")]
    );
    assert_eq!(chain.depth(), 3);
    assert_eq!(chain.to_value(), value);
}

/// Covers: RFC8693-4.1-1, RFC8693-4.1-2, RFC8693-4.1-3
#[test]
fn an_actor_is_an_identity_and_nothing_else() {
    let mut cases = vec![
        json!("a"),
        json!(null),
        json!([{"sub": "a"}]),
        json!({}),
        json!({"sub": ""}),
        json!({"sub": 1}),
        json!({"sub": "a", "iss": ""}),
        json!({"sub": "a", "iss": ["x"]}),
        json!({"sub": "a", "act": "b"}),
        json!({"sub": "a", "act": {}}),
        json!({"sub": "a", "act": null}),
    ];
    for member in ["exp", "nbf", "iat", "aud", "jti", "scope", "cnf"] {
        cases.push(json!({"sub": "a", (member): 1}));
        cases.push(json!({"sub": "a", "act": {"sub": "b", (member): "x"}}));
    }
    for value in cases {
        assert_eq!(
            ActorChain::from_value(&value),
            Err(Error::MalformedActor { claim: "act" }),
            "{value}"
        );
    }
}

/// Covers: RFC8693-SPLICE-11, RFC8693-A9
#[test]
fn depth_is_bounded_in_reading_and_in_growing() {
    assert_eq!(ActorChain::from_value(&nested(16)).unwrap().depth(), 16);
    assert_eq!(
        ActorChain::from_value(&nested(17)),
        Err(Error::ChainTooDeep { limit: 16 })
    );
    let user = Party::new("user");
    let four = ActorChain::from_value(&nested(4)).unwrap();
    let grown = |limit| ActorChain::extend(Some(&four), Party::new("new"), &user, limit);
    assert_eq!(grown(4), Err(Error::ChainTooDeep { limit: 4 }));
    assert_eq!(grown(5).unwrap().depth(), 5);
    let sixteen = ActorChain::from_value(&nested(16)).unwrap();
    let refused = ActorChain::extend(Some(&sixteen), Party::new("new"), &user, usize::MAX);
    assert_eq!(refused, Err(Error::ChainTooDeep { limit: 16 }));
}

/// Covers: RFC8693-SPLICE-10, RFC8693-A9
#[test]
fn nobody_acts_twice_or_for_itself() {
    let user = Party::with_issuer("user", "https://as.example");
    let chain = ActorChain::from_value(
        &json!({"sub": "now", "act": {"sub": "before", "iss": "https://i.example"}}),
    )
    .unwrap();
    let extend = |actor| ActorChain::extend(Some(&chain), actor, &user, 9);
    assert_eq!(extend(Party::new("before")), Err(Error::ChainCycle));
    assert_eq!(
        extend(Party::with_issuer("before", "https://i.example")),
        Err(Error::ChainCycle)
    );
    assert_eq!(
        extend(Party::with_issuer("before", "https://j.example"))
            .unwrap()
            .depth(),
        3
    );
    assert_eq!(extend(Party::new("user")), Err(Error::ChainCycle));
    assert_eq!(extend(user.clone()), Err(Error::ChainCycle));
    assert_eq!(extend(Party::new("now")).unwrap(), chain);
    assert_eq!(
        ActorChain::extend(None, user.clone(), &user, 9),
        Err(Error::ChainCycle)
    );
}

/// Covers: RFC8693-4.4-1, RFC8693-4.4-2, RFC8693-A6
#[test]
fn may_act_names_exactly_one_party() {
    let may = MayAct::from_value(&json!({"sub": "agent", "iss": "https://i.example"})).unwrap();
    assert!(may.names(&Party::with_issuer("agent", "https://i.example")));
    assert!(!may.names(&Party::new("agent")));
    assert!(!may.names(&Party::with_issuer("agent", "https://j.example")));
    assert!(!may.names(&Party::with_issuer("Agent", "https://i.example")));
    let by_mail = MayAct::from_value(&json!({"sub": "agent", "email": "a@b.example"})).unwrap();
    assert!(!by_mail.names(&Party::new("agent")));
    assert_eq!(by_mail.to_value()["email"], "a@b.example");
    for value in [
        json!("agent"),
        json!({}),
        json!({"sub": ""}),
        json!({"iss": "x"}),
        json!({"sub": "a", "exp": 1}),
    ] {
        assert_eq!(
            MayAct::from_value(&value),
            Err(Error::MalformedActor { claim: "may_act" }),
            "{value}"
        );
    }
    let party = Party::with_issuer("a", "b");
    assert_eq!(
        MayAct::from_value(&MayAct::new(&party).to_value()).unwrap(),
        MayAct::new(&party)
    );
}

fn party() -> impl Strategy<Value = Party> {
    ("[a-e]{1,2}", proptest::option::of("[x-z]")).prop_map(|(subject, issuer)| match issuer {
        Some(issuer) => Party::with_issuer(subject, issuer),
        None => Party::new(subject),
    })
}

proptest! {
    /// Covers: RFC8693-SPLICE-9, RFC8693-SPLICE-10, RFC8693-A7, RFC8693-A4
    ///
    /// However a chain grows, it loses nobody, keeps its order, repeats nobody, and survives its JSON form.
    #[test]
    fn a_chain_only_grows_at_its_head(actors in proptest::collection::vec(party(), 1..12), user in party()) {
        let mut chain: Option<ActorChain> = None;
        for actor in actors {
            let known: Vec<Party> = chain.iter().flat_map(ActorChain::iter).cloned().collect();
            match ActorChain::extend(chain.as_ref(), actor.clone(), &user, 6) {
                Ok(next) => {
                    let now: Vec<Party> = next.iter().cloned().collect();
                    prop_assert!(now.ends_with(&known));
                    prop_assert!(now.len() <= known.len() + 1);
                    if now.len() == known.len() {
                        prop_assert!(known[0].may_be(&actor));
                    } else {
                        prop_assert_eq!(&now[0], &actor);
                        prop_assert!(!known.iter().chain([&user]).any(|one| one.may_be(&actor)));
                    }
                    let text = next.to_value().to_string();
                    let read: Value = serde_json::from_str(&text).unwrap();
                    prop_assert_eq!(ActorChain::from_value(&read).unwrap(), next.clone());
                    chain = Some(next);
                }
                Err(Error::ChainTooDeep { .. }) => prop_assert_eq!(known.len(), 6),
                Err(error) => {
                    prop_assert_eq!(error, Error::ChainCycle);
                    prop_assert!(known.iter().skip(1).chain([&user]).any(|one| one.may_be(&actor)));
                }
            }
        }
    }
}
