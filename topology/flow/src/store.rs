//! What a task reads: ordered bytes. A driver offers committed state; a task lays its own writes over it and hands
//! them back as one list of changes. Nothing here writes to a store.
//!
//! A store that fails does not make a processor's `step` fallible: the failure unwinds as [`StoreFailure`], the engine
//! catches it and the epoch is an error, as if the process had crashed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use serde::de::DeserializeOwned;

use crate::rows;

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

/// Called with each pair of a scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Ordered bytes of one task: a node's state in one partition.
pub trait Store {
    /// The value at `key`.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;

    /// Visits the pairs with `from <= key < to`, upwards, or downwards where `reverse`, until `visit` breaks.
    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>);
}

/// What a store unwinds with when it cannot read.
#[derive(Debug)]
pub struct StoreFailure(pub String);

impl StoreFailure {
    /// Unwinds, without the panic hook's noise: the engine reports it.
    pub fn raise(reason: impl Into<String>) -> ! {
        resume_unwind(Box::new(StoreFailure(reason.into())))
    }

    /// Runs `read`, for whoever reads a store without an engine.
    ///
    /// # Errors
    /// The store could not be read. Any other panic goes on.
    pub fn caught<T>(read: impl FnOnce() -> T) -> Result<T, StoreFailure> {
        catch_unwind(AssertUnwindSafe(read)).map_err(|panic| match panic.downcast::<StoreFailure>() {
            Ok(failure) => *failure,
            Err(panic) => resume_unwind(panic),
        })
    }
}

/// A store in memory: for tests, the simulator and replay.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore {
    /// The pairs.
    pub pairs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryStore {
    /// Takes in what a task changed.
    pub fn apply(&mut self, changes: &Changes) {
        for (key, value) in changes {
            match value {
                Some(value) => drop(self.pairs.insert(key.clone(), value.clone())),
                None => drop(self.pairs.remove(key)),
            }
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.pairs.get(key).cloned()
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        if from >= to {
            return;
        }
        let mut range = self.pairs.range(from.to_vec()..to.to_vec());
        while let Some((key, value)) = if reverse { range.next_back() } else { range.next() } {
            if visit(key, value).is_break() {
                return;
            }
        }
    }
}

/// A row as a task has written it since its last commit.
#[derive(Debug)]
struct Written {
    /// Nothing where it is deleted.
    value: Option<Vec<u8>>,
    /// Whether the store is known to have no such row.
    new: bool,
}

/// What a task has written of a key since its last commit, and looked for in vain.
#[derive(Debug, Default)]
pub(crate) struct Writes(BTreeMap<Vec<u8>, Written>);

impl Writes {
    /// What is to be committed, in order: a row that came and went is no change.
    pub fn take(&mut self) -> impl Iterator<Item = Change> + use<> {
        let rows = std::mem::take(&mut self.0).into_iter();
        rows.filter(|(_, row)| row.value.is_some() || !row.new).map(|(key, row)| (key, row.value))
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A store seen through a task's own uncommitted writes. What it is asked for it asks the store for once.
#[derive(Clone, Copy)]
pub(crate) struct Overlaid<'a> {
    pub base: &'a dyn Store,
    pub writes: &'a RefCell<Writes>,
}

impl Overlaid<'_> {
    pub fn put(&self, key: Vec<u8>, value: Vec<u8>) {
        match self.writes.borrow_mut().0.entry(key) {
            Entry::Occupied(mut row) => row.get_mut().value = Some(value),
            Entry::Vacant(row) => drop(row.insert(Written { value: Some(value), new: false })),
        }
    }

    /// The value at `key`, read.
    pub fn read<V: DeserializeOwned>(&self, key: Vec<u8>) -> Option<V> {
        if let Some(written) = self.writes.borrow().0.get(&key) {
            return written.value.as_deref().map(rows::from_bytes);
        }
        let value = self.base.get(&key);
        if value.is_none() {
            self.writes.borrow_mut().0.insert(key, Written { value: None, new: true });
        }
        value.as_deref().map(rows::from_bytes)
    }

    /// A row that is not committed is only taken back: what comes and goes within an epoch, as most holds and timers do
    /// where hops are fused, leaves nothing in the changelog.
    pub fn delete(&self, key: Vec<u8>) {
        match self.writes.borrow_mut().0.entry(key) {
            Entry::Occupied(mut row) => {
                let new = row.get().new || self.base.get(row.key()).is_none();
                row.insert(Written { value: None, new });
            }
            Entry::Vacant(row) => {
                let new = self.base.get(row.key()).is_none();
                row.insert(Written { value: None, new });
            }
        }
    }
}

impl Store for Overlaid<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if let Some(written) = self.writes.borrow().0.get(key) {
            return written.value.clone();
        }
        let value = self.base.get(key);
        if value.is_none() {
            self.writes.borrow_mut().0.insert(key.to_vec(), Written { value: None, new: true });
        }
        value
    }

    /// Merges two ordered sequences; where both hold a key, what was written wins.
    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        if from >= to {
            return;
        }
        let writes = self.writes.borrow();
        let mut written = writes.0.range(from.to_vec()..to.to_vec());
        let mut next = || if reverse { written.next_back() } else { written.next() };
        let mut pending = next();
        let mut stopped = false;
        self.base.scan(from, to, reverse, &mut |key, value| {
            while let Some((changed, change)) = pending {
                let order = if reverse { key.cmp(changed) } else { changed.as_slice().cmp(key) };
                if order.is_gt() {
                    break;
                }
                pending = next();
                if let Some(value) = &change.value
                    && visit(changed, value).is_break()
                {
                    stopped = true;
                    return ControlFlow::Break(());
                }
                if order.is_eq() {
                    return ControlFlow::Continue(());
                }
            }
            let flow = visit(key, value);
            stopped = flow.is_break();
            flow
        });
        while !stopped && let Some((changed, change)) = pending {
            pending = next();
            stopped = change.value.as_ref().is_some_and(|value| visit(changed, value).is_break());
        }
    }
}

