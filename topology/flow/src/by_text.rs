//! Something for each of many texts, found by a hash. Its seed is fixed, and whoever takes all of them gets them in order of
//! text: what a task does depends on neither.

use core::hash::BuildHasher;

use foldhash::fast::FixedState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

struct Named<T> {
    hash: u64,
    text: Box<str>,
    value: T,
}

/// Values by text.
pub(crate) struct ByText<T> {
    table: HashTable<Named<T>>,
    hasher: FixedState,
}

impl<T> Default for ByText<T> {
    fn default() -> Self {
        ByText { table: HashTable::new(), hasher: FixedState::default() }
    }
}

impl<T> ByText<T> {
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// The value of a text, made where there is none.
    pub fn get_or_insert_with(&mut self, text: &str, make: impl FnOnce() -> T) -> &mut T {
        let hash = self.hasher.hash_one(text);
        let found = self.table.entry(hash, |named| *named.text == *text, |named| named.hash);
        let named = match found {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(place) => place.insert(Named { hash, text: text.into(), value: make() }).into_mut(),
        };
        &mut named.value
    }

    /// Keeps a value under a text that has none.
    pub fn insert(&mut self, text: Box<str>, value: T) {
        let hash = self.hasher.hash_one(&*text);
        self.table.insert_unique(hash, Named { hash, text, value }, |named| named.hash);
    }

    /// Takes the value of a text out.
    pub fn remove(&mut self, text: &str) -> Option<T> {
        let hash = self.hasher.hash_one(text);
        let found = self.table.find_entry(hash, |named| *named.text == *text);
        found.ok().map(|found| found.remove().0.value)
    }

    /// Takes all of them out, in order of text.
    pub fn take(&mut self) -> Vec<(Box<str>, T)> {
        let mut all: Vec<_> = self.table.drain().map(|Named { text, value, .. }| (text, value)).collect();
        all.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        all
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.table.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_and_comes_out_in_order() {
        let mut sums = ByText::default();
        for text in ["b", "a", "b", "ab", ""] {
            *sums.get_or_insert_with(text, || 0) += 1;
        }
        sums.insert("c".into(), 7);
        assert_eq!((sums.remove("a"), sums.remove("a"), sums.len()), (Some(1), None, 4));
        let all: Vec<_> = sums.take().into_iter().map(|(text, sum)| format!("{text}{sum}")).collect();
        assert_eq!((all.join(" "), sums.len()), ("1 ab1 b2 c7".to_owned(), 0));
    }
}
