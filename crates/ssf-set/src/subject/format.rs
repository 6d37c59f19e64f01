//! Simple subjects: one identifier of one format.

use serde_json::{Map, Value};

use crate::error::{Error, Problem};
use crate::subject::parse;

/// A Subject Identifier. A value of this type obeys the rules of its format, so the variants are
/// made by the functions of the same names, or by parsing.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SubjectIdentifier {
    /// `account`: an `acct` URI.
    #[non_exhaustive]
    Account {
        /// The URI.
        uri: String,
    },
    /// `email`: an address, as it was sent.
    #[non_exhaustive]
    Email {
        /// The address.
        email: String,
    },
    /// `iss_sub`: a subject as its issuer names it. This `iss` has nothing to do with who signs the SET.
    #[non_exhaustive]
    IssSub {
        /// Whose name for the subject it is.
        iss: String,
        /// The name.
        sub: String,
    },
    /// `opaque`: an identifier without further meaning.
    #[non_exhaustive]
    Opaque {
        /// The identifier.
        id: String,
    },
    /// `phone_number`: E.164.
    #[non_exhaustive]
    PhoneNumber {
        /// The number.
        phone_number: String,
    },
    /// `did`: a DID URL. Never resolved here.
    #[non_exhaustive]
    Did {
        /// The DID URL.
        url: String,
    },
    /// `uri`: any URI, such as a SPIFFE ID. Never dereferenced here.
    #[non_exhaustive]
    Uri {
        /// The URI.
        uri: String,
    },
    /// `aliases`: several identifiers of one subject.
    #[non_exhaustive]
    Aliases {
        /// The identifiers, none of which is itself `aliases`.
        identifiers: Vec<SubjectIdentifier>,
    },
    /// `jwt_id`: a JWT (SSF 1.0 section 3.5.1).
    #[non_exhaustive]
    JwtId {
        /// The JWT's `iss`.
        iss: String,
        /// The JWT's `jti`.
        jti: String,
    },
    /// `saml_assertion_id`: a SAML 2.0 assertion (section 3.5.2).
    #[non_exhaustive]
    SamlAssertionId {
        /// The assertion's issuer.
        issuer: String,
        /// The assertion's identifier.
        assertion_id: String,
    },
    /// `ip-addresses` (section 3.5.3).
    #[non_exhaustive]
    IpAddresses {
        /// The addresses in textual form, as they were sent.
        ip_addresses: Vec<String>,
    },
    /// A format that is not known here, with all of its members.
    #[non_exhaustive]
    Other {
        /// The format's name.
        format: String,
        /// The other members.
        members: Map<String, Value>,
    },
}

fn checked(format: &'static str, members: &[(&str, &str)]) -> Result<SubjectIdentifier, Error> {
    let format = [("format", format.into())].into_iter();
    let members = members.iter().map(|(name, value)| (*name, (*value).into()));
    parse::identifier(&format.chain(members).collect(), parse::Strictness::Strict)
}

impl SubjectIdentifier {
    /// `account`.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] when this is not an `acct` URI.
    pub fn account(uri: &str) -> Result<Self, Error> {
        checked("account", &[("uri", uri)])
    }

    /// `email`.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] when this is not a bare address.
    pub fn email(email: &str) -> Result<Self, Error> {
        checked("email", &[("email", email)])
    }

    /// `iss_sub`.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] when one is empty, or has a colon and is not a URI.
    pub fn iss_sub(iss: &str, sub: &str) -> Result<Self, Error> {
        checked("iss_sub", &[("iss", iss), ("sub", sub)])
    }

    /// `opaque`.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] when it is empty.
    pub fn opaque(id: &str) -> Result<Self, Error> {
        checked("opaque", &[("id", id)])
    }

    /// `phone_number`.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] when this is not E.164.
    pub fn phone_number(phone_number: &str) -> Result<Self, Error> {
        checked("phone_number", &[("phone_number", phone_number)])
    }

    /// `did`.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] when this is not a DID URL.
    pub fn did(url: &str) -> Result<Self, Error> {
        checked("did", &[("url", url)])
    }

    /// `uri`: the format for a workload, by its SPIFFE ID.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] when this is not a URI.
    pub fn uri(uri: &str) -> Result<Self, Error> {
        checked("uri", &[("uri", uri)])
    }

    /// `jwt_id`.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] when one is empty.
    pub fn jwt_id(iss: &str, jti: &str) -> Result<Self, Error> {
        checked("jwt_id", &[("iss", iss), ("jti", jti)])
    }