/// The smallest key above every key that starts with `prefix`.
#[must_use]
pub fn prefix_end(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![u8::MAX; prefix.len() + 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(store: &dyn Store, from: &str, to: &str, reverse: bool, limit: usize) -> String {
        let mut seen = Vec::new();
        store.scan(from.as_bytes(), to.as_bytes(), reverse, &mut |key, value| {
            seen.push(format!("{}{}", String::from_utf8_lossy(key), String::from_utf8_lossy(value)));
            if seen.len() == limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        seen.join(" ")
    }

    #[test]
    fn an_overlay_reads_as_if_it_were_written() {
        let pairs = [("a", "1"), ("c", "1"), ("e", "1"), ("g", "1")];
        let mut base = MemoryStore::default();
        base.pairs.extend(pairs.map(|(k, v)| (k.as_bytes().to_vec(), v.as_bytes().to_vec())));
        let writes = RefCell::default();
        let overlaid = Overlaid { base: &base, writes: &writes };
        let changes = [("b", Some("2")), ("c", Some("2")), ("e", None), ("f", None), ("h", Some("2"))];
        let changes = changes.map(|(key, value)| (key.as_bytes().to_vec(), value.map(|v| v.as_bytes().to_vec())));
        for (key, value) in changes.clone() {
            match value {
                Some(value) => overlaid.put(key, value),
                None => overlaid.delete(key),
            }
        }
        assert_eq!(overlaid.get(b"d"), None);
        let mut applied = base.clone();
        applied.apply(&Changes::from(changes));
        for (from, to) in [("", "z"), ("a", "a"), ("b", "e"), ("c", "h"), ("h", "z"), ("z", "a")] {
            for reverse in [false, true] {
                for limit in 1..=6 {
                    assert_eq!(
                        scan(&overlaid, from, to, reverse, limit),
                        scan(&applied, from, to, reverse, limit),
                        "{from}..{to} reverse={reverse} limit={limit}"
                    );
                }
            }
        }
    }

    #[test]
    fn what_comes_and_goes_within_an_epoch_is_no_change() {
        let mut base = MemoryStore::default();
        base.pairs.insert(b"there".to_vec(), b"1".to_vec());
        let writes = RefCell::default();
        let rows = Overlaid { base: &base, writes: &writes };
        for key in [b"there".as_slice(), b"new", b"sought"] {
            assert_eq!(rows.get(key).is_some(), key == b"there");
            for _ in 0..2 {
                rows.put(key.to_vec(), b"2".to_vec());
                rows.delete(key.to_vec());
                assert_eq!(rows.get(key), None);
            }
        }
        rows.put(b"unsought".to_vec(), b"2".to_vec());
        rows.delete(b"unsought".to_vec());
        rows.delete(b"never".to_vec());
        let changes: Vec<_> = writes.borrow_mut().take().collect();
        assert_eq!(changes, [(b"there".to_vec(), None)], "only what is committed has to be deleted");
    }

    #[test]
    fn a_prefix_ends_where_the_next_begins() {
        assert_eq!(prefix_end(b"ab"), b"ac");
        assert_eq!(prefix_end(&[1, 255]), [2]);
    }
}
