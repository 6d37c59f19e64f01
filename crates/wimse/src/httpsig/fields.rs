//! `Signature-Input` and `Signature` (RFC 9421 section 4).

use http::HeaderMap;
use sfv::{BareItem, DictSerializer, Dictionary, InnerList, ListEntry, Parser, Version};

use super::component::Component;
use super::{
    MAX_COMPONENTS, MAX_FIELD, MAX_SIGNATURES, SIGNATURE, SIGNATURE_INPUT, SignatureError, TAG,
    WIMSE_AUD, WIMSE_REQ_NONCE, WIMSE_SIGN_RESPONSE,
};

/// The one signature of the profile in a message, parsed and not verified.
#[derive(Debug)]
pub(super) struct Tagged {
    pub(super) components: Vec<Component>,
    /// The inner list with its parameters, in canonical form.
    pub(super) text: String,
    pub(super) params: Params,
    pub(super) signature: Vec<u8>,
}

/// The parameters that mean something here; others are covered by the signature and otherwise ignored.
#[derive(Debug)]
pub(super) struct Params {
    pub(super) created: u64,
    pub(super) expires: u64,
    pub(super) nonce: String,
    pub(super) audience: Option<String>,
    pub(super) sign_response: bool,
    pub(super) request_nonce: Option<String>,
}

/// Most characters of a nonce.
const MAX_NONCE: usize = 256;

/// Reads a dictionary and insists on its canonical form, white space around the commas apart: members and
/// parameters that come twice, and whatever else two parsers could read differently, are refused.
pub(super) fn dictionary(
    headers: &HeaderMap,
    field: &'static str,
) -> Result<Dictionary, SignatureError> {
    let malformed = SignatureError::Malformed { field };
    let mut text = String::new();
    for value in headers.get_all(field) {
        if text.len().saturating_add(value.len()) > MAX_FIELD {
            return Err(SignatureError::TooLarge { field });
        }
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(
            value
                .to_str()
                .map_err(|_| malformed.clone())?
                .trim_matches(OWS),
        );
    }
    parse_canonical(&text).ok_or(malformed)
}

const OWS: [char; 2] = [' ', '\t'];

fn parse_canonical(text: &str) -> Option<Dictionary> {
    let parsed = Parser::new(text)
        .with_version(Version::Rfc8941)
        .parse::<Dictionary>()
        .ok()?;
    let mut rest = text;
    for (index, member) in parsed.iter().enumerate() {
        if index > 0 {
            rest = rest.trim_start_matches(OWS).strip_prefix(',')?;
            rest = rest.trim_start_matches(OWS);
        }
        let canonical = serialize(member)?;
        rest = match rest.strip_prefix(canonical.as_str()) {
            Some(next) if next.is_empty() || next.starts_with([' ', '\t', ',']) => next,
            _ => rest.strip_prefix(explicit_true(&canonical, member.1)?.as_str())?,
        };
    }
    rest.is_empty().then_some(parsed)
}

/// The one spelling that is not canonical and yet has to be understood: `wimse-sign-response=?1`. The signature
/// base has the canonical one.
fn explicit_true(canonical: &str, entry: &ListEntry) -> Option<String> {
    let ListEntry::InnerList(list) = entry else {
        return None;
    };
    let Some(BareItem::Boolean(true)) = list.params.get(WIMSE_SIGN_RESPONSE) else {
        return None;
    };
    let (before, after) = canonical.rsplit_once(WIMSE_SIGN_RESPONSE)?;
    Some(format!("{before}{WIMSE_SIGN_RESPONSE}=?1{after}"))
}

pub(super) fn serialize((key, entry): (&sfv::Key, &ListEntry)) -> Option<String> {
    let mut one = DictSerializer::new();
    one.members([(key, entry)]);
    one.finish()
}

