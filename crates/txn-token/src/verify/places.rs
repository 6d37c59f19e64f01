//! The claims of a token where they stand in it: judged without copying, and read when they are asked for.
//!
//! This is the short way for a token in the usual form: current names, no escapes in the texts that are looked at, no nested
//! `act`, no posture. It accepts nothing that [`read`](super::TxnTokenVerifier::read) would refuse, and has no errors of its own:
//! what it does not accept is read in the ordinary way, which accepts it or says what is wrong.

use std::ops::Range;

use super::scan::Raw;
use super::{MAX_TEXT, PartyRef, TxnTokenVerifier};
use crate::actor::Outcome;
use crate::agentic::{MAX_ENTRIES, MAX_INTENT, MAX_TEXT as MAX_MEMBER, MEMBERS};
use crate::lineage::LineageProfile;
use crate::token::Places;

/// Most tokens of a scope.
const MAX_SCOPES: usize = 256;
/// Most places of a path on the short way: as many as a token can have.
const MAX_PATH: usize = super::HARD_MAX_CHAIN + 1;

impl TxnTokenVerifier {
    /// Where the claims are, if the token is in the usual form and keeps every rule.
    pub(super) fn places(
        &self,
        payload: &[u8],
        iat: u64,
        exp: u64,
        issuer: Option<&str>,
    ) -> Option<Places> {
        if self.legacy {
            return None;
        }
        let payload = core::str::from_utf8(payload).ok()?;
        let place = |text: &str| -> Option<Range<usize>> {
            let start = text.as_ptr().addr().checked_sub(payload.as_ptr().addr())?;
            Some(start..start.checked_add(text.len())?)
        };
        let (mut txn, mut sub, mut req_wl, mut scope) = (None, None, None, None);
        let (mut tctx, mut rctx, mut agentic, mut req_wl_chain) = (None, None, None, None);
        let (mut act, mut chain, mut txn_iat) = (None, None, iat);
        for member in Raw::of(payload).members() {
            let (name, value) = member?;
            match name {
                "txn" => txn = Some(place(named(value)?)?),
                "sub" => sub = Some(place(named(value)?)?),
                "req_wl" => req_wl = Some(place(named(value)?)?),
                "scope" => {
                    let text = named(value)?;
                    if !is_scope(text) {
                        return None;
                    }
                    scope = Some(place(text)?);
                }
                "tctx" if value.is_object() => tctx = Some(place(value.text())?),
                "rctx" if value.is_object() => rctx = Some(place(value.text())?),
                "act" => act = Some(value),
                "act_chain" => chain = Some(value),
                "agentic_ctx" => {
                    check_agentic(value)?;
                    agentic = Some(place(value.text())?);
                }
                "req_wl_chain" => {
                    for one in value.values() {
                        one?.1.string().filter(|text| !text.is_empty())?;
                    }
                    req_wl_chain = Some(place(value.text())?);
                }
                "txn_iat" => txn_iat = value.number().filter(|began| *began <= iat)?,
                "tctx" | "rctx" | "purp" | "azd" | "actchain" => return None,
                _ => {}
            }
        }
        self.check_path(act, chain, iat, issuer)?;
        Some(Places {
            txn: txn?,
            sub: sub?,
            req_wl: req_wl?,
            scope: scope?,
            tctx,
            rctx,
            act: act.and_then(|act| place(act.text())),
            act_chain: chain.and_then(|chain| place(chain.text())),
            agentic,
            req_wl_chain,
            iat,
            exp,
            txn_iat,
        })
    }

    fn check_path(
        &self,
        act: Option<Raw<'_>>,
        chain: Option<Raw<'_>>,
        iat: u64,
        issuer: Option<&str>,
    ) -> Option<()> {
        let mut path = [PartyRef::default(); MAX_PATH];
        let mut length = 0_usize;
        let mut times = Times::default();
        if let Some(chain) = chain {
            for link in chain.values() {
                let (party, issued_at) = read_actor(link?.1, true)?;
                times = times.then(issued_at)?;
                if length == self.max_chain {
                    return None;
                }
                *path.get_mut(length)? = party;
                length = length.checked_add(1)?;
            }
        }
        if length > 0 && !self.lineages.contains(&LineageProfile::ActChain) {
            return None;
        }
        match act {
            Some(act) => {
                *path.get_mut(length)? = read_actor(act, false)?.0;
                length = length.checked_add(1)?;
            }
            None if length > 0 => return None,
            None => return Some(()),
        }
        self.check_parties(path.get(..length)?, issuer).ok()?;
        (times.0 <= iat.saturating_add(self.leeway)).then_some(())
    }
}

