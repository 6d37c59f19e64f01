//! The tokens of a request, each found exactly once or not at all.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName};
use memchr::memchr;

use crate::error::Error;
use crate::wit::WORKLOAD_IDENTITY_TOKEN;
use crate::wpt::{TXN_TOKEN, WORKLOAD_PROOF_TOKEN, WPT_SCHEME, WireForm};

/// WIT, WPT and transaction token of one and the same request, not verified.
#[derive(Clone, Copy)]
pub struct RequestTokens<'a> {
    pub(super) wit: &'a str,
    pub(super) wpt: &'a str,
    pub(super) txn_token: Option<&'a str>,
    /// The legacy form's OAuth access token, which `ath` binds.
    pub(super) access_token: Option<&'a str>,
}

/// Names that are parsed once.
pub(super) static WIT: HeaderName = HeaderName::from_static(WORKLOAD_IDENTITY_TOKEN);
static WPT: HeaderName = HeaderName::from_static(WORKLOAD_PROOF_TOKEN);
pub(super) static TXN: HeaderName = HeaderName::from_static(TXN_TOKEN);

impl<'a> RequestTokens<'a> {
    /// The WIT, not verified.
    #[must_use]
    pub fn unverified_wit(&self) -> &'a str {
        self.wit
    }

    /// Finds the tokens in the fields of a request.
    ///
    /// # Errors
    ///
    /// [`Error::FieldCount`] when a field is missing or repeated, [`Error::NotWptScheme`] when the
    /// request is authenticated otherwise, [`Error::FieldValue`] for values that are not visible ASCII.
    pub fn from_headers(headers: &'a HeaderMap, form: WireForm) -> Result<Self, Error> {
        let wit = one(headers, &WIT)?.ok_or(Error::FieldCount {
            field: "Workload-Identity-Token",
        })?;
        let authorization = one(headers, &AUTHORIZATION)?;
        let (wpt, access_token) = match form {
            WireForm::AuthorizationScheme => {
                if headers.contains_key(&WPT) {
                    return Err(Error::NotWptScheme);
                }
                (
                    authorization
                        .and_then(|value| credentials(value, WPT_SCHEME))
                        .ok_or(Error::NotWptScheme)?,
                    None,
                )
            }
            WireForm::LegacyField => {
                let wpt = one(headers, &WPT)?;
                let bearer = authorization.and_then(|value| {
                    credentials(value, "Bearer").or_else(|| credentials(value, "DPoP"))
                });
                if authorization.is_some() && bearer.is_none() {
                    return Err(Error::NotWptScheme);
                }
                (
                    wpt.ok_or(Error::FieldCount {
                        field: "Workload-Proof-Token",
                    })?,
                    bearer,
                )
            }
        };
        Ok(Self {
            wit,
            wpt,
            txn_token: one(headers, &TXN)?,
            access_token,
        })
    }
}

/// The one value of a field, without leading and trailing white space.
pub(super) fn one<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Error> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Error::FieldCount {
            field: label(name.as_str()),
        });
    }
    let value = value.to_str().map_err(|_| Error::FieldValue)?;
    only(name, value).map(Some)
}

/// The one token that the value of a field is, without the white space around it. Its hash is what a proof has, so
/// client and server ask here.
pub(super) fn only<'a>(name: &HeaderName, value: &'a str) -> Result<&'a str, Error> {
    let value = value.trim_matches(OWS);
    if *name != AUTHORIZATION && memchr(b',', value.as_bytes()).is_some() {
        return Err(Error::FieldCount {
            field: label(name.as_str()),
        });
    }
    Ok(value)
}

pub(super) const OWS: [char; 2] = [' ', '\t'];

pub(super) fn label(name: &str) -> &'static str {
    match name {
        WORKLOAD_IDENTITY_TOKEN => "Workload-Identity-Token",
        WORKLOAD_PROOF_TOKEN => "Workload-Proof-Token",
        TXN_TOKEN => "Txn-Token",
        "authorization" => "Authorization",
        _ => "context token",
    }
}

/// The credentials behind a scheme, whose name is compared without case.
fn credentials<'a>(value: &'a str, scheme: &str) -> Option<&'a str> {
    let (name, rest) = value.split_once(' ')?;
    name.eq_ignore_ascii_case(scheme)
        .then(|| rest.trim_start_matches(' '))
        .filter(|rest| memchr(b' ', rest.as_bytes()).is_none())
}
