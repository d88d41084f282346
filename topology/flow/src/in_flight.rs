//! State as it will be once a commit that is on its way has come about: what an epoch is computed on while the one before it is
//! made durable. What that one changed is read here and nowhere else, until it is in the stores; and if it does not come about, what
//! was computed on it is dropped with it.

use std::borrow::Cow;

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
}

impl<'a> InFlight<'a> {
    /// `base` as it will be after `commit`, parts of which it may hold already.
    pub fn new(base: &'a dyn Stores, commit: &'a Commit) -> Self {
        let changed = commit.tasks.iter().map(|task| {
            let changed = Changed { base: base.store(task.node, task.partition), changes: &task.changes };
            (task.node, task.partition, changed)
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
        self.changes.get(key).map_or_else(|| self.base.get(key), |value| value.map(<[u8]>::to_vec))
    }

    fn scan(&self, from: &[u8], to: &[u8], reverse: bool, visit: &mut Visit<'_>) {
        if from >= to {
            return;
        }
        let written = self.changes.range(from, to).iter();
        let written = written.map(|(key, value)| (key.as_slice(), value.as_deref().map(Cow::Borrowed)));
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
        let changes = Changes::from(all.clone());
        let mut after = before.clone();
        after.apply(&changes);
        for done in 0..=all.len() {
            let mut base = before.clone();
            base.apply(&all[..done].iter().cloned().collect());
            let changed = Changed { base: &base, changes: &changes };
            for key in ["a", "b", "c", "d", "e", "f"].map(str::as_bytes) {
                assert_eq!(changed.get(key), after.get(key), "{key:?}");
                for (reverse, to) in [(false, b"z"), (true, b"e"), (false, b"b")] {
                    assert_eq!(seen(&changed, key, to, reverse), seen(&after, key, to, reverse), "{key:?} to {to:?}");
                }
            }
        }
    }
}
