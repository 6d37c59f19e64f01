//! Message components (RFC 9421 section 2) as far as the profile needs them.

use std::borrow::Cow;

use http::header::HOST;
use http::{HeaderMap, HeaderName, Method, StatusCode, Uri};
use sfv::{BareItem, Item};

use super::{CONTENT_DIGEST, Profile, SIGNATURE, SIGNATURE_INPUT, SignatureError};
use crate::wit::WORKLOAD_IDENTITY_TOKEN;
use crate::wpt::TXN_TOKEN;

/// What a component is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Name {
    Method,
    Path,
    Query,
    RequestTarget,
    Authority,
    TargetUri,
    Scheme,
    Status,
    Field(HeaderName),
}

impl Name {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "@method" => Self::Method,
            "@path" => Self::Path,
            "@query" => Self::Query,
            "@request-target" => Self::RequestTarget,
            "@authority" => Self::Authority,
            "@target-uri" => Self::TargetUri,
            "@scheme" => Self::Scheme,
            "@status" => Self::Status,
            // They hold the signature itself.
            SIGNATURE | SIGNATURE_INPUT => return None,
            // Refuses upper case, and `@`, which no field name has.
            field => Self::Field(HeaderName::from_lowercase(field.as_bytes()).ok()?),
        })
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Method => "@method",
            Self::Path => "@path",
            Self::Query => "@query",
            Self::RequestTarget => "@request-target",
            Self::Authority => "@authority",
            Self::TargetUri => "@target-uri",
            Self::Scheme => "@scheme",
            Self::Status => "@status",
            Self::Field(name) => name.as_str(),
        }
    }
}

/// A covered component: a name, and whether it is taken from the request of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) name: Name,
    pub(super) req: bool,
}

impl Component {
    pub(super) const fn of(name: Name) -> Self {
        Self { name, req: false }
    }

    pub(super) const fn of_request(name: Name) -> Self {
        Self { name, req: true }
    }

    pub(super) fn field(name: &'static str) -> Self {
        Self::of(Name::Field(HeaderName::from_static(name)))
    }

    pub(super) fn parse(item: &Item) -> Option<Self> {
        let BareItem::String(name) = &item.bare_item else {
            return None;
        };
        let mut params = item.params.iter();
        let req = match (params.next(), params.next()) {
            (None, _) => false,
            (Some((key, BareItem::Boolean(true))), None) if key.as_str() == "req" => true,
            _ => return None,
        };
        Some(Self {
            name: Name::parse(name.as_str())?,
            req,
        })
    }

    /// The identifier as it stands in the list and in the signature base. No name needs an escape.
    pub(super) fn write(&self, out: &mut String) {
        out.push('"');
        out.push_str(self.name.as_str());
        out.push('"');
        if self.req {
            out.push_str(";req");
        }
    }
}

/// What is needed of a request.
#[derive(Clone, Copy)]
pub(super) struct RequestView<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) headers: &'a HeaderMap,
}

/// What a signature is over.
#[derive(Clone, Copy)]
pub(super) enum Message<'a> {
    Request(RequestView<'a>),
    Response {
        status: StatusCode,
        headers: &'a HeaderMap,
        request: RequestView<'a>,
    },
}

impl<'a> Message<'a> {
    pub(super) const fn headers(&self) -> &'a HeaderMap {
        match self {
            Self::Request(request) => request.headers,
            Self::Response { headers, .. } => headers,
        }
    }

    /// The value of a component; `position` is for the error.
    pub(super) fn value(
        &self,
        component: &Component,
        position: usize,
    ) -> Result<Cow<'a, str>, SignatureError> {
        let unsupported = Err(SignatureError::UnsupportedComponent { index: position });
        let request = match (self, component.req) {
            (Self::Request(request), false) | (Self::Response { request, .. }, true) => request,
            (Self::Request(_), true) => return unsupported,
            (
                Self::Response {
                    status, headers, ..
                },
                false,
            ) => {
                return match &component.name {
                    Name::Status => Ok(Cow::Owned(status.as_u16().to_string())),
                    Name::Field(name) => field(headers, name, position),
                    _ => unsupported,
                };
            }
        };
        let value = match &component.name {
            Name::Status => return unsupported,
            Name::Field(name) => return field(request.headers, name, position),
            Name::Method => Cow::Borrowed(request.method.as_str()),
            Name::Path => Cow::Borrowed(path(request.uri)),
            Name::Query => Cow::Owned(format!("?{}", request.uri.query().unwrap_or_default())),
            Name::RequestTarget => match request.uri.query() {
                Some(query) => Cow::Owned(format!("{}?{query}", path(request.uri))),
                None => Cow::Borrowed(path(request.uri)),
            },
            Name::Authority => Cow::Owned(
                authority(request).ok_or(SignatureError::AbsentComponent { index: position })?,
            ),
            Name::Scheme => Cow::Borrowed(
                request
                    .uri
                    .scheme_str()
                    .ok_or(SignatureError::AbsentComponent { index: position })?,
            ),
            Name::TargetUri => {
                if request.uri.scheme().is_none() {
                    return Err(SignatureError::AbsentComponent { index: position });
                }
                Cow::Owned(request.uri.to_string())
            }
        };
        check_value(value, position)
    }
}

