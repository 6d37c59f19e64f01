//! Authorization details (RFC 9396) as sets that can be intersected.
//!
//! A detail stands for the product of its fields' values. In a request, a field that is left out
//! means whatever is granted; in a grant it means the one value "absent", unless the type says that
//! absence means no restriction.

use std::collections::{BTreeMap, BTreeSet};

use jose_x509::json;
use serde_json::{Map, Value};

use crate::error::Error;

mod detail;
mod number;
mod set;

pub use detail::{Detail, FieldSet};
pub use set::Details;

/// What a registered `type` of authorization details means. A type that is a URI is a name like any other: it is never
/// fetched, and means what is said here.
#[derive(Clone, Debug)]
pub struct DetailType {
    name: String,
    unrestricted: BTreeSet<String>,
    /// The fields that there are; `None` for a type that takes any.
    fields: Option<BTreeMap<String, FieldType>>,
    /// Field, value, and the value that it implies, as canonical JSON.
    implied: Vec<(String, String, String)>,
    without_scope: bool,
    /// The fields that the server may add to what was asked for.
    enriched: BTreeSet<String>,
}

/// A field of a [`DetailType`].
#[derive(Clone, Debug, Default)]
pub struct FieldType {
    required: bool,
    /// Canonical JSON; `None` for any value.
    values: Option<BTreeSet<String>>,
}

impl FieldType {
    /// A field that may be left out and may have any value.
    #[must_use]
    pub fn any() -> Self {
        Self::default()
    }

    /// A field that has no other values than these; for an array of strings, these elements.
    #[must_use]
    pub fn of<V: Into<Value>>(values: impl IntoIterator<Item = V>) -> Self {
        let values = values.into_iter().map(|value| canonical(&value.into()));
        Self {
            required: false,
            values: Some(values.collect()),
        }
    }

    /// Says that every detail of the type has the field.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

impl DetailType {
    /// A type in which an absent field of a grant grants nothing for that field.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            unrestricted: BTreeSet::new(),
            fields: None,
            implied: Vec::new(),
            without_scope: false,
            enriched: BTreeSet::new(),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether the name is one that people copy without mistakes: visible ASCII.
    #[must_use]
    pub fn has_plain_name(&self) -> bool {
        !self.name.is_empty() && self.name.bytes().all(|byte| byte.is_ascii_graphic())
    }

    /// Defines a field. From the first one on, a field that is not defined is an error, and so are a value that is not
    /// of its field, a field that is required and absent, and control characters in texts.
    #[must_use]
    pub fn with_field(mut self, name: impl Into<String>, field: FieldType) -> Self {
        self.fields
            .get_or_insert_default()
            .insert(name.into(), field);
        self
    }

    /// Says that whoever was granted `value` of an array was granted `implied`, too: for example that `write` implies
    /// `read`. It is true of grants alone, and never the other way round.
    #[must_use]
    pub fn with_implication(mut self, field: &str, value: &str, implied: &str) -> Self {
        let text = |text: &str| canonical(&Value::from(text));
        self.implied
            .push((field.to_owned(), text(value), text(implied)));
        self
    }

    /// Says that a request with details of this type has no `scope`: its API uses one of the two.
    #[must_use]
    pub fn without_scope(mut self) -> Self {
        self.without_scope = true;
        self
    }

    /// Says that the server may add this field to a detail that leaves it out (RFC 9396 section 7.1), such as the
    /// identifier of what the user chose.
    #[must_use]
    pub fn with_enrichment(mut self, field: impl Into<String>) -> Self {
        self.enriched.insert(field.into());
        self
    }

    /// The fields of a detail against what is defined.
    fn check(&self, members: &Map<String, Value>) -> Result<(), Error> {
        let Some(fields) = &self.fields else {
            return Ok(());
        };
        let known = members
            .iter()
            .filter(|(name, _)| *name != "type")
            .all(|(name, value)| {
                fields
                    .get(name)
                    .is_some_and(|field| field.allows(name, value))
            });
        let complete = fields
            .iter()
            .all(|(name, field)| !field.required || members.contains_key(name));
        if known && complete && members.values().all(is_printable) {
            Ok(())
        } else {
            Err(Error::InvalidAuthorizationDetails)
        }
    }

    /// Adds what is implied until nothing new is.
    fn expand(&self, fields: &mut BTreeMap<String, FieldSet>) {
        for _ in 0..=self.implied.len() {
            for (field, value, implied) in &self.implied {
                if let Some(values) = fields.get_mut(field) {
                    if values.contains(&Some(value.clone())) {
                        values.insert(Some(implied.clone()));
                    }
                }
            }
        }
    }

