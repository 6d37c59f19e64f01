//! Claims that are read into a type that borrows.

use std::collections::BTreeMap;
use std::hint::black_box;

use jose_x509::json::{self, Limits};
use serde::Deserialize;

use super::Planned;
use crate::bar::Bar;
use crate::fixtures::TXN_CLAIMS;
use crate::harness::{Case, Work};

/// The claims of a transaction token.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "what the caller would use")]
struct TxnClaims<'a> {
    iss: &'a str,
    iat: u64,
    aud: &'a str,
    exp: u64,
    txn: &'a str,
    sub: &'a str,
    req_wl: &'a str,
    #[serde(borrow)]
    rctx: RequesterContext<'a>,
    scope: &'a str,
    #[serde(borrow)]
    tctx: TransactionContext<'a>,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "what the caller would use")]
struct RequesterContext<'a> {
    req_ip: &'a str,
    authn: &'a str,
    device: &'a str,
}

#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "what the caller would use")]
struct TransactionContext<'a> {
    action: &'a str,
    ticker: &'a str,
    quantity: &'a str,
    limit: &'a str,
    currency: &'a str,
    venue: &'a str,
    order: &'a str,
    #[serde(borrow)]
    customer_type: BTreeMap<&'a str, &'a str>,
}

pub(super) fn plan(cases: &mut Vec<Planned>) {
    cases.push(Planned::new("json-txn-claims", |name| {
        let bytes = TXN_CLAIMS.as_bytes();
        Case::new(
            name,
            Work::new(move || {
                json::from_slice::<TxnClaims<'_>>(black_box(bytes), &Limits::CLAIMS)
                    .expect("the claims are good")
            }),
        )
        // Looks for no duplicates among the members that the type does not have, and has no limits.
        .peer(
            "serde_json",
            Work::new(move || {
                serde_json::from_slice::<TxnClaims<'_>>(black_box(bytes))
                    .expect("the claims are good")
            }),
        )
        .bar(Bar::Ratio {
            peer: "serde_json",
            at_most: 1.1,
        })
    }));
}
