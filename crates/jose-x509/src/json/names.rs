//! The member names of one object, each of which may occur once.

use std::borrow::Cow;
use std::collections::BTreeSet;

use arrayvec::ArrayVec;

use super::JsonErrorKind;

/// Names seen so far: the first ones lie side by side, further ones in a set.
#[derive(Default)]
pub(super) struct Names<'de> {
    few: ArrayVec<&'de str, 16>,
    /// One bit for each [`bit`] of a name: where it is not set, the name is new.
    seen: u64,
    /// Nearly no object has so many.
    many: Option<BTreeSet<Cow<'de, str>>>,
}

impl<'de> Names<'de> {
    /// Adds a name that stands in the text as it is, of which there may be `most`.
    #[inline]
    pub(super) fn add_borrowed(
        &mut self,
        name: &'de str,
        most: usize,
    ) -> Result<(), JsonErrorKind> {
        let bit = bit(name);
        if self.seen & bit != 0 || self.few.len() >= most || self.few.is_full() {
            return self.add(name.into(), most);
        }
        self.seen |= bit;
        self.few.push(name);
        Ok(())
    }

    /// Adds a name, of which there may be `most`.
    pub(super) fn add(&mut self, name: Cow<'de, str>, most: usize) -> Result<(), JsonErrorKind> {
        let many = self.many.as_ref().map_or(0, BTreeSet::len);
        if self.few.len().saturating_add(many) >= most {
            return Err(JsonErrorKind::TooManyMembers);
        }
        let bit = bit(&name);
        if self.seen & bit != 0 && self.contains(&name) {
            return Err(JsonErrorKind::DuplicateMember);
        }
        self.seen |= bit;
        match name {
            Cow::Borrowed(name) if !self.few.is_full() => self.few.push(name),
            name => {
                self.many.get_or_insert_default().insert(name);
            }
        }
        Ok(())
    }

    fn contains(&self, name: &str) -> bool {
        self.few.contains(&name) || self.many.as_ref().is_some_and(|many| many.contains(name))
    }
}

/// One of 64 bits, spread over length and outer bytes, in which names of claims differ most.
fn bit(name: &str) -> u64 {
    let bytes = name.as_bytes();
    let outer = |byte: Option<&u8>| byte.map_or(0, |byte| u32::from(*byte));
    let (first, last) = (outer(bytes.first()), outer(bytes.last()));
    let mixed = (first * 7) ^ (last * 3) ^ u32::try_from(bytes.len()).unwrap_or(0).rotate_left(2);
    1 << (mixed % 64)
}
