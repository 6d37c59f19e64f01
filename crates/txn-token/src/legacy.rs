//! Earlier claim names, for verifiers that are told to read them. None of them is ever written.

use serde_json::{Map, Value};

use crate::error::Error;

/// An earlier form that a token was read by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LegacyForm {
    /// `typ` is `txn_token`.
    Type,
    /// `purp` for `scope`.
    Purpose,
    /// `azd` for `tctx`.
    AuthorizationDetails,
    /// `rctx.req_wl` for `req_wl`: a name, or the names of all requesting workloads, oldest first.
    RequestingWorkload,
    /// `sub_id` for `sub`, as its JSON text.
    SubjectIdentifier,
    /// `principal` for `sub`.
    Principal,
    /// `actor` with `agent_id` for `act` with `sub`.
    Actor,
}

/// The `typ` of earlier revisions.
pub(crate) const LEGACY_TYPE: &str = "txn_token";

/// Gives claims their current names, except `azd`, whose text is taken over as it is.
pub(crate) fn translate(claims: &mut Map<String, Value>) -> Result<Vec<LegacyForm>, Error> {
    let mut forms = Vec::new();
    let found = [
        (
            "purp",
            "scope",
            LegacyForm::Purpose,
            claims.get("purp").cloned(),
        ),
        (
            "principal",
            "sub",
            LegacyForm::Principal,
            claims.get("principal").cloned(),
        ),
        (
            "sub_id",
            "sub",
            LegacyForm::SubjectIdentifier,
            subject_identifier(claims)?,
        ),
        ("actor", "act", LegacyForm::Actor, actor(claims)?),
    ];
    for (alias, claim, form, value) in found {
        let Some(value) = value else { continue };
        match claims.get(claim) {
            // The verifier compares the two lists of scopes as sets.
            Some(_) if form == LegacyForm::Purpose => {}
            // An identifier beside `sub` is a description of it in another form.
            Some(_) if form == LegacyForm::SubjectIdentifier => {}
            Some(current) if *current == value => {}
            Some(_) => return Err(Error::TwoSpellings { claim, alias }),
            None => {
                claims.insert(claim.to_owned(), value);
                forms.push(form);
            }
        }
    }
    if requesting_workload(claims)? {
        forms.push(LegacyForm::RequestingWorkload);
    }
    if claims.contains_key("azd") && !claims.contains_key("tctx") {
        forms.push(LegacyForm::AuthorizationDetails);
    }
    Ok(forms)
}

const fn malformed(claim: &'static str) -> Error {
    Error::Token(jose_x509::Error::ClaimType { claim })
}

fn subject_identifier(claims: &Map<String, Value>) -> Result<Option<Value>, Error> {
    match claims.get("sub_id") {
        None => Ok(None),
        Some(id @ Value::Object(members))
            if members.get("format").is_some_and(Value::is_string) =>
        {
            Ok(Some(id.to_string().into()))
        }
        Some(_) => Err(malformed("sub_id")),
    }
}

fn actor(claims: &Map<String, Value>) -> Result<Option<Value>, Error> {
    let Some(actor) = claims.get("actor") else {
        return Ok(None);
    };
    let mut members = actor.as_object().ok_or(malformed("actor"))?.clone();
    let id = members.remove("agent_id").ok_or(malformed("actor"))?;
    members.insert("sub".to_owned(), id);
    Ok(Some(Value::Object(members)))
}

fn requesting_workload(claims: &mut Map<String, Value>) -> Result<bool, Error> {
    let old = claims.get("rctx").and_then(|rctx| rctx.get("req_wl"));
    let Some(old) = old.filter(|_| !claims.contains_key("req_wl")).cloned() else {
        return Ok(false);
    };
    match old {
        name @ Value::String(_) => {
            claims.insert("req_wl".to_owned(), name);
        }
        Value::Array(mut names) => {
            let last = names.pop().ok_or(malformed("req_wl"))?;
            claims.insert("req_wl".to_owned(), last);
            claims.entry("req_wl_chain").or_insert(Value::Array(names));
        }
        _ => return Err(malformed("req_wl")),
    }
    Ok(true)
}
