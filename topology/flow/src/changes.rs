//! What an epoch changes in a store: keys and values one behind the other in one piece of memory, for they are made once, read from
//! the first to the last, and given back by another thread than the one that made them.

use std::fmt;

/// The key of a row, and what it is from now on; nothing where it is deleted.
pub type Change<'a> = (&'a [u8], Option<&'a [u8]>);

/// Where a change lies in its bytes.
#[derive(Clone, Copy)]
struct At {
    begin: usize,
    middle: usize,
    /// Nothing where the row is deleted.
    end: Option<usize>,
}

impl At {
    fn key(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.begin..self.middle]
    }

    fn change(self, bytes: &[u8]) -> Change<'_> {
        (self.key(bytes), self.end.map(|end| &bytes[self.middle..end]))
    }
}

/// Changes in order of key, one of each.
#[derive(Clone, Default)]
pub struct Changes {
    bytes: Vec<u8>,
    rows: Vec<At>,
}

impl Changes {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The one with this number, in order of key from 0 on.
    #[must_use]
    pub fn at(&self, number: usize) -> Change<'_> {
        self.rows[number].change(&self.bytes)
    }

    /// Each of them.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Change<'_>> + ExactSizeIterator {
        self.rows.iter().map(|row| row.change(&self.bytes))
    }

    /// What becomes of the row at `key`, if anything.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let found = self.rows.binary_search_by(|row| row.key(&self.bytes).cmp(key)).ok()?;
        Some(self.at(found).1)
    }

    /// Those with `from <= key < to`.
    pub fn range(&self, from: &[u8], to: &[u8]) -> impl DoubleEndedIterator<Item = Change<'_>> {
        let at = |key: &[u8]| self.rows.partition_point(|row| row.key(&self.bytes) < key);
        self.rows[at(from)..at(to)].iter().map(|row| row.change(&self.bytes))
    }

    /// Keeps those of which `keep` holds.
    pub fn retain(&mut self, mut keep: impl FnMut(Change<'_>) -> bool) {
        self.rows.retain(|row| keep(row.change(&self.bytes)));
    }
}

impl PartialEq for Changes {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Changes {}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Changes that are being gathered, in any order. They are told apart by the first bytes of their keys, for those of a kind mostly
/// come in order.
#[derive(Default)]
pub(crate) struct Gathered {
    bytes: Vec<u8>,
    /// By first byte.
    kinds: Vec<(u8, Vec<At>)>,
}

impl Gathered {
    /// One more.
    pub fn push(&mut self, key: &[u8], value: Option<&[u8]>) {
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value.unwrap_or_default());
        let row = At { begin, middle, end: value.map(|_| self.bytes.len()) };
        let kind = key.first().copied().unwrap_or_default();
        match self.kinds.iter_mut().find(|(of, _)| *of == kind) {
            Some((_, rows)) => rows.push(row),
            None => self.kinds.push((kind, vec![row])),
        }
    }

    /// All of them. Each kind is sorted, unless it is in order.
    pub fn finish(mut self) -> Changes {
        self.kinds.sort_unstable_by_key(|(kind, _)| *kind);
        let Gathered { bytes, kinds } = self;
        let mut changes = Changes { rows: Vec::with_capacity(kinds.iter().map(|(_, rows)| rows.len()).sum()), bytes };
        let bytes = &changes.bytes;
        for (_, mut rows) in kinds {
            let in_order = |rows: &[At]| rows.is_sorted_by(|a, b| a.key(bytes) < b.key(bytes));
            if !in_order(&rows) {
                rows.sort_by(|a, b| a.key(bytes).cmp(b.key(bytes)));
                assert!(in_order(&rows), "invariant: a row is changed once");
            }
            changes.rows.append(&mut rows);
        }
        changes
    }
}

/// In any order, one of each key.
impl<K: AsRef<[u8]>, V: AsRef<[u8]>> FromIterator<(K, Option<V>)> for Changes {
    fn from_iter<I: IntoIterator<Item = (K, Option<V>)>>(changes: I) -> Self {
        let mut gathered = Gathered::default();
        for (key, value) in changes {
            gathered.push(key.as_ref(), value.as_ref().map(AsRef::as_ref));
        }
        gathered.finish()
    }
}
