//! State as it will be once a commit that is on its way has come about: what an epoch is computed on while the one before it is
//! made durable. What that one changed is read here and nowhere else, until it is in the stores; and if it does not come about, what
//! was computed on it is dropped with it.

use core::hash::BuildHasher as _;
use std::borrow::Cow;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use crate::store::{Store, Visit, merge};
use crate::{Changes, Commit, Node, Stores};

/// Stores seen through a commit.
pub struct InFlight<'a> {
    base: &'a dyn Stores,
    changed: Vec<(&'static Node, u32, Changed<'a>)>,
}

struct Changed<'a> {
    base: &'a dyn Store,
    changes: &'a Changes,
    /// Numbers of changes, by the hash of their keys, with half of it: most rows that are asked for are new, and neither a search
    /// through thousands of keys nor a look at another's would find that out within the processor's cache.
    found: HashTable<(u32, u32)>,
    hasher: FixedState,
}

impl<'a> Changed<'a> {
    fn new(base: &'a dyn Store, changes: &'a Changes) -> Self {
        let hasher = FixedState::default();
        let mut found = HashTable::with_capacity(changes.len());
        for (number, (key, _)) in (0..).zip(changes.iter()) {
            let hash = hasher.hash_one(key);
            found.insert_unique(hash, (number, (hash >> 32) as u32), |(number, _)| {
                hasher.hash_one(changes.at(*number as usize).0)
            });
        }
        Changed { base, changes, found, hasher }
    }

    fn find(&self, key: &[u8]) -> Option<Option<&[u8]>> {
        let hash = self.hasher.hash_one(key);
        let is_it =
            |(number, high): &(u32, u32)| *high == (hash >> 32) as u32 && self.changes.at(*number as usize).0 == key;
        self.found.find(hash, is_it).map(|(number, _)| self.changes.at(*number as usize).1)
    }
}

impl<'a> InFlight<'a> {
    /// `base` as it will be after `commit`, parts of which it may hold already.
    pub fn new(base: &'a dyn Stores, commit: &'a Commit) -> Self {
        let changed = commit.tasks.iter().map(|task| {
            let (base, changes) = (base.store(task.node, task.partition), &task.changes);
            (task.node, task.partition, Changed::new(base, changes))
        });
        InFlight { base, changed: changed.collect() }
    }
}

impl Stores for InFlight<'_> {
    fn store(&self, node: &'static Node, partition: u32) -> &dyn Store {
        let changed = self.changed.iter().find(|(of, at, _)| std::ptr::eq(*of, node) && *at == partition);
        changed.map_or_else(|| self.base.store(node, partition), |(_, _, changed)| changed)
    }
}

impl Store for Changed<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.find(key).map_or_else(|| self.base.get(key), |value| value.map(<[u8]>::to_vec))
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        if from >= to {
            return;
        }
        let written = self.changes.range(from, to).map(|(key, value)| (key, value.map(Cow::Borrowed)));
        merge(self.base, written, (from, to), reverse, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;
    use std::ops::ControlFlow;

    fn seen(store: &dyn Store, from: &[u8], to: &[u8], reverse: bool) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut seen = Vec::new();
        store.scan(from, to, reverse, &mut |key, value| {
            seen.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        });
        seen
    }

    #[test]
    fn a_store_is_read_as_it_will_be_however_much_of_it_has_come_about() {
        let pairs = [("a", "1"), ("c", "1"), ("e", "1")].map(|(key, value)| (key.into(), value.into()));
        let before = MemoryStore { pairs: pairs.into() };
        let change = |key: &str, value: Option<&str>| (key.as_bytes().to_vec(), value.map(|v| v.as_bytes().to_vec()));
        let all = [change("b", Some("2")), change("c", Some("2")), change("e", None), change("f", None)];
        let changes: Changes = all.iter().cloned().collect();
        let mut after = before.clone();
        after.apply(&changes);
        for done in 0..=all.len() {
            let mut base = before.clone();
            base.apply(&all[..done].iter().cloned().collect());
            let changed = Changed::new(&base, &changes);
            for key in ["a", "b", "c", "d", "e", "f"].map(str::as_bytes) {
                assert_eq!(changed.get(key), after.get(key), "{key:?}");
                for (reverse, to) in [(false, b"z"), (true, b"e"), (false, b"b")] {
                    assert_eq!(seen(&changed, key, to, reverse), seen(&after, key, to, reverse), "{key:?} to {to:?}");
                }
            }
        }
    }
}
