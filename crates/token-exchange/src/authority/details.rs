//! Authorization details (RFC 9396) as sets that can be intersected.
//!
//! A detail stands for the product of its fields' values. In a request, a field that is left out
//! means whatever is granted; in a grant it means the one value "absent", unless the type says that
//! absence means no restriction.

use std::collections::{BTreeMap, BTreeSet};

use jose_x509::json;
use serde_json::{Map, Value};

use crate::error::Error;

/// What a registered `type` of authorization details means.
#[derive(Clone, Debug)]
pub struct DetailType {
    name: String,
    unrestricted: BTreeSet<String>,
}

impl DetailType {
    /// A type in which an absent field of a grant grants nothing for that field.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            unrestricted: BTreeSet::new(),
        }
    }

    /// Says that a grant without this field does not restrict it.
    #[must_use]
    pub fn with_unrestricted_field(mut self, field: impl Into<String>) -> Self {
        self.unrestricted.insert(field.into());
        self
    }
}

/// The registered types. A type that is not among them is an error, never ignored.
#[derive(Clone, Debug, Default)]
pub struct DetailTypes(BTreeMap<String, DetailType>);

impl DetailTypes {
    /// The given types.
    #[must_use]
    pub fn new(types: impl IntoIterator<Item = DetailType>) -> Self {
        Self(
            types
                .into_iter()
                .map(|detail_type| (detail_type.name.clone(), detail_type))
                .collect(),
        )
    }

    /// Reads `authorization_details` of a grant: a token, a consent, a registration.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAuthorizationDetails`].
    pub fn grant(&self, details: &Value) -> Result<Details, Error> {
        self.read(details, false)
    }

    /// Reads `authorization_details` of a request.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAuthorizationDetails`].
    pub fn request(&self, text: &str) -> Result<Details, Error> {
        let limits = json::Limits::CLAIMS
            .with_bytes(MAX_TEXT)
            .with_depth(MAX_DEPTH);
        let details: Value = json::from_slice(text.as_bytes(), &limits)
            .map_err(|_| Error::InvalidAuthorizationDetails)?;
        self.read(&details, true)
    }

    fn read(&self, details: &Value, request: bool) -> Result<Details, Error> {
        const INVALID: Error = Error::InvalidAuthorizationDetails;
        let entries = details
            .as_array()
            .filter(|entries| (1..=MAX_DETAILS).contains(&entries.len()))
            .ok_or(INVALID)?;
        let details = entries.iter().map(|entry| {
            let members = entry.as_object().ok_or(INVALID)?;
            let name = members.get("type").and_then(Value::as_str).ok_or(INVALID)?;
            let detail_type = self.0.get(name).ok_or(INVALID)?;
            Detail::read(detail_type, members, request)
        });
        Ok(Details::new(details.collect::<Result<Vec<_>, _>>()?))
    }
}

const MAX_TEXT: usize = 16 * 1024;
const MAX_DEPTH: usize = 8;
const MAX_DETAILS: usize = 32;
const MAX_VALUES: usize = 256;

/// The fields that RFC 9396 section 2.2 defines as arrays of strings.
const ARRAYS: [&str; 4] = ["locations", "actions", "datatypes", "privileges"];

/// The values of one field; `None` stands for "absent".
pub type FieldSet = BTreeSet<Option<String>>;

/// One authorization detail: the product of the values of its fields.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Detail {
    name: String,
    /// Fields with their values as canonical JSON. A field that is not here has every value.
    fields: BTreeMap<String, FieldSet>,
    /// Whether fields that are not listed are absent, as in a grant, instead of unrestricted.
    closed: bool,
    /// The fields that stay unrestricted although `closed`.
    open: BTreeSet<String>,
}

impl Detail {
    fn read(
        detail_type: &DetailType,
        members: &Map<String, Value>,
        request: bool,
    ) -> Result<Self, Error> {
        const INVALID: Error = Error::InvalidAuthorizationDetails;
        let mut fields = BTreeMap::new();
        for (name, value) in members.iter().filter(|(name, _)| *name != "type") {
            let values: FieldSet = if ARRAYS.contains(&name.as_str()) {
                let items = value
                    .as_array()
                    .filter(|items| items.len() <= MAX_VALUES)
                    .ok_or(INVALID)?;
                if items.is_empty() && request {
                    return Err(INVALID);
                }
                let text =
                    |item: &Value| item.as_str().map(|_| Some(canonical(item))).ok_or(INVALID);
                items.iter().map(text).collect::<Result<_, _>>()?
            } else if name == "identifier" && !value.is_string() {
                return Err(INVALID);
            } else {
                FieldSet::from([Some(canonical(value))])
            };
            fields.insert(name.clone(), values);
        }
        let open = if request {
            BTreeSet::new()
        } else {
            detail_type.unrestricted.clone()
        };
        Ok(Self {
            name: detail_type.name.clone(),
            fields,
            closed: !request,
            open,
        }
        .normal())
    }

