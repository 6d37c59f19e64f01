//! What two authorities have in common: scopes and authorization details, in growing numbers.

use std::hint::black_box;

use serde_json::{Value, json};
use token_exchange::authority::Details;
use token_exchange::{Authority, DetailType, DetailTypes, ScopeSet};

use super::{Planned, with_yardstick};
use crate::bar::Bar;
use crate::harness::{Case, Work};

const SMALLER: &str = "a tenth of it, ten times";

pub(super) fn plan(cases: &mut Vec<Planned>) {
    // Scopes, and a fifth of that many details.
    for scopes in [10, 100, 1000] {
        let name = format!("authority-intersect-{scopes}x{}", scopes / 5);
        cases.push(Planned::new(name, move |name| case(name, scopes)));
    }
}

fn case(name: &str, scopes: usize) -> Case {
    let case =
        with_yardstick(Case::new(name, intersection(scopes, 1)).floor("nothing", Work::new(|| ())));
    match scopes {
        10 => case.bar(Bar::OverFloor { at_most: 2000.0 }),
        100 => case.bar(Bar::OverFloor { at_most: 20_000.0 }),
        _ => case
            .peer(SMALLER, intersection(scopes / 10, 10))
            .bar(Bar::Ratio {
                peer: SMALLER,
                at_most: 1.5,
            }),
    }
}

/// A grant and a request that share half of their scopes and half of their details.
fn intersection(scopes: usize, times: usize) -> Work {
    let (grant, request) = (authority(scopes, 0), authority(scopes, scopes / 2));
    let both = grant.intersect(&request);
    let left = both.details.only().expect("a bound").as_slice().len();
    assert_eq!(left, (scopes / 5).div_ceil(2), "half is left");
    Work::new(move || {
        for _ in 1..times {
            black_box(black_box(&grant).intersect(black_box(&request)));
        }
        black_box(&grant).intersect(black_box(&request))
    })
}

/// With the scopes from `first` on.
fn authority(scopes: usize, first: usize) -> Authority {
    let names: Vec<String> = (first..first + scopes)
        .map(|number| format!("service-{number:04}.records.read"))
        .collect();
    Authority::unbounded()
        .with_scopes(names.iter().map(String::as_str).collect::<ScopeSet>())
        .with_details(details(scopes / 5, first / 5))
}

/// Details of accounts from `first` on, each with one operation that is allowed there: 2, 20 or 200 of them. A list has 32 at
/// most, so they are what a list of accounts and one of operations have in common.
fn details(count: usize, first: usize) -> Details {
    let operations = (count / 10).div_ceil(2).max(1);
    let accounts = count / operations;
    let first = first / operations;
    let types = DetailTypes::new([DetailType::new("account")
        .with_unrestricted_field("identifier")
        .with_unrestricted_field("operation")]);
    let list = |entries: Vec<Value>| types.grant(&entries.into()).expect("details");
    let accounts = (first..first + accounts).map(|number| {
        let identifier = format!("account-{number:04}");
        json!({"type": "account", "identifier": identifier, "actions": ["read", "post", "close"]})
    });
    let operations = (0..operations).map(|number| {
        let operation = format!("operation-{number:02}");
        json!({"type": "account", "operation": operation, "actions": ["read", "post"]})
    });
    list(accounts.collect()).intersect(&list(operations.collect()))
}
