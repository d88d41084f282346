//! What an epoch changes in a store: a list, for it is made once and read from its beginning to its end.

/// The key of a row, and what it is from now on; nothing where it is deleted.
pub type Change = (Vec<u8>, Option<Vec<u8>>);

/// Changes in order of key, one of each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(Vec<Change>);

impl Changes {
    /// Each of them.
    pub fn iter(&self) -> std::slice::Iter<'_, Change> {
        self.0.iter()
    }

    /// What becomes of the row at `key`, if anything.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let found = self.0.binary_search_by(|(at, _)| at.as_slice().cmp(key)).ok()?;
        Some(self.0[found].1.as_deref())
    }

    /// Those with `from <= key < to`.
    #[must_use]
    pub fn range(&self, from: &[u8], to: &[u8]) -> &[Change] {
        let at = |key: &[u8]| self.0.partition_point(|(at, _)| at.as_slice() < key);
        &self.0[at(from)..at(to)]
    }

    /// Keeps those of which `keep` holds.
    pub fn retain(&mut self, keep: impl FnMut(&Change) -> bool) {
        self.0.retain(keep);
    }
}

/// Sorts them, unless they are in order.
impl FromIterator<Change> for Changes {
    fn from_iter<I: IntoIterator<Item = Change>>(changes: I) -> Self {
        let mut changes: Vec<_> = changes.into_iter().collect();
        let in_order = |changes: &[Change]| changes.is_sorted_by(|(a, _), (b, _)| a < b);
        if !in_order(&changes) {
            changes.sort_by(|(a, _), (b, _)| a.cmp(b));
            assert!(in_order(&changes), "invariant: a row is changed once");
        }
        Changes(changes)
    }
}

impl<const N: usize> From<[Change; N]> for Changes {
    fn from(changes: [Change; N]) -> Self {
        changes.into_iter().collect()
    }
}

impl<'a> IntoIterator for &'a Changes {
    type Item = &'a Change;
    type IntoIter = std::slice::Iter<'a, Change>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
