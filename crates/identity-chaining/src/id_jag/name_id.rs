//! The subject identifier format `saml-nameid` (draft section 3.2).

use std::fmt;

use serde_json::{Map, Value};

use super::SAML_NAMEID;
use crate::error::Error;

const MAX_TEXT: usize = 2048;

/// A SAML `NameID` as a subject identifier: a member is there exactly if the attribute is. `Debug` hides the name.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SamlNameId {
    /// `issuer`: the SAML entity.
    pub issuer: String,
    /// `nameid`.
    pub nameid: String,
    /// `nameid_format`.
    pub nameid_format: Option<String>,
    /// `name_qualifier`.
    pub name_qualifier: Option<String>,
    /// `sp_name_qualifier`.
    pub sp_name_qualifier: Option<String>,
    /// `sp_provided_id`.
    pub sp_provided_id: Option<String>,
}

impl SamlNameId {
    /// A name without qualifiers.
    #[must_use]
    pub fn new(issuer: impl Into<String>, nameid: impl Into<String>) -> Self {
        Self {
            issuer: issuer.into(),
            nameid: nameid.into(),
            nameid_format: None,
            name_qualifier: None,
            sp_name_qualifier: None,
            sp_provided_id: None,
        }
    }

    /// Reads a subject identifier of this format.
    ///
    /// # Errors
    ///
    /// [`Error::GrantClaim`] for a missing or empty `issuer` or `nameid`, and for members that are no text.
    pub fn from_members(members: &Map<String, Value>) -> Result<Self, Error> {
        let wrong = Error::GrantClaim { claim: "sub_id" };
        let text = |name: &str| match members.get(name) {
            None => Ok(None),
            Some(Value::String(text)) if (1..=MAX_TEXT).contains(&text.len()) => {
                Ok(Some(text.clone()))
            }
            Some(_) => Err(wrong.clone()),
        };
        Ok(Self {
            issuer: text("issuer")?.ok_or(wrong.clone())?,
            nameid: text("nameid")?.ok_or(wrong.clone())?,
            nameid_format: text("nameid_format")?,
            name_qualifier: text("name_qualifier")?,
            sp_name_qualifier: text("sp_name_qualifier")?,
            sp_provided_id: text("sp_provided_id")?,
        })
    }

    /// The value of `sub_id`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let members = [
            ("format", Some(SAML_NAMEID)),
            ("issuer", Some(self.issuer.as_str())),
            ("nameid", Some(&self.nameid)),
            ("nameid_format", self.nameid_format.as_deref()),
            ("name_qualifier", self.name_qualifier.as_deref()),
            ("sp_name_qualifier", self.sp_name_qualifier.as_deref()),
            ("sp_provided_id", self.sp_provided_id.as_deref()),
        ];
        let present = |(name, value): (&str, Option<&str>)| Some((name.to_owned(), value?.into()));
        Value::Object(members.into_iter().filter_map(present).collect())
    }

    fn field(&self, field: NameIdField) -> Option<&str> {
        match field {
            NameIdField::Format => self.nameid_format.as_deref(),
            NameIdField::NameQualifier => self.name_qualifier.as_deref(),
            NameIdField::SpNameQualifier => self.sp_name_qualifier.as_deref(),
            NameIdField::SpProvidedId => self.sp_provided_id.as_deref(),
        }
    }
}

impl fmt::Debug for SamlNameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SamlNameId")
            .field("issuer", &self.issuer)
            .finish_non_exhaustive()
    }
}

/// A member that can belong to what identifies a user, beside `issuer` and `nameid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NameIdField {
    /// `nameid_format`.
    Format,
    /// `name_qualifier`.
    NameQualifier,
    /// `sp_name_qualifier`.
    SpNameQualifier,
    /// `sp_provided_id`.
    SpProvidedId,
}

/// Which members identify a user of one SAML issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameIdRule(Vec<NameIdField>);

impl NameIdRule {
    /// `nameid` and these members; a name that has none of them identifies nobody. With no members, nobody is identified.
    #[must_use]
    pub fn with_fields(fields: impl IntoIterator<Item = NameIdField>) -> Self {
        let mut fields: Vec<_> = fields.into_iter().collect();
        fields.sort_unstable();
        fields.dedup();
        if fields.is_empty() {
            fields.push(NameIdField::SpNameQualifier);
        }
        Self(fields)
    }

    /// `nameid` alone, for a SAML issuer that never gives one twice.
    #[must_use]
    pub fn nameid_alone() -> Self {
        Self(Vec::new())
    }

    /// What a name is looked up by.
    ///
    /// # Errors
    ///
    /// [`Error::GrantClaim`] for a name that has none of the rule's members.
    pub fn key(&self, name: &SamlNameId) -> Result<NameIdKey, Error> {
        let fields: Vec<(NameIdField, Option<String>)> = self
            .0
            .iter()
            .map(|field| (*field, name.field(*field).map(str::to_owned)))
            .collect();
        if !fields.is_empty() && fields.iter().all(|(_, value)| value.is_none()) {
            return Err(Error::GrantClaim { claim: "sub_id" });
        }
        Ok(NameIdKey {
            issuer: name.issuer.clone(),
            nameid: name.nameid.clone(),
            fields,
        })
    }
}

/// What a user is looked up by: equal keys are one user.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NameIdKey {
    issuer: String,
    nameid: String,
    fields: Vec<(NameIdField, Option<String>)>,
}