/// Finds the signature of the profile by its tag; labels decide nothing.
pub(super) fn tagged(headers: &HeaderMap) -> Result<Tagged, SignatureError> {
    let inputs = dictionary(headers, SIGNATURE_INPUT)?;
    let mut signatures = dictionary(headers, SIGNATURE)?;
    if inputs.len() > MAX_SIGNATURES || signatures.len() > MAX_SIGNATURES {
        return Err(SignatureError::TooLarge {
            field: SIGNATURE_INPUT,
        });
    }
    if inputs.len() != signatures.len()
        || inputs.keys().any(|label| !signatures.contains_key(label))
    {
        return Err(SignatureError::Labels);
    }
    let mut found = None;
    for member in &inputs {
        let ListEntry::InnerList(list) = member.1 else {
            return Err(SignatureError::Malformed {
                field: SIGNATURE_INPUT,
            });
        };
        if list.items.len() > MAX_COMPONENTS {
            return Err(SignatureError::TooLarge {
                field: SIGNATURE_INPUT,
            });
        }
        if string(list, "tag")? != Some(TAG) {
            continue;
        }
        if found.replace((member, list)).is_some() {
            return Err(SignatureError::MultipleSignatures);
        }
    }
    let (member, list) = found.ok_or(SignatureError::NotSigned)?;
    let signature = match signatures.swap_remove(member.0) {
        Some(ListEntry::Item(item)) if item.params.is_empty() => match item.bare_item {
            BareItem::ByteSequence(bytes) => bytes,
            _ => return Err(SignatureError::Malformed { field: SIGNATURE }),
        },
        _ => return Err(SignatureError::Malformed { field: SIGNATURE }),
    };
    let text = serialize(member)
        .and_then(|text| {
            let list = text.strip_prefix(member.0.as_str())?.strip_prefix('=')?;
            Some(list.to_owned())
        })
        .ok_or(SignatureError::Malformed {
            field: SIGNATURE_INPUT,
        })?;
    let params = params(list)?;
    Ok(Tagged {
        components: components(list)?,
        text,
        params,
        signature,
    })
}

pub(super) fn components(list: &InnerList) -> Result<Vec<Component>, SignatureError> {
    let mut components = Vec::with_capacity(list.items.len());
    for (index, item) in list.items.iter().enumerate() {
        let component =
            Component::parse(item).ok_or(SignatureError::UnsupportedComponent { index })?;
        if components.contains(&component) {
            return Err(SignatureError::DuplicateComponent { index });
        }
        components.push(component);
    }
    Ok(components)
}

fn params(list: &InnerList) -> Result<Params, SignatureError> {
    for parameter in ["keyid", "alg"] {
        if list.params.contains_key(parameter) {
            return Err(SignatureError::ForbiddenParameter { parameter });
        }
    }
    let nonce = string(list, "nonce")?.ok_or(SignatureError::Parameter { parameter: "nonce" })?;
    let sign_response = match list.params.get(WIMSE_SIGN_RESPONSE) {
        None => false,
        Some(BareItem::Boolean(value)) => *value,
        Some(_) => {
            return Err(SignatureError::Parameter {
                parameter: WIMSE_SIGN_RESPONSE,
            });
        }
    };
    Ok(Params {
        created: integer(list, "created")?,
        expires: integer(list, "expires")?,
        nonce: checked_nonce(nonce, "nonce")?,
        audience: string(list, WIMSE_AUD)?.map(str::to_owned),
        sign_response,
        request_nonce: string(list, WIMSE_REQ_NONCE)?.map(str::to_owned),
    })
}

fn checked_nonce(nonce: &str, parameter: &'static str) -> Result<String, SignatureError> {
    if (1..=MAX_NONCE).contains(&nonce.len()) {
        Ok(nonce.to_owned())
    } else {
        Err(SignatureError::Parameter { parameter })
    }
}

fn string<'a>(
    list: &'a InnerList,
    parameter: &'static str,
) -> Result<Option<&'a str>, SignatureError> {
    match list.params.get(parameter) {
        None => Ok(None),
        Some(BareItem::String(text)) => Ok(Some(text.as_str())),
        Some(_) => Err(SignatureError::Parameter { parameter }),
    }
}

fn integer(list: &InnerList, parameter: &'static str) -> Result<u64, SignatureError> {
    let malformed = SignatureError::Parameter { parameter };
    match list.params.get(parameter) {
        Some(BareItem::Integer(value)) => u64::try_from(i64::from(*value)).map_err(|_| malformed),
        _ => Err(malformed),
    }
}

/// The names of the components that the signature of the profile claims to cover, as in the field, without any
/// verification. For logs and tests; decisions need a [`VerifiedRequest`](super::VerifiedRequest).
///
/// # Errors
///
/// [`SignatureError`] when the fields do not hold exactly one such signature.
pub fn unverified_components(headers: &HeaderMap) -> Result<Vec<String>, SignatureError> {
    let tagged = tagged(headers)?;
    let text = |component: &Component| {
        let mut out = String::new();
        component.write(&mut out);
        out
    };
    Ok(tagged.components.iter().map(text).collect())
}