    /// The values of a field; `None` for every value.
    fn values(&self, field: &str) -> Option<FieldSet> {
        match self.fields.get(field) {
            Some(values) => Some(values.clone()),
            None if self.closed && !self.open.contains(field) => Some(FieldSet::from([None])),
            None => None,
        }
    }

    /// One form for one meaning: in a closed detail, an absent field is not listed.
    fn normal(mut self) -> Self {
        if self.closed {
            let absent = FieldSet::from([None]);
            self.fields.retain(|_, values| *values != absent);
            let fields = &self.fields;
            self.open.retain(|field| !fields.contains_key(field));
        }
        self
    }

    /// What both stand for; `None` if that is nothing.
    fn intersect(&self, other: &Self) -> Option<Self> {
        if self.name != other.name {
            return None;
        }
        let mut fields = BTreeMap::new();
        let mut open = BTreeSet::new();
        let names = self
            .fields
            .keys()
            .chain(&self.open)
            .chain(other.fields.keys())
            .chain(&other.open);
        for name in names.collect::<BTreeSet<_>>() {
            match (self.values(name), other.values(name)) {
                (None, None) => {
                    open.insert(name.clone());
                }
                (Some(values), None) | (None, Some(values)) => {
                    fields.insert(name.clone(), values);
                }
                (Some(a), Some(b)) => {
                    fields.insert(name.clone(), a.intersection(&b).cloned().collect());
                }
            }
        }
        if fields.values().any(BTreeSet::is_empty) {
            return None;
        }
        let closed = self.closed || other.closed;
        if !closed {
            open.clear();
        }
        Some(
            Self {
                name: self.name.clone(),
                fields,
                closed,
                open,
            }
            .normal(),
        )
    }

    fn is_within(&self, other: &Self) -> bool {
        self.intersect(other).as_ref() == Some(self)
    }

    /// `type`.
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.name
    }

    /// The JSON object, with what is left of each field.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut members = Map::from_iter([("type".to_owned(), Value::from(self.name.as_str()))]);
        for (name, values) in &self.fields {
            let mut values = values
                .iter()
                .flatten()
                .filter_map(|text| serde_json::from_str::<Value>(text).ok());
            let value = if ARRAYS.contains(&name.as_str()) {
                Some(values.collect())
            } else {
                values.next()
            };
            if let Some(value) = value {
                members.insert(name.clone(), value);
            }
        }
        Value::Object(members)
    }
}

/// A set of authorization details, none within another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details(Vec<Detail>);

impl Details {
    fn new(details: Vec<Detail>) -> Self {
        let mut all = details;
        all.retain(|detail| !detail.fields.values().any(BTreeSet::is_empty));
        all.sort();
        all.dedup();
        let maximal = |one: &Detail| !all.iter().any(|other| other != one && one.is_within(other));
        Self(all.iter().filter(|one| maximal(one)).cloned().collect())
    }

    /// What both stand for.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self::new(
            self.0
                .iter()
                .flat_map(|a| other.0.iter().filter_map(|b| a.intersect(b)))
                .collect(),
        )
    }

    /// Whether one of them stands for all that `detail` stands for.
    #[must_use]
    pub fn covers(&self, detail: &Detail) -> bool {
        self.0.iter().any(|granted| detail.is_within(granted))
    }

    /// The details.
    #[must_use]
    pub fn as_slice(&self) -> &[Detail] {
        &self.0
    }

    /// The JSON array.
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.0.iter().map(Detail::to_value).collect()
    }
}

/// One text for one JSON value: members sorted, and a whole number without fraction.
fn canonical(value: &Value) -> String {
    fn normal(value: &Value) -> Value {
        match value {
            Value::Array(items) => items.iter().map(normal).collect(),
            Value::Object(members) => {
                let sorted: BTreeMap<_, _> = members
                    .iter()
                    .map(|(name, value)| (name.clone(), normal(value)))
                    .collect();
                Value::Object(sorted.into_iter().collect())
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "checked to be whole and exactly representable"
            )]
            Value::Number(number) => match number.as_f64() {
                Some(float)
                    if number.is_f64()
                        && float.fract() == 0.0
                        && float.abs() < 9_007_199_254_740_992.0 =>
                {
                    Value::from(float as i64)
                }
                _ => value.clone(),
            },
            other => other.clone(),
        }
    }
    normal(value).to_string()
}
