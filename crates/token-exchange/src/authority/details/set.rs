//! Several authorization details.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde_json::Value;

use super::detail::{Detail, FieldSet};
use super::{DetailTypes, canonical};

/// Most combinations of values that [`Details::grants`] looks at.
const MAX_COMBINATIONS: usize = 4096;

/// A set of authorization details, none within another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details(Vec<Detail>);

impl Details {
    pub(super) fn new(details: Vec<Detail>) -> Self {
        let mut all = details;
        all.retain(|detail| !detail.is_empty());
        all.sort();
        all.dedup();
        let mut kept = Vec::with_capacity(all.len());
        for alike in of_one_type(&all) {
            let index = Index::new(alike, &[]);
            if index.are_apart() {
                kept.extend_from_slice(alike);
                continue;
            }
            let is_within_another = |one: &Detail| {
                index
                    .partners(one)
                    .any(|other| !std::ptr::eq(one, other) && one.is_within(other))
            };
            kept.extend(alike.iter().filter(|one| !is_within_another(one)).cloned());
        }
        Self(kept)
    }

    /// What both stand for.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        let mut both = Vec::new();
        for ours in of_one_type(&self.0) {
            let Some(theirs) = other.of_type_of(ours) else {
                continue;
            };
            let index = Index::new(theirs, ours);
            for one in ours {
                if index.partners(one).any(|other| one.is_within(other)) {
                    // Whatever it has in common with the others is within it.
                    both.push(one.clone());
                } else {
                    both.extend(index.partners(one).filter_map(|other| one.intersect(other)));
                }
            }
        }
        Self::new(both)
    }

    /// How many pairs of details [`intersect`](Self::intersect) looks at: as many as there are details, where those of a type
    /// have a field in common that has a single value in each of them, and different ones; or else up to their product.
    #[must_use]
    pub fn comparisons(&self, other: &Self) -> usize {
        let alike = |ours: &[Detail]| {
            let theirs = other.of_type_of(ours)?;
            let index = Index::new(theirs, ours);
            Some(
                ours.iter()
                    .map(|one| index.partners(one).count())
                    .sum::<usize>(),
            )
        };
        of_one_type(&self.0).filter_map(alike).sum()
    }

    /// The details of the type that these have.
    fn of_type_of(&self, alike: &[Detail]) -> Option<&[Detail]> {
        let name = alike.first().map(Detail::type_name)?;
        of_one_type(&self.0).find(|theirs| theirs.first().map(Detail::type_name) == Some(name))
    }

    /// Whether one of them stands for all that `detail` stands for.
    #[must_use]
    pub fn covers(&self, detail: &Detail) -> bool {
        self.0.iter().any(|granted| detail.is_within(granted))
    }

    /// Whether everything that `request` asks for by name is here: each of its values together with each of its others,
    /// within one detail. What it leaves out it does not ask for. More than 4096 combinations of one detail are none.
    #[must_use]
    pub fn grants(&self, request: &Self) -> bool {
        request.0.iter().all(|asked| {
            let fields = asked.fields();
            let size = fields.values().try_fold(1_usize, |size, values| {
                size.checked_mul(values.len())
                    .filter(|size| *size <= MAX_COMBINATIONS)
            });
            let Some(size) = size else { return false };
            let alike = |one: &&Detail| one.type_name() == asked.type_name();
            let same: Vec<_> = self.0.iter().filter(alike).collect();
            (0..size).all(|index| {
                let mut rest = index;
                let mut wanted = Vec::with_capacity(fields.len());
                for (name, values) in fields {
                    let count = values.len().max(1);
                    wanted.push((
                        name,
                        values.iter().nth(rest.checked_rem(count).unwrap_or(0)),
                    ));
                    rest = rest.checked_div(count).unwrap_or(0);
                }
                same.iter().any(|granted| {
                    wanted.iter().all(|(name, value)| {
                        value.is_some_and(|value| granted.values(name).contains(value))
                    })
                })
            })
        })
    }

    /// What one resource server is to know: details at its location or at none, and of several locations its own alone.
    #[must_use]
    pub fn at_location(&self, location: &str) -> Self {
        self.at_locations(&[location])
    }

    /// What several resource servers that share one token are to know.
    #[must_use]
    pub fn at_locations(&self, locations: &[&str]) -> Self {
        let here: FieldSet = locations
            .iter()
            .map(|location| Some(canonical(&Value::from(*location))))
            .collect();
        let kept = |detail: &Detail| detail.retain("locations", &here);
        Self::new(self.0.iter().filter_map(kept).collect())
    }

    /// Those of these types alone.
    #[must_use]
    pub(crate) fn of_types(&self, types: &DetailTypes) -> Self {
        let registered = |detail: &&Detail| types.0.contains_key(detail.type_name());
        Self(self.0.iter().filter(registered).cloned().collect())
    }

    /// The JSON array without these fields: for a client that need not know them. A token has all of them.
    #[must_use]
    pub fn to_value_without(&self, fields: &[&str]) -> Value {
        let mut details = self.to_value();
        for detail in details.as_array_mut().into_iter().flatten() {
            if let Some(members) = detail.as_object_mut() {
                members.retain(|name, _| name == "type" || !fields.contains(&name.as_str()));
            }
        }
        details
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

/// The details of each type. They are sorted, and by the type first.
fn of_one_type(details: &[Detail]) -> impl Iterator<Item = &[Detail]> {
    details.chunk_by(|one, next| one.type_name() == next.type_name())
}

/// Details of one type by the values of those fields of which each has a single value. Two that differ there have nothing in
/// common, so that with an identifier in each of them, as is usual, work grows with their number and not with its square.
struct Index<'a> {
    fields: Vec<&'a str>,
    /// With the hash of these values, in the order of the hashes. Who makes hashes collide makes work, and not another result.
    details: Vec<(u64, &'a Detail)>,
}

impl<'a> Index<'a> {
    /// An index of `details`, to be asked with `partners`.
    fn new(details: &'a [Detail], partners: &[Detail]) -> Self {
        let fields = details.first().into_iter().flat_map(Detail::fields);
        let fields = fields.filter(|(name, values)| {
            let single = |detail: &Detail| detail.values(name).only().is_some();
            values.len() == 1 && details.iter().all(single) && partners.iter().all(single)
        });
        let mut index = Self {
            fields: fields.map(|(name, _)| name.as_str()).collect(),
            details: Vec::with_capacity(details.len()),
        };
        for detail in details {
            index.details.push((index.hash(detail), detail));
        }
        index.details.sort_by_key(|(hash, _)| *hash);
        index
    }

    fn hash(&self, detail: &Detail) -> u64 {
        let mut hasher = DefaultHasher::new();
        for field in &self.fields {
            detail.values(field).only().hash(&mut hasher);
        }
        hasher.finish()
    }

    /// Those that may have something in common with `detail`.
    fn partners(&self, detail: &Detail) -> impl Iterator<Item = &'a Detail> {
        let hash = self.hash(detail);
        let first = self.details.partition_point(|(other, _)| *other < hash);
        let rest = self.details.iter().skip(first);
        rest.take_while(move |(other, _)| *other == hash)
            .map(|(_, detail)| *detail)
    }

    /// Whether no two can have anything in common.
    fn are_apart(&self) -> bool {
        self.details
            .iter()
            .zip(self.details.iter().skip(1))
            .all(|((one, _), (next, _))| one != next)
    }
}