/// The path as it was sent: nothing is decoded and no dot segment removed.
pub(super) fn path(uri: &Uri) -> &str {
    match uri.path() {
        "" => "/",
        path => path,
    }
}

/// Host and port, in lower case and without the default port (RFC 9421 section 2.2.3). User information of a URI is no
/// part of it: whoever sends some, the signer and the server mean the same host. A `Host` field cannot have any.
pub(super) fn authority(request: &RequestView<'_>) -> Option<String> {
    let text = match request.uri.authority() {
        Some(authority) => match authority.as_str().rsplit_once('@') {
            Some((_, host_and_port)) => host_and_port,
            None => authority.as_str(),
        },
        None => one_value(request.headers, &HOST).filter(|host| !host.contains('@'))?,
    };
    let text = text.to_ascii_lowercase();
    let default_port = match request.uri.scheme_str() {
        Some("http") => ":80",
        _ => ":443",
    };
    Some(
        text.strip_suffix(default_port)
            .map_or(text.clone(), str::to_owned),
    )
}

/// The only line of a field, trimmed; nothing if there are several or it is not ASCII.
pub(super) fn one_value<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?;
    if values.next().is_some() {
        return None;
    }
    value.to_str().ok().map(|value| value.trim_matches(OWS))
}

const OWS: [char; 2] = [' ', '\t'];

/// The lines of a field, trimmed and joined. Fields that have one value may not come twice, since whoever
/// reads the first or the last line would see something else than what was signed.
fn field<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
    position: usize,
) -> Result<Cow<'a, str>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    let text = |value: &'a http::HeaderValue| {
        value
            .to_str()
            .map(|value| value.trim_matches(OWS))
            .map_err(|_| SignatureError::ComponentValue { index: position })
    };
    let first = values
        .next()
        .ok_or(SignatureError::AbsentComponent { index: position })?;
    let mut joined = Cow::Borrowed(text(first)?);
    for value in values {
        if let Some(single) = SINGLE.iter().find(|single| **single == name.as_str()) {
            return Err(SignatureError::FieldCount { field: single });
        }
        let joined = joined.to_mut();
        joined.push_str(", ");
        joined.push_str(text(value)?);
    }
    check_value(joined, position)
}

const SINGLE: [&str; 5] = [
    WORKLOAD_IDENTITY_TOKEN,
    TXN_TOKEN,
    CONTENT_DIGEST,
    "authorization",
    "content-type",
];

fn check_value(value: Cow<'_, str>, position: usize) -> Result<Cow<'_, str>, SignatureError> {
    let fine = |byte: u8| byte == b'\t' || (b' '..=b'~').contains(&byte);
    if value.bytes().all(fine) {
        Ok(value)
    } else {
        Err(SignatureError::ComponentValue { index: position })
    }
}

/// The components that the profile demands of this message, in the order of the drafts' examples.
pub(super) fn required(profile: Profile, message: &Message<'_>) -> Vec<Component> {
    let headers = message.headers();
    let mut list = Vec::new();
    let targets: &[Name] = match profile {
        Profile::V07 => &[Name::Method, Name::Path, Name::Query],
        Profile::V06 => &[Name::Method, Name::RequestTarget],
    };
    let content = ["content-type", CONTENT_DIGEST];
    let add_present = |list: &mut Vec<Component>, names: &[&'static str]| {
        for name in names {
            if headers.contains_key(*name) {
                list.push(Component::field(name));
            }
        }
    };
    match message {
        Message::Request(_) => {
            list.extend(targets.iter().cloned().map(Component::of));
            list.push(Component::field(WORKLOAD_IDENTITY_TOKEN));
            add_present(&mut list, &content);
            add_present(&mut list, &["authorization", TXN_TOKEN]);
        }
        Message::Response { .. } => {
            list.push(Component::of(Name::Status));
            list.push(Component::field(WORKLOAD_IDENTITY_TOKEN));
            add_present(&mut list, &content);
            list.extend(targets.iter().cloned().map(Component::of_request));
        }
    }
    list
}

/// The name of a component that is demanded, for an error.
pub(super) fn label(component: &Component) -> &'static str {
    match (&component.name, component.req) {
        (Name::Method, false) => "@method",
        (Name::Method, true) => "@method;req",
        (Name::Path, false) => "@path",
        (Name::Path, true) => "@path;req",
        (Name::Query, false) => "@query",
        (Name::Query, true) => "@query;req",
        (Name::RequestTarget, false) => "@request-target",
        (Name::RequestTarget, true) => "@request-target;req",
        (Name::Status, _) => "@status",
        (Name::Authority, _) => "@authority",
        (Name::TargetUri, _) => "@target-uri",
        (Name::Scheme, _) => "@scheme",
        (Name::Field(name), _) => SINGLE
            .iter()
            .find(|single| **single == name.as_str())
            .copied()
            .unwrap_or("field"),
    }
}
