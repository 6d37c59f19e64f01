//! `txn_claims`: what of a transaction is told to another domain (draft section 7.4).

use std::collections::BTreeSet;
use std::net::IpAddr;

use jose_x509::CryptoProvider;
use serde_json::{Map, Value};
use token_exchange::authority::Details;
use token_exchange::{Authority, DetailTypes};

use super::agreement::AgreementProblem;
use super::subject::{PrincipalKind, SubjectRule, resolve};
use crate::agentic::AgenticContext;
use crate::context::Context;
use crate::error::Error;
use crate::token::TxnToken;

/// Claims and members that show a domain's inner calls, and those that the grant itself has.
const HIDDEN: [&str; 21] = [
    "req_wl",
    "req_wl_chain",
    "act_chain",
    "actchain",
    "agentic_ctx",
    "chain_metadata",
    "origin_node",
    "act",
    "may_act",
    "iss",
    "sub",
    "aud",
    "exp",
    "nbf",
    "iat",
    "jti",
    "txn",
    "txn_iat",
    "txn_exp",
    "cnf",
    "scope",
];

/// Claims about a human.
const PERSONAL: [&str; 10] = [
    "email",
    "email_verified",
    "name",
    "given_name",
    "family_name",
    "preferred_username",
    "phone_number",
    "birthdate",
    "address",
    "picture",
];

/// What is listed.
#[derive(Clone, Debug, Default)]
pub(super) struct Disclosure {
    pub(super) scope: bool,
    pub(super) actor: bool,
    pub(super) rctx: BTreeSet<String>,
    pub(super) tctx: BTreeSet<String>,
    pub(super) claims: BTreeSet<String>,
    pub(super) details: Option<(DetailTypes, Details)>,
    pub(super) internal_domains: Vec<String>,
}

/// The name of a claim or member that may be listed.
pub(super) fn checked(name: String) -> Result<String, Error> {
    let apart = ["authorization_details", "rctx", "tctx", "txn_claims"];
    if HIDDEN.contains(&name.as_str()) || apart.contains(&name.as_str()) || name.is_empty() {
        return Err(Error::Agreement(AgreementProblem::HiddenClaim));
    }
    Ok(name)
}

impl Disclosure {
    /// What of a token is told; `None` for nothing.
    pub(super) fn of(
        &self,
        token: &TxnToken,
        kind: PrincipalKind,
        subjects: &[SubjectRule],
        provider: &CryptoProvider,
    ) -> Option<Value> {
        let mut told = Map::new();
        if self.scope {
            told.insert("scope".to_owned(), token.scope().to_string().into());
        }
        for (name, context, listed) in [
            ("rctx", token.request_context(), &self.rctx),
            ("tctx", token.transaction_context(), &self.tctx),
        ] {
            let members = self.members(context, listed);
            if !members.is_empty() {
                told.insert(name.to_owned(), Value::Object(members));
            }
        }
        for name in &self.claims {
            if PERSONAL.contains(&name.as_str()) && kind != PrincipalKind::Human {
                continue;
            }
            if let Some(value) = token.claim(name).filter(|value| !self.is_internal(value)) {
                told.insert(name.clone(), value);
            }
        }
        if let Some(actor) = token.acting_workload().filter(|_| self.actor) {
            // Under the name that the partner knows, or not at all.
            if let Some((_, name)) = resolve(subjects, actor, provider) {
                let members = Map::from_iter([("sub".to_owned(), name.into())]);
                told.insert("act".to_owned(), Value::Object(members));
            }
        }
        if let Some(details) = self.narrowed_details(token.agentic_context()) {
            told.insert("authorization_details".to_owned(), details);
        }
        Some(Value::Object(told))
            .filter(|told| told.as_object().is_some_and(|told| !told.is_empty()))
    }

    fn members(&self, context: &Context, listed: &BTreeSet<String>) -> Map<String, Value> {
        let member = |name: &String| {
            let value = context.get(name)?;
            (!self.is_internal(&value)).then(|| (name.clone(), value))
        };
        listed.iter().filter_map(member).collect()
    }

    /// Refuses a token with a limit that the grant would not have: the partner would give what the token does not.
    pub(super) fn check_limits(&self, token: &TxnToken) -> Result<(), Error> {
        let Some(limits) = token.agentic_context() else {
            return Ok(());
        };
        let lost = |member| Err(Error::LimitNotCarried { member });
        if limits.allowed_actions.is_some() {
            return lost("allowed_actions");
        }
        if !limits.environment_constraints.is_empty() {
            return lost("environment_constraints");
        }
        if limits.authorization_details.is_some() && self.narrowed_details(Some(limits)).is_none() {
            return lost("authorization_details");
        }
        Ok(())
    }

    /// The details of `agentic_ctx` within those of the agreement; `None` where nothing of them is told.
    fn narrowed_details(&self, limits: Option<&AgenticContext>) -> Option<Value> {
        let (types, most) = self.details.as_ref()?;
        let granted = types.grant(limits?.authorization_details.as_ref()?).ok()?;
        let granted = Authority::unbounded().with_details(granted);
        let all = granted.with_details(most.clone());
        let details = all.details.only()?.to_value();
        Some(details).filter(|details| details.as_array().is_some_and(|all| !all.is_empty()))
    }

    /// Whether a value shows a private address, a host of an internal domain, a workload or a hidden member, however deep.
    fn is_internal(&self, value: &Value) -> bool {
        let mut left = vec![value];
        while let Some(value) = left.pop() {
            let found = match value {
                Value::String(text) => self.is_internal_text(text),
                Value::Array(items) => {
                    left.extend(items);
                    false
                }
                Value::Object(members) => {
                    left.extend(members.values());
                    let hidden = |name: &String| HIDDEN.contains(&name.as_str());
                    members.keys().any(hidden)
                }
                _ => false,
            };
            if found {
                return true;
            }
        }
        false
    }

    fn is_internal_text(&self, text: &str) -> bool {
        let lower = text.to_ascii_lowercase();
        if lower.contains("spiffe://") || lower.contains("wimse://") {
            return true;
        }
        let between = |c: char| c.is_whitespace() || ",;\"'()<>=@/[]%".contains(c);
        lower
            .split(between)
            .filter(|word| !word.is_empty())
            .any(|word| self.is_internal_word(word))
    }

    fn is_internal_word(&self, word: &str) -> bool {
        let address = |text: &str| text.parse::<IpAddr>().ok();
        let host = word.rsplit_once(':').map_or(word, |(host, _)| host);
        if let Some(address) = address(word).or_else(|| address(host)) {
            return !is_public(address);
        }
        let host = host.trim_end_matches('.');
        host == "localhost"
            || [".local", ".internal", ".localhost"]
                .iter()
                .any(|end| host.ends_with(end))
            || self.internal_domains.iter().any(|domain| {
                host.strip_suffix(domain.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            })
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, _] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let special = (a == 192 && b == 0 && c == 0) || (a == 198 && (b & 0xfe) == 18);
            !(v4.is_private()
                || v4.is_loopback()
                || v4.is_link_local()
                || v4.is_unspecified()
                || v4.is_broadcast()
                || v4.is_multicast()
                || shared
                || special
                || a == 0
                || a >= 240)
        }
        IpAddr::V6(v6) => {
            if let Some(v4) = v6.to_ipv4() {
                return is_public(IpAddr::V4(v4));
            }
            let [first, ..] = v6.segments();
            // Global unicast is 2000::/3; everything else is local, multicast or reserved.
            first & 0xe000 == 0x2000
        }
    }
}