    /// `saml_assertion_id`.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] when one is empty.
    pub fn saml_assertion_id(issuer: &str, assertion_id: &str) -> Result<Self, Error> {
        checked(
            "saml_assertion_id",
            &[("issuer", issuer), ("assertion_id", assertion_id)],
        )
    }

    /// `ip-addresses`, in the canonical text of RFC 5952.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] without an address.
    pub fn ip_addresses(
        addresses: impl IntoIterator<Item = std::net::IpAddr>,
    ) -> Result<Self, Error> {
        let ip_addresses: Vec<_> = addresses.into_iter().map(|ip| ip.to_string()).collect();
        if ip_addresses.is_empty() {
            return Err(Error::Subject {
                format: "ip-addresses",
                member: "ip-addresses",
                problem: Problem::Empty,
            });
        }
        Ok(Self::IpAddresses { ip_addresses })
    }

    /// `aliases`; exact duplicates are dropped. Send several names of one subject only to a receiver
    /// that knows already that they belong together.
    ///
    /// # Errors
    ///
    /// [`Error::Subject`] without an identifier, with more than [`MAX_ALIASES`](crate::subject::MAX_ALIASES),
    /// and for nested aliases.
    pub fn aliases(identifiers: impl IntoIterator<Item = Self>) -> Result<Self, Error> {
        let mut kept: Vec<Self> = Vec::new();
        for identifier in identifiers {
            if !kept.contains(&identifier) {
                kept.push(identifier);
            }
        }
        parse::check_aliases(&kept)?;
        Ok(Self::Aliases { identifiers: kept })
    }

    /// The name of the format.
    #[must_use]
    pub fn format(&self) -> &str {
        match self {
            Self::Account { .. } => "account",
            Self::Email { .. } => "email",
            Self::IssSub { .. } => "iss_sub",
            Self::Opaque { .. } => "opaque",
            Self::PhoneNumber { .. } => "phone_number",
            Self::Did { .. } => "did",
            Self::Uri { .. } => "uri",
            Self::Aliases { .. } => "aliases",
            Self::JwtId { .. } => "jwt_id",
            Self::SamlAssertionId { .. } => "saml_assertion_id",
            Self::IpAddresses { .. } => "ip-addresses",
            Self::Other { format, .. } => format,
        }
    }

    /// The JSON object.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Object(self.to_object())
    }

    pub(crate) fn to_object(&self) -> Map<String, Value> {
        let mut object = Map::new();
        let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
        put("format", self.format().into());
        match self {
            Self::Account { uri } | Self::Uri { uri } => put("uri", uri.as_str().into()),
            Self::Email { email } => put("email", email.as_str().into()),
            Self::Opaque { id } => put("id", id.as_str().into()),
            Self::PhoneNumber { phone_number } => put("phone_number", phone_number.as_str().into()),
            Self::Did { url } => put("url", url.as_str().into()),
            Self::IssSub { iss, sub } => {
                put("iss", iss.as_str().into());
                put("sub", sub.as_str().into())
            }
            Self::JwtId { iss, jti } => {
                put("iss", iss.as_str().into());
                put("jti", jti.as_str().into())
            }
            Self::SamlAssertionId {
                issuer,
                assertion_id,
            } => {
                put("issuer", issuer.as_str().into());
                put("assertion_id", assertion_id.as_str().into())
            }
            Self::IpAddresses { ip_addresses } => put("ip-addresses", ip_addresses.clone().into()),
            Self::Aliases { identifiers } => put(
                "identifiers",
                identifiers
                    .iter()
                    .map(Self::to_value)
                    .collect::<Vec<_>>()
                    .into(),
            ),
            Self::Other { members, .. } => {
                object.extend(members.clone());
                None
            }
        };
        object
    }

    /// Whether the two name one subject when an `aliases` identifier is known by any of its elements.
    /// Identity in the sense of SSF is `==`; this is for receivers that know just one of the names.
    #[must_use]
    pub fn shares_alias(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.alternatives(), other.alternatives());
        mine.iter().any(|one| theirs.contains(one))
    }

    fn alternatives(&self) -> &[Self] {
        match self {
            Self::Aliases { identifiers } => identifiers,
            one => core::slice::from_ref(one),
        }
    }

    /// For comparing addresses: an `email` with its domain in lower case, anything else unchanged.
    /// Never applied by this crate itself, and not for sending.
    #[must_use]
    pub fn canonical_email_domain(&self) -> Self {
        match self {
            Self::Email { email } => match email.rsplit_once('@') {
                Some((local, domain)) => Self::Email {
                    email: format!("{local}@{}", domain.to_ascii_lowercase()),
                },
                None => self.clone(),
            },
            other => other.clone(),
        }
    }
}
