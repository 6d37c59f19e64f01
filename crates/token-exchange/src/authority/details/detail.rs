//! One authorization detail.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{ARRAYS, DetailType, field_set};
use crate::error::Error;

/// The values of one field; `None` stands for "absent".
pub type FieldSet = BTreeSet<Option<String>>;

/// One authorization detail: the product of the values of its fields. A clone shares them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Detail(Arc<Product>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Product {
    name: String,
    /// Fields with their values as canonical JSON. A field that is not here has every value.
    fields: BTreeMap<String, FieldSet>,
    /// Whether fields that are not listed are absent, as in a grant, instead of unrestricted.
    closed: bool,
    /// The fields that stay unrestricted although `closed`.
    open: BTreeSet<String>,
}

/// The values of one field of a detail.
#[derive(Clone, Copy)]
pub(super) enum Values<'a> {
    /// Every value.
    Any,
    /// None but "absent".
    Absent,
    /// These.
    Of(&'a FieldSet),
}

impl<'a> Values<'a> {
    fn is_within(self, other: Self) -> bool {
        match (self, other) {
            (_, Self::Any) | (Self::Absent, Self::Absent) => true,
            (Self::Any, _) => false,
            (Self::Absent, Self::Of(set)) => set.contains(&None),
            (Self::Of(set), Self::Absent) => set.iter().all(Option::is_none),
            (Self::Of(a), Self::Of(b)) => a.is_subset(b),
        }
    }

    fn is_disjoint(self, other: Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) | (Self::Absent, Self::Absent) => false,
            (Self::Absent, Self::Of(set)) | (Self::Of(set), Self::Absent) => !set.contains(&None),
            (Self::Of(a), Self::Of(b)) => a.is_disjoint(b),
        }
    }

    /// What both have; `None` for every value.
    fn intersect(self, other: Self) -> Option<FieldSet> {
        match (self, other) {
            (Self::Any, Self::Any) => None,
            (Self::Any, Self::Of(set)) | (Self::Of(set), Self::Any) => Some(set.clone()),
            (Self::Of(a), Self::Of(b)) => Some(a.intersection(b).cloned().collect()),
            // They are not disjoint.
            (Self::Absent, _) | (_, Self::Absent) => Some(FieldSet::from([None])),
        }
    }

    pub(super) fn contains(self, value: &Option<String>) -> bool {
        match self {
            Self::Any => true,
            Self::Absent => value.is_none(),
            Self::Of(set) => set.contains(value),
        }
    }

    /// The value, if it is the only one.
    pub(super) fn only(self) -> Option<Option<&'a str>> {
        match self {
            Self::Absent => Some(None),
            Self::Of(set) if set.len() == 1 => set.first().map(Option::as_deref),
            Self::Any | Self::Of(_) => None,
        }
    }
}

impl Detail {
    pub(super) fn read(
        detail_type: &DetailType,
        members: &Map<String, Value>,
        request: bool,
    ) -> Result<Self, Error> {
        const INVALID: Error = Error::InvalidAuthorizationDetails;
        detail_type.check(members)?;
        let mut fields = BTreeMap::new();
        for (name, value) in members.iter().filter(|(name, _)| *name != "type") {
            let values = field_set(name, value)?;
            if values.is_empty() && request {
                return Err(INVALID);
            }
            fields.insert(name.clone(), values);
        }
        let open = if request {
            BTreeSet::new()
        } else {
            detail_type.expand(&mut fields);
            detail_type.unrestricted.clone()
        };
        let product = Product {
            name: detail_type.name.clone(),
            fields,
            closed: !request,
            open,
        };
        Ok(product.normal())
    }

    /// With further fields. One that is there stays as it is.
    pub(super) fn with_more(&self, more: BTreeMap<String, FieldSet>) -> Self {
        if more.is_empty() {
            return self.clone();
        }
        let mut product = Product::clone(&self.0);
        for (name, values) in more {
            product.fields.entry(name).or_insert(values);
        }
        product.normal()
    }

    /// With those values of a listed field that `keep` says; `None` if there is none of them.
    pub(super) fn retain(&self, field: &str, keep: &FieldSet) -> Option<Self> {
        let Some(values) = self.0.fields.get(field) else {
            return Some(self.clone());
        };
        let kept: FieldSet = values.intersection(keep).cloned().collect();
        if kept.is_empty() {
            return None;
        }
        let mut product = Product::clone(&self.0);
        product.fields.insert(field.to_owned(), kept);
        Some(Self(Arc::new(product)))
    }

    /// Whether it stands for nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.fields.values().any(BTreeSet::is_empty)
    }

    /// The fields with their values that are listed.
    pub(super) fn fields(&self) -> &BTreeMap<String, FieldSet> {
        &self.0.fields
    }

    pub(super) fn values(&self, field: &str) -> Values<'_> {
        match self.0.fields.get(field) {
            Some(values) => Values::Of(values),
            None if self.0.closed && !self.0.open.contains(field) => Values::Absent,
            None => Values::Any,
        }
    }

    /// What both stand for; `None` if that is nothing.
    pub(super) fn intersect(&self, other: &Self) -> Option<Self> {
        if self.is_within(other) {
            return Some(self.clone());
        }
        if other.is_within(self) {
            return Some(other.clone());
        }
        if self.0.name != other.0.name || self.is_disjoint(other) {
            return None;
        }
        let mut fields = BTreeMap::new();
        let mut open = BTreeSet::new();
        let closed = self.0.closed || other.0.closed;
        let names: BTreeSet<_> = self.names().chain(other.names()).collect();
        for name in names {
            match self.values(name).intersect(other.values(name)) {
                Some(values) => {
                    fields.insert(name.clone(), values);
                }
                None if closed => {
                    open.insert(name.clone());
                }
                None => {}
            }
        }
        let product = Product {
            name: self.0.name.clone(),
            fields,
            closed,
            open,
        };
        Some(product.normal())
    }

    /// Whether some field has no value in both.
    fn is_disjoint(&self, other: &Self) -> bool {
        let apart = |name: &String| self.values(name).is_disjoint(other.values(name));
        self.0.fields.keys().any(apart) || other.0.fields.keys().any(apart)
    }

    pub(super) fn is_within(&self, other: &Self) -> bool {
        let within = |name: &String| self.values(name).is_within(other.values(name));
        let is_listed = |name: &String| self.0.fields.contains_key(name);
        if Arc::ptr_eq(&self.0, &other.0) {
            return true;
        }
        self.0.name == other.0.name
            // Of the fields that neither names, an open one has every value.
            && (self.0.closed || !other.0.closed)
            && self.names().all(within)
            && other.0.fields.keys().all(|name| is_listed(name) || within(name))
    }

    /// The fields that it says something of.
    fn names(&self) -> impl Iterator<Item = &String> {
        self.0.fields.keys().chain(&self.0.open)
    }

    /// `type`.
    #[must_use]
    pub fn type_name(&self) -> &str {
        &self.0.name
    }

    /// The JSON object, with what is left of each field.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut members = Map::from_iter([("type".to_owned(), Value::from(self.type_name()))]);
        for (name, values) in &self.0.fields {
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

impl Product {
    /// One form for one meaning: in a closed detail, an absent field is not listed.
    fn normal(mut self) -> Detail {
        if self.closed {
            self.fields
                .retain(|_, values| values.is_empty() || values.iter().any(Option::is_some));
            let fields = &self.fields;
            self.open.retain(|field| !fields.contains_key(field));
        }
        Detail(Arc::new(self))
    }
}