    /// Says that a grant without this field does not restrict it.
    #[must_use]
    pub fn with_unrestricted_field(mut self, field: impl Into<String>) -> Self {
        self.unrestricted.insert(field.into());
        self
    }
}

impl FieldType {
    fn allows(&self, name: &str, value: &Value) -> bool {
        let Some(values) = &self.values else {
            return true;
        };
        match value.as_array().filter(|_| ARRAYS.contains(&name)) {
            Some(items) => items.iter().all(|item| values.contains(&canonical(item))),
            None => values.contains(&canonical(value)),
        }
    }
}

/// Whether no text within has control characters, which have no place in a log or on a consent page.
fn is_printable(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.chars().any(char::is_control),
        Value::Array(items) => items.iter().all(is_printable),
        Value::Object(members) => members
            .iter()
            .all(|(name, value)| !name.chars().any(char::is_control) && is_printable(value)),
        _ => true,
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

    /// The names of the types, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Writes `authorization_details_types_supported` into authorization server metadata.
    pub fn advertise(&self, metadata: &mut Map<String, Value>) {
        let names = self.names().map(Value::from).collect();
        metadata.insert("authorization_details_types_supported".to_owned(), names);
    }

    /// Those that a client registered for (`authorization_details_types`): for it there are no others.
    #[must_use]
    pub fn limited_to<'n>(&self, names: impl IntoIterator<Item = &'n str>) -> Self {
        let types = names.into_iter().filter_map(|name| self.0.get(name));
        Self::new(types.cloned())
    }

    /// Whether a request with these details may have a `scope` as well.
    #[must_use]
    pub fn allow_scope(&self, details: &Details) -> bool {
        details.as_slice().iter().all(|detail| {
            let detail_type = self.0.get(detail.type_name());
            detail_type.is_some_and(|detail_type| !detail_type.without_scope)
        })
    }

    /// Adds to each detail the fields that `add` has for it. A field that the detail has already stays as it is.
    ///
    /// # Errors
    ///
    /// [`Error::Enrichment`] for a field that the type does not let a server add.
    pub fn enrich(
        &self,
        details: &Details,
        add: impl Fn(&Detail) -> Map<String, Value>,
    ) -> Result<Details, Error> {
        let enriched = details.as_slice().iter().map(|detail| {
            let mut more = BTreeMap::new();
            for (name, value) in add(detail) {
                let detail_type = self.0.get(detail.type_name()).ok_or(Error::Enrichment)?;
                if !detail_type.enriched.contains(&name) {
                    return Err(Error::Enrichment);
                }
                let values = field_set(&name, &value).map_err(|_| Error::Enrichment)?;
                more.insert(name, values);
            }
            Ok(detail.with_more(more))
        });
        Ok(Details::new(enriched.collect::<Result<_, _>>()?))
    }

    /// Reads `authorization_details` of a grant: a token, a consent, a registration.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidAuthorizationDetails`], which includes numbers that are neither integers of 64 bits nor have at most 15 digits:
    /// two that differ could be read as one.
    pub fn grant(&self, details: &Value) -> Result<Details, Error> {
        self.read(details, false)
    }

    /// Reads `authorization_details` of a request.
    ///
    /// # Errors
    ///
    /// As [`grant`](Self::grant).
    pub fn request(&self, text: &str) -> Result<Details, Error> {
        let limits = json::Limits::CLAIMS
            .with_bytes(MAX_TEXT)
            .with_depth(MAX_DEPTH);
        let details: Value = json::from_slice(text.as_bytes(), &limits)
            .map_err(|_| Error::InvalidAuthorizationDetails)?;
        if !number::written_exactly(text) {
            return Err(Error::InvalidAuthorizationDetails);
        }
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

/// The values of a field as it is written.
pub(super) fn field_set(name: &str, value: &Value) -> Result<FieldSet, Error> {
    const INVALID: Error = Error::InvalidAuthorizationDetails;
    if !number::exact(value) {
        return Err(INVALID);
    }
    if ARRAYS.contains(&name) {
        let items = value
            .as_array()
            .filter(|items| items.len() <= MAX_VALUES)
            .ok_or(INVALID)?;
        let text = |item: &Value| item.as_str().map(|_| Some(canonical(item))).ok_or(INVALID);
        items.iter().map(text).collect()
    } else if name == "identifier" && !value.is_string() {
        Err(INVALID)
    } else {
        Ok(FieldSet::from([Some(canonical(value))]))
    }
}

/// One text for one JSON value: members sorted, and a whole number without fraction.
pub(super) fn canonical(value: &Value) -> String {
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