/// The latest time of a chain so far.
#[derive(Clone, Copy, Default)]
struct Times(u64);

impl Times {
    /// Nothing if time runs backwards.
    fn then(self, time: Option<u64>) -> Option<Self> {
        match time {
            Some(time) if time < self.0 => None,
            time => Some(Self(time.unwrap_or(self.0))),
        }
    }
}

fn named(raw: Raw<'_>) -> Option<&str> {
    let text = raw.string()?;
    (1..=MAX_TEXT).contains(&text.len()).then_some(text)
}

/// One or more tokens of RFC 6749, not too many.
fn is_scope(text: &str) -> bool {
    let allowed = |byte: u8| matches!(byte, 0x20 | 0x21 | 0x23..=0x5b | 0x5d..=0x7e);
    let tokens = text.split(' ').filter(|token| !token.is_empty());
    text.bytes().all(allowed) && (1..=MAX_SCOPES).contains(&tokens.count())
}

/// An actor, and the time of a link.
fn read_actor(value: Raw<'_>, link: bool) -> Option<(PartyRef<'_>, Option<u64>)> {
    let (mut subject, mut issuer, mut issued_at) = (None, None, None);
    for member in value.members() {
        let (name, value) = member?;
        match name {
            "sub" => subject = Some(value.string().filter(|text| !text.is_empty())?),
            "iss" => issuer = Some(value.string().filter(|text| !text.is_empty())?),
            "version" | "deployment" => {
                value.string()?;
            }
            "iat" if link => issued_at = Some(value.number()?),
            "outcome" if link => {
                Outcome::read(value.string()?)?;
            }
            // Members that identify nobody are refused, and nested actors have rules of their own.
            "act" | "exp" | "nbf" | "iat" | "aud" | "jti" | "scope" | "cnf" => return None,
            _ => {}
        }
    }
    let party = PartyRef {
        subject: subject?,
        issuer,
    };
    Some((party, issued_at))
}

/// What [`AgenticContext::check`](crate::AgenticContext) demands, of a context without postures.
fn check_agentic(value: Raw<'_>) -> Option<()> {
    let short = |value: Raw<'_>, max: usize| {
        let text = value.string()?;
        let plain = text.bytes().all(|byte| matches!(byte, 0x20..0x7f));
        let clean = plain || !text.chars().any(char::is_control);
        (text.len() <= max && clean).then_some(())
    };
    let few = |count: usize| (count < MAX_ENTRIES).then_some(());
    for member in value.members() {
        let (name, value) = member?;
        match name {
            "agent_type" | "agent_version" => short(value, MAX_MEMBER)?,
            "intent" => short(value, MAX_INTENT)?,
            "allowed_actions" => {
                for (count, action) in value.values().enumerate() {
                    few(count)?;
                    let action = action?.1.string()?;
                    (1..=MAX_MEMBER).contains(&action.len()).then_some(())?;
                }
            }
            "authorization_details" => {
                let mut details = 0_usize;
                for detail in value.values() {
                    few(details)?;
                    details = details.checked_add(1)?;
                    let mut typed = false;
                    for member in detail?.1.members() {
                        let (name, value) = member?;
                        if name == "type" {
                            typed = value.string().is_some();
                        }
                    }
                    typed.then_some(())?;
                }
                (details > 0).then_some(())?;
            }
            "environment_constraints" => {
                for (count, member) in value.members().enumerate() {
                    few(count)?;
                    member?.1.string()?;
                }
            }
            name if MEMBERS.contains(&name) => return None,
            _ => {}
        }
    }
    value.is_object().then_some(())
}
